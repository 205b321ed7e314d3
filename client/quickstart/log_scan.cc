#include "client/quickstart/log_scan.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <vector>

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;

constexpr size_t kTypeBytesMax = 32;  // of a name
constexpr uint64_t kRecordsPerProgress = 1'000;

std::string TimeText(int64_t us) {
  return TimeUtil::ToString(TimeUtil::MicrosecondsToTimestamp(us));
}

std::string FormsOf(const LogSummary& summary) {
  std::string forms;
  for (size_t form = 0; form < summary.times.size(); ++form) {
    if (summary.times[form] == 0) continue;
    forms += (forms.empty() ? "" : ", ") + std::string(NameOf(static_cast<TimeForm>(form)));
  }
  return forms;
}

std::string TypesOf(const LogScan& scan) {
  std::string text;
  for (const auto& [type, count] : scan.types) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", type, count);
  }
  return text;
}

// A line per field that the log has.
std::string ColumnLine(const LogScan& scan, LogField field, std::string_view what) {
  const std::string& column = scan.shape.columns[field];
  if (column.empty() && what.empty()) return "";
  return fmt::format("  {:<10} {:<20} {}\n", NameOf(field), column.empty() ? "-" : column, what);
}

}  // namespace

std::string ServerTypeOf(std::string_view type) {
  std::string name;
  for (const char c : type.substr(0, kTypeBytesMax)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_letter = byte < 0x80 && std::isalnum(byte) != 0;
    name.push_back(is_letter ? static_cast<char>(std::tolower(byte)) : '_');
  }
  return name;
}

absl::Status LogScan::Read(EventReader& reader, const std::function<bool()>& stopped,
                           const std::function<void(uint64_t records)>& progress) {
  while (!stopped()) {
    const absl::StatusOr<std::optional<ReadEvent>> event = reader.Next();
    if (!event.ok() && !reader.IsOfRecord(event.status())) return event.status();
    if (event.ok() && !event->has_value()) break;
    if (event.ok()) Take((*event)->interaction);
    if (types.size() > kTypesMax) {
      return absl::InvalidArgumentError(
          fmt::format("the column \"{}\" holds more than {} event types: name the right one with "
                      "--type COLUMN, "
                      "or the type of all events",
                      reader.shape().columns[kTypeField], kTypesMax));
    }
    const uint64_t records = reader.summary().records;
    if (records % kRecordsPerProgress == 0) progress(records);
  }
  if (stopped()) return absl::CancelledError("stopped");
  summary = reader.summary();
  shape = reader.shape();
  if (summary.events > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      summary.left_out.empty()
          ? std::string("the log holds no record behind its header")
          : fmt::format("none of its {} records is an interaction; {}", summary.records,
                        summary.left_out.begin()->second.first));
}

void LogScan::Take(const v1::Interaction& interaction) {
  users_.insert(std::hash<std::string>{}(interaction.user_id()));
  items_.insert(std::hash<std::string>{}(interaction.item_id()));
  ++types[ServerTypeOf(interaction.event_type())];
  const int64_t time_us = TimeUtil::TimestampToMicroseconds(interaction.event_time());
  const bool is_first = newest_user.empty();
  if (is_first || time_us < first_us) first_us = time_us;
  if (is_first || time_us >= last_us) {
    last_us = time_us;
    newest_user = interaction.user_id();
  }
}

std::string Describe(const LogScan& scan, std::string_view file) {
  std::string text = fmt::format("{}: {}\n", file, scan.shape.format);
  text += ColumnLine(scan, kUserField, fmt::format("{} users", scan.users()));
  text += ColumnLine(scan, kItemField, fmt::format("{} items", scan.items()));
  text += ColumnLine(scan, kTimeField,
                     fmt::format("{}, {} to {}", FormsOf(scan.summary), TimeText(scan.first_us),
                                 TimeText(scan.last_us)));
  text += ColumnLine(scan, kTypeField, TypesOf(scan));
  text += ColumnLine(scan, kWeightField, "");
  text += ColumnLine(scan, kEventIdField, "");
  std::vector<std::string> others = scan.shape.others;
  if (!scan.shape.columns[kRatingField].empty()) {
    text += ColumnLine(scan, kRatingField, "not counted; --min-rating leaves out lower ones");
  }
  std::string passed_over;
  for (const std::string& other : others) passed_over += (passed_over.empty() ? "" : ", ") + other;
  if (!passed_over.empty()) text += fmt::format("  passed over: {}\n", passed_over);
  text += fmt::format("{} interactions", scan.summary.events);
  if (scan.summary.out_of_order > 0) text += ", to be sorted by time";
  text += fmt::format("; {} of {} records left out\n", scan.summary.left_out_records(),
                      scan.summary.records);
  for (const auto& [reason, left_out] : scan.summary.left_out) {
    text += fmt::format("  {:>9}  {}; {}\n", left_out.records, reason, left_out.first);
  }
  return text;
}

std::map<std::string, int64_t> WeightsOf(const LogScan& scan) {
  std::map<std::string, int64_t> weights = {
      {"cart", 1}, {"hide", 0}, {"purchase", 1}, {"return", -1}, {"view", 1}};
  for (const auto& [type, count] : scan.types) weights.emplace(type, 1);
  // The log's own come first, where there is no room for all.
  for (auto at = weights.begin(); weights.size() > LogScan::kTypesMax && at != weights.end();) {
    at = scan.types.contains(at->first) ? std::next(at) : weights.erase(at);
  }
  return weights;
}

}  // namespace groundswell
