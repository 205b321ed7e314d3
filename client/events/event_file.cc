#include "client/events/event_file.h"

#include <CLI/CLI.hpp>

namespace groundswell {

void EventFileFlags::AddColumnsTo(CLI::App& command) {
  command
      .add_option("file", file,
                  "CSV (separated by , ; tab | or ::) or JSON lines, also as .gz or .zst; - for "
                  "standard input")
      ->required();
  command.add_option("--user,--user-column", columns[kUserField],
                     "Column (CSV) or key (JSON) of the user; without it, by the names in use");
  command.add_option("--item,--item-column", columns[kItemField], "Likewise, of the item");
  command.add_option("--time,--timestamp-column", columns[kTimeField], "Likewise, of the time");
  command.add_option("--type", type,
                     "Column of the event type; or, where there is none of this name, the type of "
                     "records that name none. Default: purchase");
  command.add_option("--weight,--weight-column", columns[kWeightField],
                     "Column of what an event weighs");
  command
      .add_option("--columns", header,
                  "The names of the columns, in their order, where the file has no header")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--min-rating", rating_min, "Leave out what is rated lower");
}

void EventFileFlags::AddTo(CLI::App& command) {
  AddColumnsTo(command);
  command.add_option("--format", format, "How to read the file")
      ->check(CLI::IsMember({"auto", "csv", "jsonl"}))
      ->capture_default_str();
  command.add_option("--type-column", columns[kTypeField], "Column of the event type");
  command.add_option("--event-id-column", columns[kEventIdField], "Column of the event id");
  command.add_option("--rating-column", columns[kRatingField], "Column that --min-rating reads");
  command.add_flag("--sort", sort, "Read all of it first, and take it in the order of time");
  command.add_option(
      "--id-prefix", id_prefix,
      "Event ids of records without one are PREFIX:RECORD (default: made of what the record says, "
      "so that it counts once wherever it is read from)");
  AddSkipTo(command);
}

void EventFileFlags::AddSkipTo(CLI::App& command) {
  command.add_flag("--skip-bad-records", skip_bad_records,
                   "Leave out records that are no interactions, and count them");
}

EventReader::Options EventFileFlags::ReaderOptions() const {
  EventReader::Options options{
      .log = {.columns = columns, .header = header, .type_column_or_type = type},
      .id_prefix = id_prefix,
      .sort_bytes_max = sort ? EventReader::kSortBytesMax : 0};
  if (format == "csv") options.log.format = LogFileFormat::kCsv;
  if (format == "jsonl") options.log.format = LogFileFormat::kJsonLines;
  // What is no number is for the reader to refuse.
  if (!(rating_min <= std::numeric_limits<double>::lowest())) options.log.rating_min = rating_min;
  if (!type.empty()) options.default_type = type;
  return options;
}

}  // namespace groundswell
