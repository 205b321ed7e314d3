// ingest: sends a file of interactions to the server, with progress, and resumes where it was.
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/commands/commands.h"
#include "client/events/content_ids.h"
#include "client/events/event_file.h"
#include "client/events/event_sender.h"
#include "client/events/resume_file.h"
#include "client/events/server_catalogue.h"
#include "client/events/visibility.h"
#include "client/terminal/progress_bar.h"
#include "csv/event_time.h"
#include "program/standard_error.h"
#include "program/terminal_text.h"

namespace groundswell {
namespace {

// A wait that is not worth a word.
constexpr std::chrono::seconds kQuietWait{1};

struct IngestFlags {
  EventFileFlags events;
  std::string resume_file;
  std::string producer_id;
  int64_t retry_for_s = 60;
  size_t batch_size = 200;
  uint64_t limit = 0;
  int64_t visible_within_s = 60;
  std::string from;
  std::optional<int64_t> from_us;  // what `from` says
  bool create_items = false;
  bool resend_refused = false;
  bool skip_refused = false;
};

int64_t TimeOf(const v1::Interaction& interaction) {
  return google::protobuf::util::TimeUtil::TimestampToMicroseconds(interaction.event_time());
}

// Where interactions go.
struct Destination {
  absl::Status Send(uint64_t record, v1::Interaction interaction, const std::string& mark) {
    if (creates_items) {
      const absl::StatusOr<bool> created = catalogue.CreateIfNew(interaction.item_id());
      // An item that cannot be: the interaction is refused as without the flag, and counted.
      const bool cannot_be =
          absl::IsInvalidArgument(created.status()) || absl::IsFailedPrecondition(created.status());
      if (!created.ok() && !cannot_be) return created.status();
      created_items += created.ok() && *created ? 1 : 0;
    }
    return sender.Send(record, std::move(interaction), mark);
  }

  EventSender& sender;
  ServerCatalogue& catalogue;
  const bool creates_items;
  uint64_t created_items = 0;
};

// The next interaction, past records that may be left out.
absl::StatusOr<std::optional<ReadEvent>> NextEvent(const IngestFlags& flags, EventReader& reader) {
  while (true) {
    absl::StatusOr<std::optional<ReadEvent>> event = reader.Next();
    if (!reader.IsOfRecord(event.status()) || !flags.events.skip_bad_records) return event;
  }
}

// One reading of the events, and what was read so far.
struct Reading {
  // What --from leaves out is not dealt with: a reading with it is of another source.
  explicit Reading(const IngestFlags& ingest_flags) : flags(ingest_flags) {
    if (flags.from_us.has_value()) {
      at.chain_hash = ChainHash("", 0, fmt::format("from {}", *flags.from_us));
    }
  }

  absl::Status Open() {
    if (absl::Status s = file.Open(flags.events); !s.ok()) return s;
    reader.emplace(file.stream(), flags.events.ReaderOptions());
    return absl::OkStatus();
  }

  // As NextEvent; `at` is then this record.
  absl::StatusOr<std::optional<ReadEvent>> NextOfFile() {
    auto event = NextEvent(flags, *reader);
    if (!event.ok()) return file.Explain(event.status());
    if (event->has_value()) {
      at.record = (*event)->record;
      content_hash = ContentHash((*event)->interaction);
      at.chain_hash = ChainHash(at.chain_hash, at.record, content_hash);
    }
    return event;
  }

  // The next that is not earlier than --from.
  absl::StatusOr<std::optional<ReadEvent>> Next() {
    while (true) {
      auto event = NextOfFile();
      if (!event.ok() || !event->has_value() || !flags.from_us.has_value()) return event;
      if (TimeOf((*event)->interaction) >= *flags.from_us) return event;
      ++earlier;
    }
  }

