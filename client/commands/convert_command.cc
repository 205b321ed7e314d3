// convert: a log of whatever make as the trainer reads it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/commands/commands.h"
#include "client/events/event_file.h"
#include "client/terminal/progress_bar.h"
#include "csv/event_sorter.h"
#include "csv/event_time.h"
#include "program/standard_error.h"
#include "program/terminal_text.h"

namespace groundswell {
namespace {

constexpr size_t kFlushBytes = size_t{1} << 16;

void AppendField(std::string_view field, std::string& row) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) {
    row += field;
    return;
  }
  row += '"';
  for (const char c : field) {
    if (c == '"') row += '"';
    row += c;
  }
  row += '"';
}

// `default_type` is that of events that name none.
void AppendRow(const LogEvent& event, const std::string& default_type, std::string& rows) {
  rows += fmt::format("{}.{:06},", event.time_us / EventTime::kMicrosPerSecond,
                      event.time_us % EventTime::kMicrosPerSecond);
  AppendField(event.user, rows);
  rows += ',';
  AppendField(event.item, rows);
  rows += ',';
  AppendField(event.type.empty() ? default_type : event.type, rows);
  rows += event.weight.has_value() ? fmt::format(",{},", *event.weight) : ",,";
  AppendField(event.event_id, rows);
  rows += '\n';
}

absl::Status ReadAll(const EventFileFlags& flags, EventFile& file, LogReader& reader,
                     EventSorter& events) {
  ProgressBar bar("reading", file.bytes());
  const auto bytes_read = [&] { return file.BytesRead(reader); };
  const auto note = [&] { return fmt::format("{} records", reader.summary().records); };
  while (!Interrupted()) {
    const absl::StatusOr<std::optional<LogEvent>> event = reader.Next();
    const bool is_bad = absl::IsInvalidArgument(event.status()) && !reader.ended();
    if (is_bad && flags.skip_bad_records) continue;
    if (!event.ok()) return file.Explain(event.status());
    if (!event->has_value()) {
      bar.Finish(bytes_read(), note());
      return absl::OkStatus();
    }
    if (!events.Add(**event)) {
      return absl::ResourceExhaustedError(
          fmt::format("the log has more than the {} events that fit into {} MiB", events.size(),
                      EventReader::kSortBytesMax >> 20));
    }
    bar.Update(bytes_read(), note());
  }
  return absl::CancelledError("stopped");
}

// False when they cannot be written.
bool Print(EventSorter& events, const std::string& default_type) {
  std::string rows = "timestamp,user,item,type,weight,event_id\n";
  while (const std::optional<LogEvent> event = events.Next()) {
    AppendRow(*event, default_type, rows);
    if (rows.size() < kFlushBytes) continue;
    if (std::fwrite(rows.data(), 1, rows.size(), stdout) != rows.size()) return false;
    rows.clear();
  }
  return std::fwrite(rows.data(), 1, rows.size(), stdout) == rows.size() &&
         std::fflush(stdout) == 0;
}

void Convert(const EventFileFlags& flags, CommandContext& context) {
  EventFile file;
  if (absl::Status s = file.Open(flags); !s.ok()) return context.Fail(s);
  LogReader reader(file.stream(), flags.ReaderOptions().log);
  EventSorter events(EventReader::kSortBytesMax);
  if (absl::Status s = ReadAll(flags, file, reader, events); !s.ok()) return context.Fail(s);
  const LogSummary& read = reader.summary();
  for (const auto& [reason, left_out] : read.left_out) {
    PrintToStandardError("{} of {} records left out: {}\n", left_out.records, read.records,
                         TerminalText(reason));
  }
  events.Sort();
  if (!Print(events, flags.type)) {
    context.Fail(absl::ResourceExhaustedError("the output cannot be written"));
  }
}

}  // namespace

void AddConvertCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command =
      *app.add_subcommand("convert", "Prints a log, of whatever make, as CSV in the order of time");
  auto flags = std::make_shared<EventFileFlags>();
  flags->AddColumnsTo(command);
  flags->AddSkipTo(command);
  command.footer("Example:\n  groundswell convert orders.csv > converted.csv");
  command.callback([flags, &context] { Convert(*flags, context); });
}

}  // namespace groundswell
