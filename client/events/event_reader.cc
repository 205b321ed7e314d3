#include "client/events/event_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/time/time.h"
#include "client/terminal/table.h"
#include "google/protobuf/util/time_util.h"

namespace groundswell {
namespace {

// The fields of a record in the order in which Fields holds them.
enum Field { kTimestamp, kUser, kItem, kType, kWeight, kEventId, kFieldCount };

constexpr size_t kShownCharacters = 64;
constexpr char kUnreadable[] = "the input cannot be read; check the file and its disk";
constexpr double kLatestSeconds = 253'402'300'799;  // the end of the year 9999, as protobuf has it

std::array<const std::string*, kFieldCount> NamesOf(const EventColumns& columns) {
  return {&columns.timestamp, &columns.user,   &columns.item,
          &columns.type,      &columns.weight, &columns.event_id};
}

bool IsUtf8(const std::string& text) {
  // nlohmann refuses to write what is not UTF-8.
  try {
    return !nlohmann::json(text).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

// A JSON value as the text that a CSV field would hold; nullopt for arrays and objects.
std::optional<std::string> TextOf(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  if (value.is_null()) return "";
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> ParseTimestamp(const std::string& text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (!(seconds >= 0 && seconds <= kLatestSeconds)) return std::nullopt;
    return static_cast<int64_t>(std::llround(seconds * 1e6));
  }
  absl::Time time;
  std::string ignored;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &ignored)) return std::nullopt;
  const int64_t micros = absl::ToUnixMicros(time);  // "infinite-future" parses too
  if (micros < 0 || static_cast<double>(micros) > kLatestSeconds * 1e6) return std::nullopt;
  return micros;
}

EventReader::EventReader(std::istream& input, Options options)
    : input_(input), options_(std::move(options)), csv_(input) {}

absl::Status EventReader::Bad(std::string_view field, std::string_view value,
                              std::string_view remedy) const {
  const std::string text(value);
  const std::string shown =
      IsUtf8(text) ? FirstCharacters(text, kShownCharacters) : "(bytes that are not UTF-8)";
  return absl::InvalidArgumentError(
      fmt::format("record {}: {} is \"{}\"; {}", record_, field, shown, remedy));
}

absl::StatusOr<std::optional<ReadEvent>> EventReader::Next() {
  absl::StatusOr<std::optional<Fields>> fields = NextRecord();
  if (!fields.ok()) return fields.status();
  if (!fields->has_value()) return std::optional<ReadEvent>();
  absl::StatusOr<v1::Interaction> interaction = MakeInteraction(**fields);
  if (!interaction.ok()) return interaction.status();
  return std::optional<ReadEvent>({record_, *std::move(interaction)});
}

absl::StatusOr<std::optional<EventReader::Fields>> EventReader::NextRecord() {
  if (!fatal_.ok()) return fatal_;
  return options_.format == EventFormat::kCsv ? NextCsvRecord() : NextJsonRecord();
}

absl::Status EventReader::Behind(std::string_view reason) const {
  return absl::DataLossError(fmt::format("behind record {}: {}", record_, reason));
}

absl::Status EventReader::ReadHeader() {
  const auto header = csv_.Next();
  if (!header.ok()) return Behind(std::string(header.status().message()));
  if (!header->has_value()) {
    return absl::DataLossError("the input is empty; a CSV needs a header");
  }
  columns_ = (*header)->size();
  for (const std::string* name : NamesOf(options_.columns)) {
    const auto at = std::find((*header)->begin(), (*header)->end(), *name);
    positions_.push_back(at == (*header)->end() ? -1 : static_cast<int>(at - (*header)->begin()));
  }
  for (const Field field : {kTimestamp, kUser, kItem}) {
    if (positions_[field] < 0) {
      return absl::DataLossError(
          fmt::format("the CSV header has no column \"{}\"", *NamesOf(options_.columns)[field]));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<EventReader::Fields>> EventReader::NextCsvRecord() {
  if (columns_ == 0) {
    if (fatal_ = ReadHeader(); !fatal_.ok()) return fatal_;
  }
  const auto record = csv_.Next();
  if (!record.ok()) return fatal_ = Behind(std::string(record.status().message()));
  if (!record->has_value()) return std::optional<Fields>();
  ++record_;
  if ((*record)->size() != columns_) {
    return absl::InvalidArgumentError(
        fmt::format("record {}: it has {} fields and the header {}; put quotation marks around a "
                    "value with a comma",
                    record_, (*record)->size(), columns_));
  }
  Fields fields(kFieldCount);
  for (size_t i = 0; i < kFieldCount; ++i) {
    if (positions_[i] >= 0) fields[i] = (**record)[static_cast<size_t>(positions_[i])];
  }
  return std::optional<Fields>(std::move(fields));
}

absl::StatusOr<std::optional<EventReader::Fields>> EventReader::NextJsonRecord() {
  std::string line;
  char byte = 0;
  while (input_.get(byte) && byte != '\n') {
    line.push_back(byte);
    if (line.size() > kLineBytesMax) {
      return fatal_ = Behind(fmt::format("a line is longer than {} bytes", kLineBytesMax));
    }
  }
  if (input_.bad()) return fatal_ = Behind(kUnreadable);
  if (!input_ && line.empty()) return std::optional<Fields>();
  if (record_ == 0 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  json_bytes_read_ += line.size() + 1;
  ++record_;
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return Bad("the line", line, "it must be one JSON object");
  Fields fields(kFieldCount);
  const auto names = NamesOf(options_.columns);
  for (size_t i = 0; i < kFieldCount; ++i) {
    const auto at = object.find(*names[i]);
    if (at == object.end()) continue;
    std::optional<std::string> text = TextOf(*at);
    if (!text.has_value()) {
      return Bad(*names[i], at->type_name(), "it must be a string, a number or a boolean");
    }
    fields[i] = *std::move(text);
  }
  return std::optional<Fields>(std::move(fields));
}

absl::StatusOr<v1::Interaction> EventReader::MakeInteraction(const Fields& fields) {
  const auto names = NamesOf(options_.columns);
  for (size_t i = 0; i < kFieldCount; ++i) {
    if (!IsUtf8(fields[i])) return Bad(*names[i], fields[i], "it must be UTF-8");
  }
  v1::Interaction interaction;
  for (const Field field : {kUser, kItem}) {
    if (fields[field].empty()) return Bad(*names[field], "", "it must not be empty");
  }
  const std::optional<int64_t> time = ParseTimestamp(fields[kTimestamp]);
  if (!time.has_value()) {
    return Bad(*names[kTimestamp], fields[kTimestamp],
               "it must be Unix seconds such as 1322000000, or RFC 3339 such as "
               "2011-11-22T22:13:20Z");
  }
  if (!fields[kWeight].empty()) {
    int32_t weight = 0;
    const std::string& text = fields[kWeight];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
    if (error != std::errc() || end != text.data() + text.size()) {
      return Bad(*names[kWeight], text, "it must be a whole number");
    }
    interaction.set_weight(weight);
  }
  interaction.set_user_id(fields[kUser]);
  interaction.set_item_id(fields[kItem]);
  interaction.set_event_type(fields[kType].empty() ? options_.default_type : fields[kType]);
  *interaction.mutable_event_time() =
      google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(*time);
  if (!fields[kEventId].empty()) {
    interaction.set_event_id(fields[kEventId]);
  } else if (!options_.id_prefix.empty()) {
    interaction.set_event_id(fmt::format("{}:{}", options_.id_prefix, record_));
  } else {
    interaction.set_event_id(content_ids_.IdOf(interaction));
  }
  return interaction;
}

}  // namespace groundswell