  const IngestFlags& flags;
  EventFile file;
  std::optional<EventReader> reader;
  ResumePoint at;
  std::string content_hash;     // of the record at `at`
  uint64_t earlier = 0;         // than --from
  uint64_t known = 0;           // to the server, by their producer's numbers
  uint64_t refused_before = 0;  // of what is passed over, in an earlier run
};

// Reads past what is dealt with. FailedPrecondition when the file's records up to there are others
// than those.
absl::Status PassOver(const ResumePoint& dealt_with, Reading& reading) {
  if (dealt_with.record == 0) return absl::OkStatus();
  while (reading.at.record < dealt_with.record) {
    const auto event = reading.NextOfFile();
    if (!event.ok()) return event.status();
    if (!event->has_value()) break;
  }
  if (reading.at.chain_hash == dealt_with.chain_hash) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("the first {} records, or --from, are others than those that --resume-file "
                  "\"{}\" tells of; give every input a resume file of its own",
                  dealt_with.record, reading.flags.resume_file));
}

// What is dealt with, unless this server has it not: it is another, or was put back to an earlier
// state. Then nothing is, and event ids keep what it has from counting twice.
absl::StatusOr<ResumePoint> KnownToServer(const IngestFlags& flags, const ResumePoint& dealt_with,
                                          Client& client) {
  if (dealt_with.log_offset == 0) return dealt_with;
  const absl::StatusOr<int64_t> log_end = AskLogEnd(
      client, dealt_with.log_offset, std::chrono::seconds(flags.retry_for_s), Interrupted);
  if (absl::IsPermissionDenied(log_end.status())) {
    PrintToStandardError("going on where --resume-file \"{}\" tells, unchecked: {}\n",
                         TerminalText(flags.resume_file),
                         TerminalText(std::string(log_end.status().message())));
    return dealt_with;
  }
  if (!log_end.ok()) return log_end.status();
  if (*log_end >= dealt_with.log_offset) return dealt_with;
  PrintToStandardError(
      "the server's log ends at {}, before {}, up to which --resume-file \"{}\" tells: beginning "
      "at the first record\n",
      *log_end, dealt_with.log_offset, TerminalText(flags.resume_file));
  return ResumePoint{};
}

// At the first record that is not dealt with. A file that is another than the resume file's is read
// from its beginning: what it has in common with that one has the same event ids.
absl::Status Begin(const IngestFlags& flags, const ResumePoint& dealt_with,
                   std::optional<Reading>& reading) {
  reading.emplace(flags);
  if (absl::Status s = reading->Open(); !s.ok()) return s;
  absl::Status passed = PassOver(dealt_with, *reading);
  if (!absl::IsFailedPrecondition(passed) || flags.events.IsStandardInput()) return passed;
  PrintToStandardError("--resume-file \"{}\" is of another file: beginning at the first record\n",
                       TerminalText(flags.resume_file));
  reading.emplace(flags);
  return reading->Open();
}

// How far a producer's numbers are used up, and by what.
class Numbering {
 public:
  // None: nothing is numbered.
  Numbering() = default;
  // `answer` is where the server has the producer.
  explicit Numbering(const v1::IngestResponse& answer)
      : is_used_(true), known_(answer.last_sequence()), known_mark_(answer.producer_mark()) {}

  // The next one gets the next number. FailedPrecondition where the server knows that number, and
  // what it knows is something else.
  absl::Status Take(const std::string& content_hash, const std::string& event_id,
                    const IngestFlags& flags) {
    if (!is_used_) return absl::OkStatus();
    ++last_;
    mark_ = ChainHash(mark_, static_cast<uint64_t>(last_), content_hash + event_id);
    if (last_ != known_ || known_mark_.empty() || mark_ == known_mark_) return absl::OkStatus();
    return absl::FailedPreconditionError(
        fmt::format("the first {} interactions are others than those that --producer-id \"{}\" "
                    "sent; give this source another --producer-id, or run without it: what was "
                    "acknowledged counts once",
                    known_, flags.producer_id));
  }
  // Whether the last one taken is there.
  bool IsKnown() const { return is_used_ && last_ <= known_; }
  // Of all that was taken; empty when nothing is numbered. See IngestRequest.producer_mark.
  const std::string& mark() const { return mark_; }

  // At the source's end: whether there was as much as the server knows.
  absl::Status CheckEnd() const {
    if (last_ >= known_) return absl::OkStatus();
    return absl::FailedPreconditionError(fmt::format(
        "the server has {} interactions of this producer and source, which has {}: it was "
        "cut; give what it is now another --producer-id",
        known_, last_));
  }

