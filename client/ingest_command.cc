// ingest: sends a file of interactions to the server, with progress, and resumes where it was.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/commands.h"
#include "client/event_reader.h"
#include "client/progress_bar.h"

namespace groundswell {
namespace {

constexpr size_t kReasonsShown = 5;

struct IngestFlags {
  std::string file;
  std::string format = "auto";
  EventColumns columns;
  std::string default_type = "purchase";
  std::string id_prefix;
  std::string resume_file;
  size_t batch_size = 200;
  uint64_t limit = 0;
  bool skip_bad_records = false;
};

// What came of an ingest; filled from the stream's acknowledgements.
struct Progress {
  std::mutex mutex;
  uint64_t accepted = 0;
  uint64_t duplicates = 0;
  uint64_t refused = 0;
  uint64_t bad_records = 0;
  std::vector<std::string> reasons;  // of the first refusals
  int64_t last_offset = 0;
  std::string consistency_token;
  std::deque<uint64_t> sent_records;  // last record of every batch not yet acknowledged
  uint64_t acknowledged_record = 0;   // everything up to here is dealt with

  uint64_t total() const { return accepted + duplicates + refused; }
};

// Written whole or not at all, so that a crash leaves the previous state.
absl::Status WriteResumeFile(const std::string& path, uint64_t record) {
  if (path.empty()) return absl::OkStatus();
  const std::string partial = path + ".partial";
  std::ofstream(partial) << record << "\n";
  std::error_code error;
  std::filesystem::rename(partial, path, error);
  if (error) {
    return absl::UnavailableError(
        fmt::format("cannot write --resume-file \"{}\": {}", path, error.message()));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> ReadResumeFile(const std::string& path) {
  if (path.empty() || !std::filesystem::exists(path)) return uint64_t{0};
  uint64_t record = 0;
  std::ifstream file(path);
  if (!(file >> record)) {
    return absl::InvalidArgumentError(fmt::format(
        "--resume-file \"{}\" does not hold a record number; delete it to begin anew", path));
  }
  return record;
}

void OnAck(Progress& progress, const v1::IngestResponse& response) {
  const std::lock_guard<std::mutex> lock(progress.mutex);
  progress.accepted += static_cast<uint64_t>(response.accepted_count());
  progress.duplicates += static_cast<uint64_t>(response.duplicate_count());
  progress.refused += static_cast<uint64_t>(response.refusals_size());
  for (const auto& refusal : response.refusals()) {
    if (progress.reasons.size() == kReasonsShown) break;
    progress.reasons.push_back(refusal.status().message());
  }
  if (response.last_offset() > progress.last_offset) {
    progress.last_offset = response.last_offset();
    progress.consistency_token = response.consistency_token();
  }
  progress.acknowledged_record = progress.sent_records.front();
  progress.sent_records.pop_front();
}

EventReader::Options ReaderOptions(const IngestFlags& flags) {
  EventReader::Options options{.columns = flags.columns, .default_type = flags.default_type};
  const std::filesystem::path path(flags.file);
  const bool is_json =
      path.extension() == ".jsonl" || path.extension() == ".json" || path.extension() == ".ndjson";
  options.format = flags.format == "jsonl" || (flags.format == "auto" && is_json)
                       ? EventFormat::kJsonLines
                       : EventFormat::kCsv;
  options.id_prefix = flags.id_prefix;
  if (options.id_prefix.empty()) {
    options.id_prefix = flags.file == "-" ? "stdin" : path.stem().string();
  }
  return options;
}

// Reads, batches and sends until the end, an error, or an interruption.
absl::Status SendAll(const IngestFlags& flags, EventReader& reader, uint64_t resume_from,
                     IngestStream& stream, Progress& progress, ProgressBar& bar) {
  std::vector<v1::Interaction> batch;
  uint64_t last_record = resume_from;
  uint64_t sent = 0;
  const auto send = [&]() -> absl::Status {
    if (batch.empty()) return absl::OkStatus();
    {
      const std::lock_guard<std::mutex> lock(progress.mutex);
      progress.sent_records.push_back(last_record);
    }
    absl::Status status = stream.Send(batch);
    batch.clear();
    const std::lock_guard<std::mutex> lock(progress.mutex);
    bar.Update(reader.bytes_read(), fmt::format("{} acknowledged", progress.total()));
    return status;
  };
  while (!Interrupted() && (flags.limit == 0 || sent < flags.limit)) {
    absl::StatusOr<std::optional<ReadEvent>> event = reader.Next();
    if (absl::IsInvalidArgument(event.status()) && flags.skip_bad_records) {
      const std::lock_guard<std::mutex> lock(progress.mutex);
      ++progress.bad_records;
      if (progress.reasons.size() < kReasonsShown) {
        progress.reasons.emplace_back(event.status().message());
      }
      continue;
    }
    if (!event.ok()) {
      send().IgnoreError();  // what was good before the bad record still counts
      return event.status();
    }
    if (!event->has_value()) break;
    if ((*event)->record <= resume_from) continue;
    last_record = (*event)->record;
    batch.push_back(std::move((*event)->interaction));
    ++sent;
    if (batch.size() == flags.batch_size) {
      if (absl::Status s = send(); !s.ok()) return s;
    }
  }
  return send();
}

void PrintSummary(const CommandContext& context, const IngestFlags& flags, Progress& progress,
                  double seconds) {
  const double rate = static_cast<double>(progress.total()) / std::max(seconds, 1e-9);
  if (context.json) {
    const nlohmann::ordered_json summary = {{"accepted", progress.accepted},
                                            {"duplicates", progress.duplicates},
                                            {"refused", progress.refused},
                                            {"bad_records", progress.bad_records},
                                            {"reasons", progress.reasons},
                                            {"last_offset", progress.last_offset},
                                            {"consistency_token", progress.consistency_token},
                                            {"acknowledged_record", progress.acknowledged_record},
                                            {"interrupted", Interrupted()},
                                            {"events_per_second", rate}};
    fmt::print("{}\n", summary.dump());
    return;
  }
  fmt::print("{} accepted, {} duplicates, {} refused, {} bad records, {:.0f} events/s\n",
             progress.accepted, progress.duplicates, progress.refused, progress.bad_records, rate);
  for (const std::string& reason : progress.reasons) fmt::print("  refused: {}\n", reason);
  if (progress.last_offset > 0) {
    fmt::print("last offset {}, --consistency-token {}\n", progress.last_offset,
               progress.consistency_token);
  }
  if (Interrupted()) {
    fmt::print("interrupted behind record {}; {}\n", progress.acknowledged_record,
               flags.resume_file.empty() ? "run it again: what was acknowledged counts once"
                                         : "run it again to go on from there");
  }
}

void Ingest(const IngestFlags& flags, CommandContext& context) {
  const absl::StatusOr<uint64_t> resume_from = ReadResumeFile(flags.resume_file);
  if (!resume_from.ok()) return context.Fail(resume_from.status());
  std::ifstream file;
  uint64_t bytes = 0;
  if (flags.file != "-") {
    file.open(flags.file, std::ios::binary);
    if (!file)
      return context.Fail(absl::NotFoundError(fmt::format("cannot open \"{}\"", flags.file)));
    std::error_code unknown_size;
    bytes = std::filesystem::file_size(flags.file, unknown_size);
    if (unknown_size) bytes = 0;
  }
  EventReader reader(flags.file == "-" ? std::cin : file, ReaderOptions(flags));
  Progress progress;
  progress.acknowledged_record = *resume_from;
  ProgressBar bar("ingest", bytes);
  const auto begin = std::chrono::steady_clock::now();
  Client client = context.MakeClient();
  const auto stream = client.Ingest(
      {.name_space = "", .on_ack = [&](const v1::IngestResponse& ack) { OnAck(progress, ack); }});
  absl::Status status = SendAll(flags, reader, *resume_from, *stream, progress, bar);
  const absl::Status finished = stream->Finish();
  // The stream's own error says more than "the stream has ended".
  if (!finished.ok()) status = finished;
  status.Update(WriteResumeFile(flags.resume_file, progress.acknowledged_record));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  bar.Finish(reader.bytes_read(), fmt::format("{} acknowledged", progress.total()));
  PrintSummary(context, flags, progress, elapsed.count());
  if (!status.ok()) return context.Fail(status);
  if (progress.refused > 0 || Interrupted()) context.exit_code = kExitError;
}

}  // namespace

void AddIngestCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("ingest", "Sends a file of interactions to the server");
  auto flags = std::make_shared<IngestFlags>();
  command
      .add_option("file", flags->file, "CSV (with a header) or JSON lines; - for standard input")
      ->required();
  command.add_option("--format", flags->format, "How to read the file")
      ->check(CLI::IsMember({"auto", "csv", "jsonl"}))
      ->capture_default_str();
  command.add_option("--type", flags->default_type, "Event type of records that name none")
      ->capture_default_str();
  command.add_option("--timestamp-column", flags->columns.timestamp)->capture_default_str();
  command.add_option("--user-column", flags->columns.user)->capture_default_str();
  command.add_option("--item-column", flags->columns.item)->capture_default_str();
  command.add_option("--type-column", flags->columns.type)->capture_default_str();
  command.add_option("--weight-column", flags->columns.weight)->capture_default_str();
  command.add_option("--event-id-column", flags->columns.event_id)->capture_default_str();
  command.add_option(
      "--id-prefix", flags->id_prefix,
      "Event ids of records without one are PREFIX:RECORD (default: the file's name)");
  command.add_option("--batch-size", flags->batch_size, "Interactions in a message")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command.add_option("--limit", flags->limit, "Send at most so many; 0: all")
      ->capture_default_str();
  command.add_option("--resume-file", flags->resume_file,
                     "Remembers here how far it came, and goes on from there");
  command.add_flag("--skip-bad-records", flags->skip_bad_records,
                   "Count records that are no interactions instead of stopping at the first");
  command.footer(
      "Example:\n  groundswell ingest events.csv --type purchase --resume-file events.at");
  command.callback([flags, &context] { Ingest(*flags, context); });
}

}  // namespace groundswell
