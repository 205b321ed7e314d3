// Evaluates a server on a log: what would it have recommended just before each event, and was the
// event's item there?
//
// Before every event of the test period lists are asked for the event's user, the place of the
// event's item in them is looked up, and then the event is ingested, so that the next lists are
// made by a server that knows it (prequential evaluation: test, then learn). The result is as if
// all of that were done strictly one after the other. Events are handed over in batches, but a list
// is asked for only when every event before it is acknowledged, and with the newest
// acknowledgement's consistency token.
#ifndef GROUNDSWELL_CLIENT_EVALUATE_EVALUATION_H_
#define GROUNDSWELL_CLIENT_EVALUATE_EVALUATION_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "client/evaluate/evaluated_lists.h"
#include "client/events/event_reader.h"

namespace groundswell {

struct EvaluationOptions {
  // The test begins with the first record that is neither earlier than `test_from_us` (microseconds
  // since 1970) nor before the number `test_from_record`, and lasts for `test_events` events.
  std::optional<int64_t> test_from_us;
  uint64_t test_from_record = 1;
  uint64_t test_events = std::numeric_limits<uint64_t>::max();

  // The events of the test are asked for and not ingested: the server stays as it is at the split.
  bool frozen = false;
  // Ingests what precedes the test; otherwise the server has it already.
  bool ingest_first = false;
  // Creates items that the server does not know, just before their first event is ingested.
  bool create_items = false;
  bool skip_bad_records = false;

  // One in `every` events of the test is asked for, drawn by a hash of `seed` and the number of the
  // record; all are ingested.
  uint64_t every = 1;
  uint64_t seed = 1;
  // Above 0: only events are asked for that begin a visit, whose user had none in the log for
  // longer than this.
  std::chrono::seconds visit_gap{0};
  // Only events are asked for whose user had none with the item in the log before. Keeps all pairs
  // of them in memory.
  bool first_only = false;

  // How long to try again while the server is away, full or too slow.
  std::chrono::milliseconds retry_for{60'000};
  // Asked all the time, from several threads; once true, the evaluation ends.
  std::function<bool()> stopped = [] { return false; };
};

struct EvaluationReport {
  v1::ServerStatus server;      // as of the beginning
  uint64_t records_before = 0;  // events before the test
  uint64_t test_events = 0;     // so far
  uint64_t asked_events = 0;    // of these
  uint64_t unknown_items = 0;   // of the asked: not in the catalogue at that time, sure misses
  uint64_t created_items = 0;
  uint64_t bad_records = 0;
  uint64_t out_of_order = 0;  // events earlier than the one before
  uint64_t accepted = 0;      // of the ingested events
  uint64_t duplicates = 0;    // the log of the server had them already
  uint64_t refused = 0;
  std::vector<std::string> reasons;  // of the refusals, see GroupedReasons
  // Since the test began: all of it, and of that what was waited for lists and for
  // acknowledgements.
  double test_seconds = 0;
  double ask_seconds = 0;
  double ingest_seconds = 0;
  std::vector<std::string> warnings;  // what makes the figures doubtful
};

// Told after every event how far it is, and how many bytes of the log are read.
using EvaluationProgress = std::function<void(const EvaluationReport&, uint64_t bytes_read)>;

// Reads to the end of the test or of the log and asks for `lists`. When it ends early, `lists` and
// `report` hold what was measured until then. Keep other writers away from the server. Errors:
// Cancelled once stopped; InvalidArgument for an option or a record that is wrong, naming it;
// FailedPrecondition when the log has no event in the test period; DataLoss as EventReader;
// otherwise what the server said.
absl::Status Evaluate(Client& client, EventReader& reader, const EvaluationOptions& options,
                      const EvaluationProgress& progress, EvaluatedLists& lists,
                      EvaluationReport& report);

// Whether an evaluation asks for the event of that record.
bool IsAsked(uint64_t record, uint64_t every, uint64_t seed);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVALUATE_EVALUATION_H_
