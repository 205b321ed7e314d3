#include "csv/log_columns.h"

namespace groundswell {
namespace {

constexpr size_t kNamesMax = 24;

// As PlainName has them, the best first.
using Names = std::array<std::string_view, kNamesMax>;
constexpr std::array<Names, kLogFieldCount> kNames = {
    Names{"timestamp",      "ts",
          "time",           "eventtime",
          "datetime",       "unixtimestamp",
          "eventtimestamp", "createdat",
          "created",        "occurredat",
          "date",           "clicktimestamp",
          "viewtime",       "ratedat",
          "invoicedate",    "orderdate",
          "purchasedate",   "tdat",
          "reviewtime",     "unixreviewtime",
          "checkintime",    "playedat"},
    Names{"user",      "userid",     "uid",      "customer",   "customerid",   "visitor",
          "visitorid", "reviewerid", "client",   "clientid",   "accountid",    "memberid",
          "buyerid",   "memberuid",  "personid", "profileid",  "subscriberid", "playerid",
          "sessionid", "session",    "useridx",  "anonymousid"},
    Names{"item",   "itemid",     "iid",     "sku",       "product",        "productid",
          "movie",  "movieid",    "article", "articleid", "clickarticleid", "newsid",
          "asin",   "parentasin", "isbn",    "bookid",    "stockcode",      "trackid",
          "songid", "contentid",  "gameid",  "venueid",   "listingid",      "videoid"},
    Names{"type", "event", "eventtype", "eventname", "action", "actiontype", "behavior",
          "behaviortype", "behaviour", "interactiontype", "interaction"},
    Names{"weight"},
    Names{"eventid"},
    Names{"rating", "stars", "score", "overall"}};

constexpr std::array<std::string_view, kLogFieldCount> kFields = {
    "timestamp", "user", "item", "type", "weight", "event_id", "rating"};
constexpr std::array<std::string_view, kLogFieldCount> kFlags = {
    "--time",         "--user", "--item", "--type-column", "--weight", "--event-id-column",
    "--rating-column"};

constexpr ColumnFields kColumnFields = {
    .names = kFields, .flags = kFlags, .rank = [](std::string_view column, size_t field) {
      return RankOf(column, static_cast<LogField>(field));
    }};

}  // namespace

std::string_view NameOf(LogField field) { return kFields[field]; }
std::string_view FlagOf(LogField field) { return kFlags[field]; }

size_t RankOf(std::string_view column, LogField field) { return PlaceAmong(kNames[field], column); }

absl::StatusOr<ColumnPositions> FindColumns(std::span<const std::string_view> header,
                                            const LogColumns& named) {
  ColumnPositions positions;
  positions.fill(kNoColumn);
  for (size_t field = 0; field < kLogFieldCount; ++field) {
    positions[field] = FindColumn(header, named, field, kColumnFields);
    const bool is_required = field < kRequiredFields;
    absl::Status status =
        CheckFound(header, named, positions[field], field, is_required, kColumnFields);
    // A rating is read where a least one is asked for.
    const bool is_read = field != kRatingField || !named[field].empty();
    if (status.ok() && is_read) status = CheckOnce(header, positions[field], field, kColumnFields);
    // A weight may be the rating too.
    if (status.ok() && is_required) status = CheckApart(header, positions, field, kColumnFields);
    if (!status.ok()) return status;
  }
  return positions;
}

absl::Status CheckKeysApart(const LogColumns& named) {
  return CheckNamedApart(named, kRequiredFields, kColumnFields);
}

absl::Status CheckRatingOnce(std::span<const std::string_view> header,
                             const ColumnPositions& positions) {
  return CheckOnce(header, positions[kRatingField], kRatingField, kColumnFields);
}

}  // namespace groundswell