 private:
  bool is_used_ = false;
  int64_t known_ = 0;
  std::string known_mark_;  // empty: of another client, which did not say
  int64_t last_ = 0;
  std::string mark_;
};

// A producer's numbers are those of one source. What comes first tells sources apart, and stays as
// a log grows.
std::string ProducerOf(const IngestFlags& flags, const v1::Interaction& first) {
  return fmt::format("{}/{}", flags.producer_id, ContentHash(first));
}

// Sends `next` and what follows until the end, an error, or an interruption, but for what is known.
absl::Status SendAll(const IngestFlags& flags, std::optional<ReadEvent> next, Numbering numbering,
                     Reading& reading, ResumeFile& resume, Destination& destination,
                     ProgressBar& bar) {
  uint64_t sent = 0;
  while (next.has_value() && !Interrupted() && (flags.limit == 0 || sent < flags.limit)) {
    const std::string& event_id = next->interaction.event_id();
    if (absl::Status s = numbering.Take(reading.content_hash, event_id, flags); !s.ok()) return s;
    if (numbering.IsKnown()) {
      ++reading.known;
    } else {
      resume.Sending(reading.at);
      absl::Status status =
          destination.Send(next->record, std::move(next->interaction), numbering.mark());
      if (!status.ok()) return status;
      if (++sent % flags.batch_size == 0) {
        bar.Update(reading.file.BytesRead(*reading.reader),
                   fmt::format("{} acknowledged", destination.sender.totals().sum()));
      }
    }
    absl::StatusOr<std::optional<ReadEvent>> event = reading.Next();
    if (!event.ok()) return event.status();
    next = *std::move(event);
  }
  return next.has_value() ? absl::OkStatus() : numbering.CheckEnd();
}

// Until readers see all of it; on a terminal with a word where that lasts.
std::optional<absl::Status> AwaitReaders(const IngestFlags& flags,
                                         const EventSender::Totals& totals, Client& client) {
  if (flags.visible_within_s == 0 || totals.last_offset == 0) return std::nullopt;
  const auto told_at = std::chrono::steady_clock::now() + kQuietWait;
  bool told = isatty(STDERR_FILENO) == 0;
  return AwaitVisible(
      client, {.offset = totals.last_offset, .consistency_token = totals.consistency_token},
      std::chrono::seconds(flags.visible_within_s), [&] {
        if (!told && std::chrono::steady_clock::now() > told_at) {
          told = true;
          PrintToStandardError("waiting until readers see it (--visible-within-s)\n");
        }
        return Interrupted();
      });
}

// What was sent and read, and whether readers see it.
struct IngestResult {
  EventSender::Totals totals;
  LogSummary read;
  uint64_t created_items = 0;
  uint64_t earlier = 0;         // than --from
  uint64_t known = 0;           // to the server, by their producer's numbers
  uint64_t resumed = 0;         // of these --resume-file tells
  uint64_t refused_before = 0;  // of what was passed over, in an earlier run
  double seconds = 0;
  std::optional<absl::Status> visible;  // none: nobody was asked
};

// How what was refused is sent again once it may be, such as when its item is there.
std::string_view HowToSendAgain(const IngestFlags& flags) {
  if (!flags.producer_id.empty()) {
    return "the numbers of what was refused are used up: run it without --producer-id to send it "
           "again, where what was acknowledged counts once";
  }
  if (flags.resume_file.empty()) return "run it again: what was acknowledged counts once";
  return flags.resend_refused
             ? "--resume-file stays before it: the next run sends it again, and all behind it"
             : "--resume-file is behind it: the next run does not send it again (--resend-refused, "
               "or a run without --resume-file, does)";
}

// What was read and not sent.
void PrintPassedOver(const IngestFlags& flags, const IngestResult& result) {
  if (result.earlier > 0) {
    fmt::print("{} records before {} passed over\n", result.earlier, flags.from);
  }
  if (result.known > 0) {
    fmt::print("{} records passed over: the server knows their numbers\n", result.known);
  }
  if (result.resumed > 0) {
    fmt::print("{} records passed over: --resume-file tells of them\n", result.resumed);
  }
  if (result.refused_before > 0) {
    fmt::print(
        "{} of what is passed over were refused in an earlier run; without {} they are sent "
        "again\n",
        result.refused_before, flags.producer_id.empty() ? "--resume-file" : "--producer-id");
  }
}

void PrintSummary(const CommandContext& context, const IngestFlags& flags,
                  const IngestResult& result) {
  const auto& [totals, read, created_items, earlier, known, resumed, refused_before, seconds,
               visible] = result;
  const double rate = static_cast<double>(totals.sum()) / std::max(seconds, 1e-9);
  GroupedReasons all = totals.reasons;
  // Without that flag the one that ended the reading is the error itself.
  const uint64_t bad_records = flags.events.skip_bad_records ? read.bad_records() : 0;
  for (const auto& [reason, left_out] : read.left_out) {
    if (!flags.events.skip_bad_records && !left_out.asked_for) continue;
    all.Add(left_out.first, left_out.records);
  }
  const std::vector<std::string> reasons = all.ToStrings();
  if (context.json) {
    const nlohmann::ordered_json summary = {{"accepted", totals.accepted},
                                            {"duplicates", totals.duplicates},
                                            {"refused", totals.refused},
                                            {"bad_records", bad_records},
                                            {"reasons", reasons},
                                            {"created_items", created_items},
                                            {"earlier_records", earlier},
                                            {"known_records", known},
                                            {"resumed_records", resumed},
                                            {"refused_before_records", refused_before},
                                            {"first_refused_record", totals.first_refused_record},
                                            {"last_offset", totals.last_offset},
                                            {"consistency_token", totals.consistency_token},
                                            {"visible", visible.has_value() && visible->ok()},
                                            {"acknowledged_record", totals.acknowledged_record},
                                            {"interrupted", Interrupted()},
                                            {"events_per_second", rate}};
    fmt::print("{}\n", summary.dump());
    return;
  }
  fmt::print("{} accepted, {} duplicates, {} refused, {} bad records, {:.0f} events/s\n",
             totals.accepted, totals.duplicates, totals.refused, bad_records, rate);
  for (const std::string& reason : reasons) fmt::print("  refused: {}\n", TerminalText(reason));
  if (created_items > 0) fmt::print("{} items created\n", created_items);
  PrintPassedOver(flags, result);
  if (totals.refused > 0) {
    fmt::print("the first refused is record {}; {}\n", totals.first_refused_record,
               HowToSendAgain(flags));
  }
  if (read.out_of_order > 0 && !flags.events.sort) {
    fmt::print("{} are older than one before them; --sort takes a log in the order of time\n",
               read.out_of_order);
  }
  if (totals.last_offset > 0) {
    fmt::print("last offset {}, --consistency-token {}\n", totals.last_offset,
               totals.consistency_token);
  }
  if (visible.has_value() && !visible->ok()) {
    fmt::print("on disk, and not yet seen by readers as far as known: {}\n",
               TerminalLines(std::string(visible->message())));
  }
  if (Interrupted()) {
    fmt::print("interrupted behind record {}; {}\n", totals.acknowledged_record,
               (flags.resume_file.empty() && flags.producer_id.empty()) ||
                       (flags.resend_refused && totals.refused > 0)
                   ? "run it again: what was acknowledged counts once"
                   : "run it again to go on from there");
  }
}

// From `first` on; what was good before an error still counts.
absl::Status Send(const IngestFlags& flags, std::optional<ReadEvent> first, Reading& reading,
                  ResumeFile& resume, Destination& destination, ProgressBar& bar) {
  Numbering numbering;
  if (!flags.producer_id.empty() && first.has_value()) {
    const absl::StatusOr<v1::IngestResponse> answer = destination.sender.AskProducer();
    if (!answer.ok()) return answer.status();
    numbering = Numbering(*answer);
    reading.refused_before = static_cast<uint64_t>(answer->refused_sequence_count());
  }
  absl::Status status =
      SendAll(flags, std::move(first), std::move(numbering), reading, resume, destination, bar);
  const absl::Status finished = destination.sender.Finish();
  return status.ok() ? finished : status;
}

void Ingest(const IngestFlags& flags, CommandContext& context) {
  ResumeFile resume(flags.resume_file);
  absl::StatusOr<ResumePoint> dealt_with = resume.Read();
  if (!dealt_with.ok()) return context.Fail(dealt_with.status());
  Client client = context.MakeClient();
  dealt_with = KnownToServer(flags, *dealt_with, client);
  if (!dealt_with.ok()) return context.Fail(dealt_with.status());
  std::optional<Reading> reading;
  if (absl::Status s = Begin(flags, *dealt_with, reading); !s.ok()) return context.Fail(s);
  const uint64_t begun_behind = reading->at.record;
  const uint64_t refused_before = begun_behind > 0 ? dealt_with->refused : 0;
  int64_t log_offset = begun_behind > 0 ? dealt_with->log_offset : 0;
  reading->refused_before = refused_before;
  // With --resend-refused the file stays before what this run has refused.
  const auto refused_with = [&](uint64_t refused) {
    return flags.resend_refused ? refused_before : refused_before + refused;
  };
  resume.Sending(reading->at);
  absl::StatusOr<std::optional<ReadEvent>> first = reading->Next();
  const bool is_numbered = !flags.producer_id.empty() && first.ok() && first->has_value();

  ProgressBar bar("ingest", reading->file.bytes());
  const auto begin = std::chrono::steady_clock::now();
  EventSender sender(
      client,
      {.batch_size = flags.batch_size,
       .producer_id = is_numbered ? ProducerOf(flags, (*first)->interaction) : std::string(),
       .retry_for = std::chrono::seconds(flags.retry_for_s),
       .stopped = Interrupted,
       .on_first_refused =
           [&](uint64_t record) {
             if (flags.resend_refused) resume.StayBefore(record);
           },
       .on_progress =
           [&](uint64_t record, uint64_t refused) {
             resume.Note(record, refused_with(refused), log_offset);
           },
       .on_settled =
           [&](int64_t, size_t, const v1::IngestResponse& response) {
             log_offset = std::max(log_offset, response.last_offset());
           }},
      begun_behind);
  ServerCatalogue catalogue(
      client, {.retry_for = std::chrono::seconds(flags.retry_for_s), .stopped = Interrupted});
  Destination destination{sender, catalogue, flags.create_items};
  absl::Status status = first.status();
  if (first.ok()) status = Send(flags, *std::move(first), *reading, resume, destination, bar);
  const EventSender::Totals totals = sender.totals();
  const absl::Status noted =
      resume.Finish(totals.acknowledged_record, refused_with(totals.refused), log_offset);
  if (status.ok() || (absl::IsCancelled(status) && Interrupted())) status = noted;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  bar.Finish(reading->file.BytesRead(*reading->reader),
             fmt::format("{} acknowledged", totals.sum()));
  PrintSummary(context, flags,
               {.totals = totals,
                .read = reading->reader->summary(),
                .created_items = destination.created_items,
                .earlier = reading->earlier,
                .known = reading->known,
                .resumed = begun_behind,
                .refused_before = reading->refused_before,
                .seconds = elapsed.count(),
                .visible = status.ok() ? AwaitReaders(flags, totals, client) : std::nullopt});
  if (!status.ok()) return context.Fail(status);
  const bool lacks_some = totals.refused > 0 || reading->refused_before > 0;
  if ((lacks_some && !flags.skip_refused) || Interrupted()) context.exit_code = kExitError;
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
  command.add_option_function<std::string>(
      "--from",
      [flags](const std::string& text) {
        flags->from = text;
        const absl::StatusOr<EventTime> time = ParseSingleTime(text);
        if (!time.ok()) {
          throw CLI::ValidationError(
              "--from", fmt::format("\"{}\"; {}", text, std::string(time.status().message())));
        }
        flags->from_us = time->us;
      },
      "Pass over what is earlier: a time, as logs have them");
  command.add_flag("--create-items", flags->create_items,
                   "Create items that the catalogue lacks before their first interaction, those "
                   "that were removed too (the right admin)");
  command.add_option("--resume-file", flags->resume_file,
                     "Remembers here how far it came with this file, and goes on from there");
  command
      .add_flag(
          "--resend-refused", flags->resend_refused,
          "Let --resume-file stay before the first record that the server refused: the next run "
          "sends it again, and all behind it, which counts once as long as no more than the "
          "server's log.event_ids_max interactions were logged since")
      ->needs("--resume-file");
  command
      .add_flag("--skip-refused", flags->skip_refused,
                "End with 0 where the server refused records, in this run or in an earlier one of "
                "the --producer-id; they are counted all the same")
      ->excludes("--resend-refused");
  command
      .add_option(
          "--producer-id", flags->producer_id,
          "Number what is sent under this name; a later run of the same file goes on where the "
          "server is")
      ->excludes("--resume-file");
  command
      .add_option("--retry-for-s", flags->retry_for_s,
                  "Try so long while the server is away or full")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
  command
      .add_option("--visible-within-s", flags->visible_within_s,
                  "Wait at most so long until readers see what was sent; 0: end once it is on disk")
      ->check(CLI::Range(0, 86'400))
      ->capture_default_str();
  command.footer("Example:\n  groundswell ingest events.csv --resume-file events.at");
  command.callback([flags, &context] { Ingest(*flags, context); });
}

}  // namespace groundswell
