// ingest: sends a file of interactions to the server, with progress, and resumes where it was.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/commands/commands.h"
#include "client/events/event_file.h"
#include "client/events/event_sender.h"
#include "client/terminal/progress_bar.h"

namespace groundswell {
namespace {

constexpr size_t kReasonsShown = 5;
constexpr std::chrono::milliseconds kResumeInterval{50};

struct IngestFlags {
  EventFileFlags events;
  std::string resume_file;
  std::string producer_id;
  int64_t retry_for_s = 60;
  size_t batch_size = 200;
  uint64_t limit = 0;
};

// Remembers, in a file, up to which record everything is dealt with. Thread-safe.
class ResumeFile {
 public:
  explicit ResumeFile(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<uint64_t> Read() const {
    if (path_.empty() || !std::filesystem::exists(path_)) return uint64_t{0};
    uint64_t record = 0;
    std::ifstream file(path_);
    if (!(file >> record)) {
      return absl::InvalidArgumentError(fmt::format(
          "--resume-file \"{}\" does not hold a record number; delete it to begin anew", path_));
    }
    return record;
  }

  // Now and then; the first error stays.
  void Note(uint64_t record) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + kResumeInterval;
    status_.Update(Write(record));
  }

  absl::Status Finish(uint64_t record) {
    const std::lock_guard<std::mutex> lock(mutex_);
    absl::Status status = Write(record);
    return status_.ok() ? status : status_;
  }

 private:
  // Written whole, on disk, and then put in the place of the old one: a crash or a full disk leaves
  // the previous state.
  absl::Status Write(uint64_t record) const {
    if (path_.empty()) return absl::OkStatus();
    const std::string partial = path_ + ".partial";
    const std::string text = fmt::format("{}\n", record);
    const int file = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool written = file >= 0 &&
                   ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                   ::fsync(file) == 0;
    if (file >= 0) written = ::close(file) == 0 && written;
    if (written && ::rename(partial.c_str(), path_.c_str()) == 0) return absl::OkStatus();
    return absl::UnavailableError(
        fmt::format("cannot write --resume-file \"{}\": {}", path_, std::strerror(errno)));
  }

