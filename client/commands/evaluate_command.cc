// evaluate: measures a server's recommendations on a log, event by event.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/commands/commands.h"
#include "client/evaluate/evaluation.h"
#include "client/evaluate/evaluation_report.h"
#include "client/events/event_file.h"
#include "client/source_names.h"
#include "client/terminal/progress_bar.h"
#include "csv/event_time.h"
#include "program/standard_error.h"
#include "program/terminal_text.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;

// The cutoff whose hit rate is shown on the way.
constexpr size_t kShownCutoff = 1;
// Generous, unless the caller says otherwise: quality is measured here, not latency.
constexpr int64_t kTimeoutMs = 10'000;

struct EvaluateFlags {
  EventFileFlags events;
  EvaluationOptions options;
  std::vector<std::string> lists = {"blend-ranked", "blend"};
  std::vector<std::string> sources;
  std::string test_from;
  uint64_t test_events = 0;
  std::string mode = "live";
  bool include_seen = false;
  bool skip_refused = false;
  size_t parallel = 2;
  int64_t retry_for_s = 60;
  int64_t visit_gap_s = 0;
};

// Shows how far an evaluation is: a bar over the bytes of the log until the test begins, then one
// over the events of the test, if their number is known, or again over the bytes.
class Display {
 public:
  Display(uint64_t bytes, uint64_t test_events, const EvaluatedLists& lists)
      : bytes_(bytes), test_events_(test_events), lists_(lists) {
    bar_.emplace("before the test", bytes);
  }

  void Update(const EvaluationReport& report, uint64_t bytes_read) {
    if (report.test_events == 0) {
      bar_->Update(bytes_read, fmt::format("{} events", report.records_before));
      return;
    }
    if (!in_test_) {
      in_test_ = true;
      first_byte_ = bytes_read;
      bar_.emplace("evaluate", Total());
    }
    done_ = test_events_ > 0 ? report.test_events : bytes_read - first_byte_;
    // The note costs more than the look at the clock.
    if (steady_clock::now() < next_) return;
    next_ = steady_clock::now() + std::chrono::milliseconds(50);
    bar_->Update(done_, Note(report));
  }

  void Finish(const EvaluationReport& report) { bar_->Finish(done_, Note(report)); }

 private:
  uint64_t Total() const { return test_events_ > 0 ? test_events_ : bytes_ - first_byte_; }

  std::string Note(const EvaluationReport& report) const {
    const double seconds = std::max(report.test_seconds, 1e-9);
    std::string note = fmt::format("{} events, {:.0f}/s", report.test_events,
                                   static_cast<double>(report.test_events) / seconds);
    if (done_ > 0 && Total() > done_) {
      const double rest = static_cast<double>(Total() - done_) / static_cast<double>(done_);
      note += fmt::format(", {:.0f} s left", seconds * rest);
    }
    const ListMetrics& first = lists_.reports().front().metrics;
    if (first.events() > 0) {
      note += fmt::format(
          ", {} HR@{} {:.4f}", lists_.reports().front().name, ListMetrics::kCutoffs[kShownCutoff],
          static_cast<double>(first.hits(kShownCutoff)) / static_cast<double>(first.events()));
    }
    return note;
  }

  const uint64_t bytes_;
  const uint64_t test_events_;
  const EvaluatedLists& lists_;
  std::optional<ProgressBar> bar_;
  bool in_test_ = false;
  uint64_t first_byte_ = 0;
  uint64_t done_ = 0;
  steady_clock::time_point next_;
};

absl::StatusOr<std::vector<EvaluatedList>> ListsOf(const EvaluateFlags& flags) {
  std::vector<std::string> names = flags.lists;
  names.insert(names.end(), flags.sources.begin(), flags.sources.end());
  std::vector<EvaluatedList> lists;
  std::set<std::string> known;
  for (const std::string& name : names) {
    if (!known.insert(name).second) continue;
    absl::StatusOr<EvaluatedList> list = ParseEvaluatedList(name);
    if (!list.ok()) return list.status();
    lists.push_back(*std::move(list));
  }
  return lists;
}

// The number of records in the file, to find the last ones.
absl::StatusOr<uint64_t> CountRecords(const EvaluateFlags& flags) {
  EventFile file;
  if (absl::Status s = file.Open(flags.events); !s.ok()) return s;
  EventReader reader(file.stream(), flags.events.ReaderOptions());
  ProgressBar bar("counting", file.bytes());
  uint64_t records = 0;
  while (!Interrupted()) {
    const absl::StatusOr<std::optional<ReadEvent>> event = reader.Next();
    const bool is_bad = reader.IsOfRecord(event.status()) && flags.events.skip_bad_records;
    if (!event.ok() && !is_bad) return file.Explain(event.status());
    if (event.ok() && !event->has_value()) return records;
    if (event.ok()) records = (*event)->record;
    bar.Update(file.BytesRead(reader), fmt::format("{} records", records));
  }
  return absl::CancelledError("stopped");
}

// Where the test begins and how long it is.
absl::Status SetTestPeriod(const EvaluateFlags& flags, EvaluationOptions& options) {
  if (!flags.test_from.empty()) {
    const absl::StatusOr<EventTime> time = ParseSingleTime(flags.test_from);
    if (!time.ok()) {
      return absl::InvalidArgumentError(fmt::format("--test-from is \"{}\"; {}", flags.test_from,
                                                    std::string(time.status().message())));
    }
    options.test_from_us = time->us;
  }
  if (flags.test_events > 0) options.test_events = flags.test_events;
  if (options.test_from_us.has_value()) return absl::OkStatus();
  if (flags.test_events == 0) {
    return absl::InvalidArgumentError(
        "neither --test-from nor --test-events is there; one of them must say what the test is");
  }
  if (flags.events.IsStandardInput()) {
    return absl::InvalidArgumentError(
        "--test-events alone means the last events, which standard input does not tell; give "
        "--test-from too");
  }
  const absl::StatusOr<uint64_t> records = CountRecords(flags);
  if (!records.ok()) return records.status();
  if (*records > flags.test_events) options.test_from_record = *records - flags.test_events + 1;
  return absl::OkStatus();
}

