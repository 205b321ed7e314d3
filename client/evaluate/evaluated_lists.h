// The lists that an evaluation asks for before each event, and what became of them.
#ifndef GROUNDSWELL_CLIENT_EVALUATE_EVALUATED_LISTS_H_
#define GROUNDSWELL_CLIENT_EVALUATE_EVALUATED_LISTS_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/evaluate/list_metrics.h"
#include "client/load/load_generator.h"

namespace groundswell {

struct EvaluatedList {
  std::string name;
  v1::RecommendRequest request;  // sources and ranking; the rest is filled in for each event
};

// The list of a name: "blend" (all sources) or sources joined by "+", in the order of retrieval;
// with "-ranked" behind it ordered by the default ranker, with "-ranked:MODEL" by that one.
// InvalidArgument names the part that is wrong and what would be right.
absl::StatusOr<EvaluatedList> ParseEvaluatedList(std::string_view name);

// An event for which lists are asked, just before it.
struct AskedEvent {
  std::string user_id;
  std::string item_id;
  bool is_new_item = false;  // the item was not in the catalogue when the test began
};

// What became of one list. Every answer counts in the metrics as it is: a list that does not hold
// the item misses it, whatever the reason.
struct EvaluatedListReport {
  std::string name;
  ListMetrics metrics;
  uint64_t new_items = 0;  // events on items that were not in the catalogue when the test began
  std::array<uint64_t, ListMetrics::kCutoffs.size()> new_item_hits{};  // of these
  uint64_t empty = 0;                                                  // no item at all
  uint64_t degraded = 0;         // made cheaper for want of time (degradations but STALE_STATE)
  uint64_t stale = 0;            // did not contain the newest acknowledged event
  uint64_t unknown_user = 0;     // the server knew nothing of the user
  uint64_t not_ranked = 0;       // a ranker was asked for and did not order the items
  uint64_t failed = 0;           // an error instead of a list, again and again
  LatencyHistogram server_time;  // user state, retrieval and ranking, of the answers
};

// Asks for all lists of an event at once, in as many BatchRecommend calls as may run side by side:
// the server works on one thread per call. Not thread-safe.
class EvaluatedLists {
 public:
  struct Options {
    bool include_seen = false;                    // also items that the user interacted with
    size_t parallel = 2;                          // calls at once, at least 1
    std::chrono::milliseconds retry_for{60'000};  // while the server is away, full or too slow
    std::function<bool()> stopped = [] { return false; };  // asked from several threads
  };
  static constexpr size_t kListsMax = 20;

  // `client` must outlive it.
  EvaluatedLists(Client& client, std::vector<EvaluatedList> lists, Options options);

  // Asks for every list of every event, with the consistency token, and counts what comes. Answers
  // that are stale, degraded or failed for now are asked for again some times first: the quality of
  // the whole answer is measured here, not how a busy machine degrades. An error is one of the
  // request (InvalidArgument, NotFound, with the name of the list), or that the server is away for
  // longer than `retry_for`, or Cancelled once stopped.
  absl::Status Ask(std::span<const AskedEvent> events, const std::string& consistency_token);

  const Options& options() const { return options_; }
  // In the order of the lists.
  const std::vector<EvaluatedListReport>& reports() const { return reports_; }
  // Calls that were repeated.
  uint64_t asked_again() const { return asked_again_; }
  // Snapshot of the newest answer, "name@version".
  const std::string& snapshot_version() const { return snapshot_version_; }

 private:
  struct CallResult {
    absl::StatusOr<v1::BatchRecommendResponse> response;
    uint64_t repeats = 0;
  };

  absl::StatusOr<std::vector<v1::BatchRecommendResponse::Entry>> CallAll(
      std::span<const v1::BatchRecommendRequest> slices);
  CallResult Call(const v1::BatchRecommendRequest& request) const;
  absl::Status CheckEntries(std::span<const v1::BatchRecommendResponse::Entry> entries) const;
  void Count(const AskedEvent& event, const v1::BatchRecommendResponse::Entry& entry, size_t list);

  Client& client_;
  const std::vector<EvaluatedList> lists_;
  const Options options_;
  std::vector<EvaluatedListReport> reports_;
  std::unordered_map<std::string, uint32_t> user_numbers_;  // one entry per user asked for
  uint64_t asked_again_ = 0;
  std::string snapshot_version_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVALUATE_EVALUATED_LISTS_H_
