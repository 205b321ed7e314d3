#include "client/evaluate/evaluation.h"

#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <memory>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "client/events/event_sender.h"
#include "client/events/server_catalogue.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Frozen: lists of several events in one call, since none of them changes the next.
constexpr size_t kFrozenListsPerCall = 32;

int64_t TimeOf(const v1::Interaction& interaction) {
  return TimeUtil::TimestampToMicroseconds(interaction.event_time());
}

// Adds the time of its scope to a sum of seconds.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds), begin_(steady_clock::now()) {}
  ~Stopwatch() { seconds_ += std::chrono::duration<double>(steady_clock::now() - begin_).count(); }

 private:
  double& seconds_;
  const steady_clock::time_point begin_;
};

// One evaluation, from its first record to its last.
class Evaluation {
 public:
  Evaluation(Client& client, EventReader& reader, const EvaluationOptions& options,
             const EvaluationProgress& progress, EvaluatedLists& lists, EvaluationReport& report)
      : client_(client),
        reader_(reader),
        options_(options),
        progress_(progress),
        lists_(lists),
        report_(report),
        catalogue_(client, {.retry_for = options.retry_for, .stopped = options.stopped}),
        sender_(client, {.retry_for = options.retry_for, .stopped = options.stopped}) {}

  absl::Status Run();

 private:
  absl::Status ReadLog();
  absl::Status Take(ReadEvent event);
  absl::Status Test(ReadEvent event, int64_t time_us, bool may_be_asked);
  absl::Status Ask(const v1::Interaction& interaction);
  absl::Status AskPending();
  absl::Status Ingest(ReadEvent event);
  absl::Status Flush();
  bool IsTest(uint64_t record, int64_t time_us) const;
  bool BeginsVisit(const std::string& user_id, int64_t time_us);
  bool IsFirst(const v1::Interaction& interaction);
  void NoteTotals();
  void WarnOfKnowledge(int64_t time_us, std::string_view consequence);

  Client& client_;
  EventReader& reader_;
  const EvaluationOptions& options_;
  const EvaluationProgress& progress_;
  EvaluatedLists& lists_;
  EvaluationReport& report_;
  ServerCatalogue catalogue_;
  EventSender sender_;
  std::string consistency_token_;
  std::vector<AskedEvent> pending_;
  std::unordered_set<std::string> created_in_test_;
  std::unordered_map<std::string, int64_t> newest_of_user_us_;  // where visits count
  // Users with their items, where what is taken again is not asked for.
  std::set<std::pair<std::string, std::string>> taken_;
  int64_t newest_time_us_ = std::numeric_limits<int64_t>::min();
  bool fed_ = false;
  steady_clock::time_point test_begin_;
};

absl::Status Evaluation::Run() {
  absl::StatusOr<v1::ServerStatus> server = client_.GetServerStatus({});
  if (!server.ok()) return server.status();
  report_.server = *std::move(server);
  absl::Status status = ReadLog();
  if (status.ok()) status = AskPending();
  const absl::Status finished = sender_.Finish();
  if (status.ok()) status = finished;
  NoteTotals();
  if (!status.ok()) return status;
  if (report_.test_events == 0) {
    return absl::FailedPreconditionError(
        fmt::format("the log has {} events, and none in the test period", report_.records_before));
  }
  const std::string& snapshot = report_.server.snapshot().version();
  if (!lists_.snapshot_version().empty() && lists_.snapshot_version() != snapshot) {
    report_.warnings.push_back(fmt::format("the snapshot changed from {} to {} during the test",
                                           snapshot, lists_.snapshot_version()));
  }
  return absl::OkStatus();
}

absl::Status Evaluation::ReadLog() {
  while (report_.test_events < options_.test_events) {
    if (options_.stopped()) return absl::CancelledError("stopped");
    absl::StatusOr<std::optional<ReadEvent>> event = reader_.Next();
    if (reader_.IsOfRecord(event.status()) && options_.skip_bad_records) {
      ++report_.bad_records;
      continue;
    }
    if (!event.ok()) return event.status();
    if (!event->has_value()) return absl::OkStatus();
    if (absl::Status s = Take(*std::move(*event)); !s.ok()) return s;
    progress_(report_, reader_.bytes_read());
  }
  return absl::OkStatus();
}

// Once for every event, in order.
bool Evaluation::BeginsVisit(const std::string& user_id, int64_t time_us) {
  if (options_.visit_gap.count() == 0) return true;
  const auto [at, is_first] = newest_of_user_us_.try_emplace(user_id, time_us);
  const auto gap_us = std::chrono::microseconds(options_.visit_gap).count();
  const bool begins = is_first || time_us - at->second > gap_us;
  at->second = std::max(at->second, time_us);
  return begins;
}

// Likewise.
bool Evaluation::IsFirst(const v1::Interaction& interaction) {
  if (!options_.first_only) return true;
  return taken_.emplace(interaction.user_id(), interaction.item_id()).second;
}

absl::Status Evaluation::Take(ReadEvent event) {
  const int64_t time_us = TimeOf(event.interaction);
  if (time_us < newest_time_us_) ++report_.out_of_order;
  newest_time_us_ = std::max(newest_time_us_, time_us);
  const bool begins_visit = BeginsVisit(event.interaction.user_id(), time_us);
  const bool is_first = IsFirst(event.interaction);
  if (report_.test_events > 0 || IsTest(event.record, time_us)) {
    return Test(std::move(event), time_us, begins_visit && is_first);
  }
  ++report_.records_before;
  if (!options_.ingest_first) return absl::OkStatus();
  if (!fed_) WarnOfKnowledge(time_us, "what is ingested before the test may count twice");
  return Ingest(std::move(event));
}