  const std::string path_;
  std::mutex mutex_;
  absl::Status status_;
  std::chrono::steady_clock::time_point next_;
};

// Records that are no interactions, with --skip-bad-records.
struct BadRecords {
  uint64_t count = 0;
  std::vector<std::string> reasons;  // of the first
};

// Reads and sends until the end, an error, or an interruption. Interactions up to `known_sequence`
// (in the order of sending) and records up to `resume_from` are there already.
absl::Status SendAll(const IngestFlags& flags, EventReader& reader, uint64_t resume_from,
                     int64_t known_sequence, EventSender& sender, BadRecords& bad,
                     ProgressBar& bar) {
  uint64_t sent = 0;
  int64_t sequence = 0;
  while (!Interrupted() && (flags.limit == 0 || sent < flags.limit)) {
    absl::StatusOr<std::optional<ReadEvent>> event = reader.Next();
    if (absl::IsInvalidArgument(event.status()) && flags.events.skip_bad_records) {
      ++bad.count;
      if (bad.reasons.size() < kReasonsShown) bad.reasons.emplace_back(event.status().message());
      continue;
    }
    if (!event.ok()) return event.status();
    if (!event->has_value()) break;
    if (++sequence <= known_sequence || (*event)->record <= resume_from) continue;
    absl::Status status = sender.Send((*event)->record, std::move((*event)->interaction));
    if (!status.ok()) return status;
    if (++sent % flags.batch_size == 0) {
      bar.Update(reader.bytes_read(), fmt::format("{} acknowledged", sender.totals().sum()));
    }
  }
  return absl::OkStatus();
}

void PrintSummary(const CommandContext& context, const IngestFlags& flags,
                  const EventSender::Totals& totals, const BadRecords& bad, double seconds) {
  const double rate = static_cast<double>(totals.sum()) / std::max(seconds, 1e-9);
  std::vector<std::string> reasons = bad.reasons;
  reasons.insert(reasons.end(), totals.reasons.begin(), totals.reasons.end());
  if (context.json) {
    const nlohmann::ordered_json summary = {{"accepted", totals.accepted},
                                            {"duplicates", totals.duplicates},
                                            {"refused", totals.refused},
                                            {"bad_records", bad.count},
                                            {"reasons", reasons},
                                            {"last_offset", totals.last_offset},
                                            {"consistency_token", totals.consistency_token},
                                            {"acknowledged_record", totals.acknowledged_record},
                                            {"interrupted", Interrupted()},
                                            {"events_per_second", rate}};
    fmt::print("{}\n", summary.dump());
    return;
  }
  fmt::print("{} accepted, {} duplicates, {} refused, {} bad records, {:.0f} events/s\n",
             totals.accepted, totals.duplicates, totals.refused, bad.count, rate);
  for (const std::string& reason : reasons) fmt::print("  refused: {}\n", reason);
  if (totals.last_offset > 0) {
    fmt::print("last offset {}, --consistency-token {}\n", totals.last_offset,
               totals.consistency_token);
  }
  if (Interrupted()) {
    fmt::print("interrupted behind record {}; {}\n", totals.acknowledged_record,
               flags.resume_file.empty() && flags.producer_id.empty()
                   ? "run it again: what was acknowledged counts once"
                   : "run it again to go on from there");
  }
}

void Ingest(const IngestFlags& flags, CommandContext& context) {
  ResumeFile resume(flags.resume_file);
  const absl::StatusOr<uint64_t> resume_from = resume.Read();
  if (!resume_from.ok()) return context.Fail(resume_from.status());
  EventFile file;
  if (absl::Status s = file.Open(flags.events); !s.ok()) return context.Fail(s);
  EventReader reader(file.stream(), flags.events.ReaderOptions());
  ProgressBar bar("ingest", file.bytes());
  const auto begin = std::chrono::steady_clock::now();
  Client client = context.MakeClient();
  EventSender sender(client,
                     {.batch_size = flags.batch_size,
                      .producer_id = flags.producer_id,
                      .retry_for = std::chrono::seconds(flags.retry_for_s),
                      .stopped = Interrupted,
                      .on_progress = [&resume](uint64_t record) { resume.Note(record); }},
                     *resume_from);
  int64_t known_sequence = 0;
  if (!flags.producer_id.empty()) {
    const absl::StatusOr<int64_t> last = sender.AskLastSequence();
    if (!last.ok()) return context.Fail(last.status());
    known_sequence = *last;
  }
  BadRecords bad;
  absl::Status status = SendAll(flags, reader, *resume_from, known_sequence, sender, bad, bar);
  const absl::Status finished = sender.Finish();  // what was good before a bad record still counts
  if (status.ok()) status = finished;
  const EventSender::Totals totals = sender.totals();
  const absl::Status noted = resume.Finish(totals.acknowledged_record);
  if (status.ok() || (absl::IsCancelled(status) && Interrupted())) status = noted;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  bar.Finish(reader.bytes_read(), fmt::format("{} acknowledged", totals.sum()));
  PrintSummary(context, flags, totals, bad, elapsed.count());
  if (!status.ok()) return context.Fail(status);
  if (totals.refused > 0 || Interrupted()) context.exit_code = kExitError;
}

}  // namespace

void AddIngestCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("ingest", "Sends a file of interactions to the server");
  auto flags = std::make_shared<IngestFlags>();
  flags->events.AddTo(command);
  command.add_option("--batch-size", flags->batch_size, "Interactions in a message")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command.add_option("--limit", flags->limit, "Send at most so many; 0: all")
      ->capture_default_str();
  command.add_option("--resume-file", flags->resume_file,
                     "Remembers here how far it came, and goes on from there");
  command
      .add_option("--producer-id", flags->producer_id,
                  "Number what is sent under this name; a later run goes on where the server is")
      ->excludes("--resume-file");
  command
      .add_option("--retry-for-s", flags->retry_for_s,
                  "Try so long while the server is away or full")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
  command.footer(
      "Example:\n  groundswell ingest events.csv --type purchase --resume-file events.at");
  command.callback([flags, &context] { Ingest(*flags, context); });
}

}  // namespace groundswell
