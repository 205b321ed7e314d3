#include "csv/log_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "csv/utf8.h"

namespace groundswell {
namespace {

constexpr size_t kNamesShown = 30;
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

size_t FindNamed(std::span<const std::string_view> header, std::string_view name) {
  const auto at = std::ranges::find(header, name);
  return at == header.end() ? kNoColumn : static_cast<size_t>(at - header.begin());
}

// By the names in use.
size_t FindKnown(std::span<const std::string_view> header, const LogColumns& named,
                 LogField field) {
  size_t best = kNoColumn;
  size_t position = kNoColumn;
  for (size_t column = 0; column < header.size(); ++column) {
    if (std::ranges::find(named, header[column]) != named.end()) continue;
    const size_t rank = RankOf(header[column], field);
    if (rank >= best) continue;
    best = rank;
    position = column;
  }
  return position;
}

// `positions`: of the fields up to this one.
absl::Status CheckFound(std::span<const std::string_view> header, const LogColumns& named,
                        const ColumnPositions& positions, LogField field) {
  const size_t position = positions[field];
  if (position == kNoColumn && !named[field].empty()) {
    return absl::InvalidArgumentError(
        fmt::format("there is no column {} for the {}; the columns are {}", ShownText(named[field]),
                    kFields[field], ListOf(header)));
  }
  if (position == kNoColumn && field < kRequiredFields) {
    return absl::InvalidArgumentError(
        fmt::format("no column is known to hold the {}; the columns are {}: say which it is with "
                    "{} COLUMN",
                    kFields[field], ListOf(header), kFlags[field]));
  }
  if (position == kNoColumn) return absl::OkStatus();
  // A rating is read where a least one is asked for.
  const bool is_read = field != kRatingField || !named[field].empty();
  if (is_read && std::ranges::count(header, header[position]) > 1) {
    return absl::InvalidArgumentError(
        fmt::format("several columns are called {}, which is to hold the {}; the columns are {}: "
                    "give each a name of its own",
                    ShownText(header[position]), kFields[field], ListOf(header)));
  }
  // A weight may be the rating too.
  const auto* const before = std::ranges::find(positions, position);
  if (before == positions.begin() + field || field >= kRequiredFields) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "column {} is named for both the {} and the {} ({}); name another one",
      ShownText(header[position]), kFields[static_cast<size_t>(before - positions.begin())],
      kFields[field], kFlags[field]));
}

}  // namespace

std::string PlainName(std::string_view column) {
  std::string plain;
  for (const char c : column.substr(0, column.find(':'))) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) plain.push_back(static_cast<char>(std::tolower(byte)));
  }
  return plain;
}

std::string_view NameOf(LogField field) { return kFields[field]; }
std::string_view FlagOf(LogField field) { return kFlags[field]; }

size_t RankOf(std::string_view column, LogField field) {
  const std::string plain = PlainName(column);
  if (plain.empty()) return kNoColumn;
  const auto* const at = std::ranges::find(kNames[field], plain);
  return at == kNames[field].end() ? kNoColumn : static_cast<size_t>(at - kNames[field].begin());
}

std::string ListOf(std::span<const std::string_view> names) {
  std::string list;
  for (const std::string_view name : names.first(std::min(names.size(), kNamesShown))) {
    list += (list.empty() ? "" : ", ") + ShownText(name);
  }
  return list + (names.size() > kNamesShown ? ", ..." : "");
}

absl::StatusOr<ColumnPositions> FindColumns(std::span<const std::string_view> header,
                                            const LogColumns& named) {
  ColumnPositions positions;
  positions.fill(kNoColumn);
  for (size_t i = 0; i < kLogFieldCount; ++i) {
    const auto field = static_cast<LogField>(i);
    positions[field] =
        named[field].empty() ? FindKnown(header, named, field) : FindNamed(header, named[field]);
    absl::Status found = CheckFound(header, named, positions, field);
    if (!found.ok()) return found;
  }
  return positions;
}

}  // namespace groundswell
