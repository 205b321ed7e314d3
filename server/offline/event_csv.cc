#include "server/offline/event_csv.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <fstream>
#include <optional>
#include <span>
#include <string_view>

#include "csv/csv_reader.h"
#include "graph/log/interaction.h"

namespace groundswell {
namespace {

using Record = std::span<const std::string_view>;

// Those that a header may lack come last.
enum Column { kTimestamp, kUser, kItem, kType, kWeight, kColumnCount };
constexpr std::array<std::string_view, kColumnCount> kColumns = {"timestamp", "user", "item",
                                                                 "type", "weight"};

// The file, record by record, and where in it the reading is.
class EventFile {
 public:
  EventFile(std::istream& input, const std::string& path, const EventWeights& weights)
      : reader_(input), path_(path), weights_(weights) {}

  absl::Status ReadHeader();
  // Fills `event` with the next one; false at the end.
  absl::StatusOr<bool> Next(PastEvent& event);

 private:
  absl::StatusOr<std::optional<Record>> NextRecord();
  absl::StatusOr<Count> WeightOf(const Record& fields) const;
  // Empty where the header has no such column.
  std::string_view Field(const Record& fields, Column column) const {
    return positions_[column] < columns_ ? fields[positions_[column]] : std::string_view();
  }
  absl::Status Bad(std::string_view what) const {
    return absl::InvalidArgumentError(fmt::format("{}:{}: {}", path_, line_, what));
  }

  CsvReader reader_;
  const std::string& path_;
  const EventWeights& weights_;
  size_t line_ = 0;  // of the record read last, from 1
  size_t columns_ = 0;
  std::array<size_t, kColumns.size()> positions_{};
  int64_t last_time_s_ = 0;
};

absl::StatusOr<std::optional<Record>> EventFile::NextRecord() {
  ++line_;
  auto record = reader_.Next();
  if (!record.ok()) return Bad(std::string(record.status().message()));
  return record;
}

absl::Status EventFile::ReadHeader() {
  const auto header = NextRecord();
  if (!header.ok()) return header.status();
  if (!header->has_value()) return Bad("the file is empty");
  columns_ = (*header)->size();
  for (size_t i = 0; i < kColumns.size(); ++i) {
    positions_[i] = columns_;
    for (size_t column = 0; column < columns_; ++column) {
      if ((**header)[column] == kColumns[i]) positions_[i] = column;
    }
    if (positions_[i] == columns_ && i < kType) {
      return Bad(fmt::format("the header has no column \"{}\"", kColumns[i]));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Count> EventFile::WeightOf(const Record& fields) const {
  const std::string_view text = Field(fields, kWeight);
  if (!text.empty()) {
    Count weight = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
    if (error != std::errc() || end != text.data() + text.size() || weight == 0 ||
        weight < -kWeightMax || weight > kWeightMax) {
      return Bad(
          fmt::format("weight \"{0}\" must be a whole number, -{1} to {1} and not 0; leave "
                      "out an event that weighs nothing",
                      text, kWeightMax));
    }
    return weight;
  }
  const std::string_view named = Field(fields, kType);
  const std::string type(named.empty() ? weights_.default_type : named);
  const auto found = weights_.of_type.find(type);
  if (found != weights_.of_type.end()) return found->second;
  std::string known;
  for (const auto& [name, weight] : weights_.of_type) known += (known.empty() ? "" : ", ") + name;
  return Bad(
      fmt::format("type \"{}\" must be one of the configured types, {}; give those of your "
                  "server (--event_types)",
                  type, known));
}

absl::StatusOr<bool> EventFile::Next(PastEvent& event) {
  const auto record = NextRecord();
  if (!record.ok()) return record.status();
  if (!record->has_value()) return false;
  const Record& fields = **record;
  if (fields.size() != columns_) {
    return Bad(
        fmt::format("it has {} fields and the header {}; put quotation marks around a value with a "
                    "comma",
                    fields.size(), columns_));
  }
  const std::string_view time = fields[positions_[kTimestamp]];
  const auto [end, error] = std::from_chars(time.data(), time.data() + time.size(), event.time_s);
  if (error != std::errc() || end != time.data() + time.size() || event.time_s < 0) {
    return Bad(fmt::format("timestamp \"{}\" is not a whole number of Unix seconds", time));
  }
  if (event.time_s < last_time_s_) {
    return Bad("events must be in time order; sort the file by timestamp");
  }
  last_time_s_ = event.time_s;
  event.user_id = fields[positions_[kUser]];
  event.item_id = fields[positions_[kItem]];
  if (event.user_id.empty() || event.item_id.empty()) {
    return Bad("user and item must not be empty");
  }
  const absl::StatusOr<Count> weight = WeightOf(fields);
  if (!weight.ok()) return weight.status();
  event.weight = *weight;
  return true;
}

}  // namespace

absl::Status ReadEventCsv(const std::string& path, const EventWeights& weights,
                          const std::function<absl::Status(const PastEvent&)>& on_event) {
  std::ifstream input(path, std::ios::binary);
  if (!input) return absl::NotFoundError(fmt::format("cannot open \"{}\"", path));
  EventFile file(input, path, weights);
  if (absl::Status s = file.ReadHeader(); !s.ok()) return s;
  PastEvent event;
  while (true) {
    const absl::StatusOr<bool> read = file.Next(event);
    if (!read.ok()) return read.status();
    if (!*read) return absl::OkStatus();
    if (absl::Status s = on_event(event); !s.ok()) return s;
  }
}

}  // namespace groundswell