bool Evaluation::IsTest(uint64_t record, int64_t time_us) const {
  return record >= options_.test_from_record &&
         (!options_.test_from_us.has_value() || time_us >= *options_.test_from_us);
}

// The server's answers must not know what they are asked for.
void Evaluation::WarnOfKnowledge(int64_t time_us, std::string_view consequence) {
  const v1::GraphInfo& graph = report_.server.graph();
  if (!graph.has_newest_event_time()) return;
  if (TimeUtil::TimestampToMicroseconds(graph.newest_event_time()) <= time_us) return;
  report_.warnings.push_back(
      fmt::format("the server held interactions up to {} at the start, later than {}: {}",
                  TimeUtil::ToString(graph.newest_event_time()),
                  TimeUtil::ToString(TimeUtil::MicrosecondsToTimestamp(time_us)), consequence));
}

absl::Status Evaluation::Test(ReadEvent event, int64_t time_us, bool may_be_asked) {
  if (report_.test_events == 0) {
    if (absl::Status s = Flush(); !s.ok()) return s;
    if (!fed_) WarnOfKnowledge(time_us, "its lists may know the events of the test");
    test_begin_ = steady_clock::now();
  }
  ++report_.test_events;
  if (may_be_asked && IsAsked(event.record, options_.every, options_.seed)) {
    if (absl::Status s = Ask(event.interaction); !s.ok()) return s;
  }
  if (!options_.frozen) {
    if (absl::Status s = Ingest(std::move(event)); !s.ok()) return s;
  }
  report_.test_seconds = std::chrono::duration<double>(steady_clock::now() - test_begin_).count();
  return absl::OkStatus();
}

absl::Status Evaluation::Ask(const v1::Interaction& interaction) {
  const absl::StatusOr<bool> known = catalogue_.Has(interaction.item_id());
  if (!known.ok()) return known.status();
  report_.unknown_items += *known ? 0 : 1;
  const bool is_new = !*known || created_in_test_.contains(interaction.item_id());
  pending_.push_back({interaction.user_id(), interaction.item_id(), is_new});
  const size_t lists = lists_.reports().size();
  if (options_.frozen && (pending_.size() + 1) * lists <= kFrozenListsPerCall) {
    return absl::OkStatus();
  }
  return AskPending();
}

absl::Status Evaluation::AskPending() {
  if (pending_.empty()) return absl::OkStatus();
  if (absl::Status s = Flush(); !s.ok()) return s;
  {
    const Stopwatch stopwatch(report_.ask_seconds);
    if (absl::Status s = lists_.Ask(pending_, consistency_token_); !s.ok()) return s;
  }
  report_.asked_events += pending_.size();
  pending_.clear();
  return absl::OkStatus();
}

absl::Status Evaluation::Ingest(ReadEvent event) {
  fed_ = true;
  if (options_.create_items) {
    const std::string& item_id = event.interaction.item_id();
    const absl::StatusOr<bool> known = catalogue_.Has(item_id);
    if (!known.ok()) return known.status();
    if (!*known) {
      if (absl::Status s = catalogue_.Create(item_id); !s.ok()) return s;
      ++report_.created_items;
      if (report_.test_events > 0) created_in_test_.insert(item_id);
    }
  }
  return sender_.Send(event.record, std::move(event.interaction));
}

// Until everything that was ingested is acknowledged.
absl::Status Evaluation::Flush() {
  if (!fed_) return absl::OkStatus();
  double before_the_test = 0;
  const Stopwatch stopwatch(report_.test_events > 0 ? report_.ingest_seconds : before_the_test);
  absl::Status status = sender_.Flush();
  NoteTotals();
  return status;
}

void Evaluation::NoteTotals() {
  const EventSender::Totals totals = sender_.totals();
  report_.accepted = totals.accepted;
  report_.duplicates = totals.duplicates;
  report_.refused = totals.refused;
  report_.reasons = totals.reasons.ToStrings();
  consistency_token_ = totals.consistency_token;
}

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
uint64_t Mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

absl::Status CheckOptions(const EvaluationOptions& options, size_t lists) {
  if (lists == 0 || lists > EvaluatedLists::kListsMax) {
    return absl::InvalidArgumentError(
        fmt::format("{} lists are asked for; 1 to {} can be", lists, EvaluatedLists::kListsMax));
  }
  if (options.every == 0) {
    return absl::InvalidArgumentError("one in 0 events is asked for; it must be one in 1 or more");
  }
  if (options.test_events == 0) {
    return absl::InvalidArgumentError("the test has 0 events; it must have 1 or more");
  }
  return absl::OkStatus();
}

}  // namespace

bool IsAsked(uint64_t record, uint64_t every, uint64_t seed) {
  return Mixed(Mixed(seed) ^ record) % every == 0;
}

absl::Status Evaluate(Client& client, EventReader& reader, const EvaluationOptions& options,
                      const EvaluationProgress& progress, EvaluatedLists& lists,
                      EvaluationReport& report) {
  if (absl::Status s = CheckOptions(options, lists.reports().size()); !s.ok()) return s;
  Evaluation evaluation(client, reader, options, progress, lists, report);
  return evaluation.Run();
}

}  // namespace groundswell
