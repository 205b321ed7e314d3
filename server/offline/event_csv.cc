#include "server/offline/event_csv.h"

#include <csv.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <fstream>
#include <string_view>
#include <vector>

namespace groundswell {
namespace {

constexpr std::array<std::string_view, 3> kColumns = {"timestamp", "user", "item"};

// What the parser's callbacks work on.
struct Reading {
  const std::string& path;
  const std::function<absl::Status(const PastEvent&)>& on_event;
  absl::Status status;
  PastEvent event;
  int64_t last_time_s = 0;
  size_t line = 1;
  bool header = true;
  size_t column = 0;
  std::array<size_t, kColumns.size()> positions{};  // 1-based column of each name; 0: not seen
  std::array<std::string, kColumns.size()> fields;

  void Refuse(std::string_view what) {
    if (status.ok()) {
      status = absl::InvalidArgumentError(fmt::format("{}:{}: {}", path, line, what));
    }
  }
};

void OnField(void* text, size_t size, void* data) {
  auto& reading = *static_cast<Reading*>(data);
  const std::string_view field(static_cast<const char*>(text), size);
  ++reading.column;
  for (size_t i = 0; i < kColumns.size(); ++i) {
    if (reading.header && field == kColumns[i]) reading.positions[i] = reading.column;
    if (!reading.header && reading.positions[i] == reading.column) reading.fields[i] = field;
  }
}

void FinishHeader(Reading& reading) {
  for (size_t i = 0; i < kColumns.size(); ++i) {
    if (reading.positions[i] == 0) {
      reading.Refuse(fmt::format("the header has no column \"{}\"", kColumns[i]));
    }
  }
  reading.header = false;
}

void OnRow(int /*terminator*/, void* data) {
  auto& reading = *static_cast<Reading*>(data);
  if (reading.header) {
    FinishHeader(reading);
  } else {
    PastEvent& event = reading.event;
    event.user_id.assign(reading.fields[1]);
    event.item_id.assign(reading.fields[2]);
    const std::string& time = reading.fields[0];
    const auto [end, error] = std::from_chars(time.data(), time.data() + time.size(), event.time_s);
    if (error != std::errc() || end != time.data() + time.size() || event.time_s < 0) {
      reading.Refuse(fmt::format("timestamp \"{}\" is not a whole number of Unix seconds", time));
    } else if (event.time_s < reading.last_time_s) {
      reading.Refuse("events must be in time order; sort the file by timestamp");
    } else if (event.user_id.empty() || event.item_id.empty()) {
      reading.Refuse("user and item must not be empty");
    } else if (reading.status.ok()) {
      reading.last_time_s = event.time_s;
      reading.status = reading.on_event(event);
    }
  }
  for (std::string& field : reading.fields) field.clear();
  reading.column = 0;
  ++reading.line;
}

}  // namespace

absl::Status ReadEventCsv(const std::string& path,
                          const std::function<absl::Status(const PastEvent&)>& on_event) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(fmt::format("cannot open \"{}\"", path));
  csv_parser parser;
  if (csv_init(&parser, CSV_STRICT | CSV_APPEND_NULL) != 0) {
    return absl::InternalError("cannot set up the CSV parser");
  }
  Reading reading{.path = path, .on_event = on_event};
  std::vector<char> buffer(size_t{1} << 16);
  while (file && reading.status.ok()) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    const auto size = static_cast<size_t>(file.gcount());
    if (csv_parse(&parser, buffer.data(), size, OnField, OnRow, &reading) != size) {
      reading.Refuse(csv_strerror(csv_error(&parser)));
    }
  }
  if (reading.status.ok()) csv_fini(&parser, OnField, OnRow, &reading);
  csv_free(&parser);
  if (reading.status.ok() && reading.header) reading.Refuse("the file is empty");
  return reading.status;
}

}  // namespace groundswell
