#include "client/events/event_file.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <system_error>

namespace groundswell {

void EventFileFlags::AddTo(CLI::App& command) {
  command.add_option("file", file, "CSV (with a header) or JSON lines; - for standard input")
      ->required();
  command.add_option("--format", format, "How to read the file")
      ->check(CLI::IsMember({"auto", "csv", "jsonl"}))
      ->capture_default_str();
  command.add_option("--type", default_type, "Event type of records that name none")
      ->capture_default_str();
  command.add_option("--timestamp-column", columns.timestamp)->capture_default_str();
  command.add_option("--user-column", columns.user)->capture_default_str();
  command.add_option("--item-column", columns.item)->capture_default_str();
  command.add_option("--type-column", columns.type)->capture_default_str();
  command.add_option("--weight-column", columns.weight)->capture_default_str();
  command.add_option("--event-id-column", columns.event_id)->capture_default_str();
  command.add_option(
      "--id-prefix", id_prefix,
      "Event ids of records without one are PREFIX:RECORD (default: made of what the record says, "
      "so that it counts once wherever it is read from)");
  command.add_flag("--skip-bad-records", skip_bad_records,
                   "Count records that are no interactions instead of stopping at the first");
}

EventReader::Options EventFileFlags::ReaderOptions() const {
  EventReader::Options options{.columns = columns, .default_type = default_type};
  const std::filesystem::path path(file);
  const bool is_json =
      path.extension() == ".jsonl" || path.extension() == ".json" || path.extension() == ".ndjson";
  options.format = format == "jsonl" || (format == "auto" && is_json) ? EventFormat::kJsonLines
                                                                      : EventFormat::kCsv;
  options.id_prefix = id_prefix;
  return options;
}

absl::Status EventFile::Open(const EventFileFlags& flags) {
  is_standard_input_ = flags.IsStandardInput();
  if (is_standard_input_) return absl::OkStatus();
  file_.open(flags.file, std::ios::binary);
  if (!file_) return absl::NotFoundError(fmt::format("cannot open \"{}\"", flags.file));
  std::error_code unknown_size;
  bytes_ = std::filesystem::file_size(flags.file, unknown_size);
  if (unknown_size) bytes_ = 0;
  return absl::OkStatus();
}

std::istream& EventFile::stream() {
  if (is_standard_input_) return std::cin;
  return file_;
}

}  // namespace groundswell