void RunEvaluation(const EvaluateFlags& flags, CommandContext& context) {
  absl::StatusOr<std::vector<EvaluatedList>> parsed = ListsOf(flags);
  if (!parsed.ok()) return context.Fail(parsed.status());
  EvaluationOptions options = flags.options;
  options.frozen = flags.mode == "frozen";
  options.visit_gap = std::chrono::seconds(flags.visit_gap_s);
  options.skip_bad_records = flags.events.skip_bad_records;
  options.retry_for = std::chrono::seconds(flags.retry_for_s);
  options.stopped = Interrupted;
  if (absl::Status s = SetTestPeriod(flags, options); !s.ok()) return context.Fail(s);
  EventFile file;
  if (absl::Status s = file.Open(flags.events); !s.ok()) return context.Fail(s);
  EventReader reader(file.stream(), flags.events.ReaderOptions());
  Client client = context.MakeClient();
  EvaluatedLists lists(
      client, *std::move(parsed),
      {.include_seen = flags.include_seen, .retry_for = options.retry_for, .stopped = Interrupted});
  Display display(file.bytes(), flags.test_events, lists);
  EvaluationReport report;
  const absl::Status status = Evaluate(
      client, reader, options,
      [&](const EvaluationReport& now, uint64_t) { display.Update(now, file.BytesRead(reader)); },
      lists, report);
  if (report.test_events > 0) {
    display.Finish(report);
    const EvaluationResult result{.log = flags.events.file,
                                  .options = options,
                                  .lists = lists,
                                  .report = report,
                                  .interrupted = !status.ok()};
    fmt::print("{}", context.json ? EvaluationJson(result) + "\n"
                                  : TerminalLines(EvaluationTable(result)));
  }
  if (!status.ok() && !(absl::IsCancelled(status) && Interrupted())) {
    return context.Fail(file.Explain(status));
  }
  const bool lacks_some = report.refused > 0 && !flags.skip_refused;
  if (lacks_some) {
    std::fflush(stdout);  // the figures first, where both go to one place
    PrintToStandardError(
        "{} events were refused: the lists do not know them (--skip-refused: end with 0 all the "
        "same)\n",
        report.refused);
  }
  if (lacks_some || Interrupted()) context.exit_code = kExitError;
}

void AddMeasuringFlags(CLI::App& command, const std::shared_ptr<EvaluateFlags>& flags) {
  command
      .add_option("--lists", flags->lists,
                  "Lists to ask for before each event: blend or sources joined by +, with -ranked "
                  "or -ranked:MODEL behind it when a ranker is to order them")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      .add_option("--sources", flags->sources,
                  "More lists, each of one source alone: " + SourceNames())
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_flag("--include-seen", flags->include_seen,
                   "Also ask for items that the user has had: for logs in which they come again");
  command
      .add_option("--parallel", flags->parallel,
                  "Calls at once for the lists of an event; they read the same state, so that this "
                  "changes no answer")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command.add_option("--mode", flags->mode, "frozen: do not ingest the events of the test")
      ->check(CLI::IsMember({"live", "frozen"}))
      ->capture_default_str();
  command
      .add_option("--every", flags->options.every,
                  "Ask for one event in so many, drawn by --seed; all are ingested")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000}))
      ->capture_default_str();
  command.add_option("--seed", flags->options.seed, "Of --every")->capture_default_str();
  command
      .add_option(
          "--visit-gap-s", flags->visit_gap_s,
          "Ask only for events that begin a visit: whose user had none for so many seconds; "
          "0: for all")
      ->check(CLI::Range(int64_t{0}, int64_t{100'000'000}))
      ->capture_default_str();
  command.add_flag("--first-only", flags->options.first_only,
                   "Ask only for events on items that their user had none with in the log before");
}

}  // namespace

void AddEvaluateCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "evaluate", "Asks before each event of a log, and tells how often the server was right");
  auto flags = std::make_shared<EvaluateFlags>();
  flags->events.AddTo(command);
  command.add_option("--test-from", flags->test_from,
                     "The test begins at this time: Unix seconds or RFC 3339");
  command.add_option("--test-events", flags->test_events,
                     "The test has so many events at most; without --test-from, the last ones");
  AddMeasuringFlags(command, flags);
  command.add_flag("--ingest-first", flags->options.ingest_first,
                   "Ingest what precedes the test; without it, the server must have it already");
  command.add_flag(
      "--create-items", flags->options.create_items,
      "Create items that the catalogue lacks, just before their first event is ingested");
  command.add_flag("--skip-refused", flags->skip_refused,
                   "End with 0 where the server refused events; they are counted all the same");
  command
      .add_option("--retry-for-s", flags->retry_for_s,
                  "Try so long while the server is away, full or too slow")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
  command.footer(
      "Example:\n  groundswell evaluate events.csv --test-from 2011-11-11T12:50:00Z --lists "
      "blend-ranked,blend --sources popular,embedding");
  command.callback([flags, &app, &context] {
    if (app.get_option("--timeout-ms")->count() == 0) context.timeout_ms = kTimeoutMs;
    RunEvaluation(*flags, context);
  });
}

}  // namespace groundswell
