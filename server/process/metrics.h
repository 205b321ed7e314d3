// Metrics: every metric family of the server, in one place, with label values known up front.
//
// The hot path touches pre-made counters through enums; no label is ever looked up by text.
// Durations are histograms in seconds (never summaries, which cannot be added up), errors are timed
// like successes, and no user, item or version of unbounded number is a label.
#ifndef GROUNDSWELL_SERVER_PROCESS_METRICS_H_
#define GROUNDSWELL_SERVER_PROCESS_METRICS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "graph/fold/interaction_adjacency.h"
#include "graph/ids.h"
#include "graph/mutex.h"
#include "index/candidate_source.h"
#include "index/walks/random_walk.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace groundswell {

// Label values; kCount is the number of them. The texts stand in metrics.cc, in the same order.
enum class Method {
  kRecommend,
  kBatchRecommend,
  kRank,
  kSimilarItems,
  kGetUserState,
  kIngest,
  kRecordInteraction,
  kForgetUser,
  kGetServerStatus,
  kCreateCheckpoint,
  kVerifyGraph,
  kCreateBackup,
  kActivateSnapshot,
  kRollBackSnapshot,
  kListSnapshots,
  kUpsertItem,
  kRemoveItem,
  kReadLog,
  kGetListRules,
  kSetListRules,
  kCount
};
// As gRPC calls it.
const char* NameOf(Method method);
enum class Stage { kQueue, kUserState, kRetrieval, kRank, kExplain, kArrange, kCount };
enum class DegradedStep {
  kFewerCandidates,
  kRankingSkipped,
  kRetrievalSkipped,
  kStaleState,
  kExplanationsSkipped,
  kDiversitySkipped,
  kCount
};
enum class Fallback { kUnknownUser, kUserNotScored, kCount };
enum class EventOutcome {
  kAccepted,
  kDuplicate,
  kRefused,
  kApplied,
  kBelowZero,
  kUnknownItem,
  kOverflow,
  kOutsideWindow,
  kForgotten,
  kCount
};
enum class QueueName { kCompute, kLog, kCount };
enum class Rejection {
  kQueueFull,
  kDraining,
  kDeadline,
  kCancelled,
  kUnauthenticated,
  kForbidden,
  kRateLimited,
  kCount
};

enum class ShadowOutcome { kScored, kNotScored, kLeftOut, kCount };

// Thread-safe throughout.
class Metrics {
 public:
  using Samples = std::vector<std::pair<std::string, double>>;

  // `event_types`: the configured ones; any other is counted as type "other".
  explicit Metrics(std::span<const std::string> event_types);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // `code`: a gRPC status code, 0 to 16; others count as UNKNOWN. See RpcScope.
  void CountRequest(Method method, int code, std::chrono::nanoseconds duration);
  void ObserveStage(Stage stage, std::chrono::nanoseconds duration);
  // `source`: exactly one SourceBit.
  void CountCandidates(uint32_t source, size_t count);
  // Of one list: what was merged, and the first item's probability once a ranker ordered it.
  void ObserveListCandidates(size_t count);
  void ObserveFirstScore(float probability);
  // Of lists that the shadow ranker scored again, and of those that it did not.
  void CountShadow(ShadowOutcome outcome);
  void ObserveShadowOverlap(double share);
  void CountWalk(const WalkSummary& summary);
  // Of `items` that were scored, `made` had to be prepared; the others were kept.
  void CountPreparedItems(size_t made, size_t items);
  // Rules that hold for a request and name an item that the catalogue does not have.
  void CountUnknownRuleItems(size_t count);
  void CountDegraded(DegradedStep step);
  void CountFallback(Fallback reason);
  void CountEvents(std::string_view event_type, EventOutcome outcome, size_t count = 1);
  void CountRejected(Rejection reason);
  void CountAccessReloadFailure();
  void CountHttpCutOff();
  // From the append to the log until every reader sees the event.
  void ObserveEventVisibleDelay(std::chrono::nanoseconds delay);
  void ObserveLogSync(std::chrono::nanoseconds duration);
  void CountExpired(size_t edges);
  void CountRedacted(size_t records);
  // `duration` of one that failed is not observed.
  void CountCheckpoint(bool ok, std::chrono::nanoseconds duration);
  void SetCheckpointOffset(Offset offset);
  void SetLogBegin(Offset offset);
  // Acknowledged interactions that were not there any more at start (log.durability = "flush").
  void SetLost(int64_t interactions);

  // Gauges; best set from OnScrape. The lag is `end` - `applied`.
  void SetOffsets(Offset end, Offset applied);
  void SetQueueDepth(QueueName queue, size_t depth);
  void SetPageLists(size_t lists);
  void SetAdjacency(const InteractionAdjacency& adjacency);
  // Each replaces what was set before.
  void SetSnapshot(const std::string& version);
  void SetIndex(const std::string& kind, const std::string& simd);
  // Items in the retrieval index, and items whose vector came or changed since it was built.
  void SetIndexSize(size_t items, size_t changed_items);
  // Of the index that is being built, or was built last.
  void SetIndexProgress(size_t done, size_t total);
  // `duration` of one that failed is not observed.
  void CountIndexBuild(bool ok, std::chrono::nanoseconds duration);
  // Names, and what each is computed in.
  void SetRankers(std::span<const std::pair<std::string, std::string>> rankers);

  // By model, how far its logits are from those of the snapshot's examples at most.
  void SetParity(const Samples& max_abs_errors);

  // Run at the start of every Render, to set gauges. What it touches must outlive the last Render.
  void OnScrape(std::function<void(Metrics&)> refresh);
  // Gauges named groundswell_rocksdb_<first>, read at every Render. Names: [a-z0-9_]+, with a unit.
  void CollectRocksDb(std::function<Samples()> read);

  // Everything in Prometheus' text format (version 0.0.4), the process's own figures included.
  std::string Render();

 private:
  template <typename Enum>
  static constexpr size_t kSize = static_cast<size_t>(Enum::kCount);
  static constexpr size_t kCodes = 17;
  using EventCounters = std::array<prometheus::Counter*, kSize<EventOutcome>>;

  void MakeRequestFamilies();
  void MakePipelineFamilies();
  void MakeEventFamilies(std::span<const std::string> event_types);
  void MakeDurabilityFamilies();
  void MakeGauges();
  void MakeIndexFamilies();

  prometheus::Registry registry_;
  std::array<std::array<prometheus::Counter*, kCodes>, kSize<Method>> requests_{};
  std::array<prometheus::Histogram*, kSize<Method>> request_duration_{};
  std::array<prometheus::Histogram*, kSize<Stage>> stage_duration_{};
  std::array<prometheus::Counter*, kSourceNames.size()> candidates_{};
  std::array<prometheus::Counter*, kSize<DegradedStep>> degraded_{};
  std::array<prometheus::Counter*, kSize<Fallback>> fallbacks_{};
  std::map<std::string, EventCounters, std::less<>> events_;
  EventCounters other_events_{};
  std::array<prometheus::Counter*, kSize<Rejection>> rejected_{};
  std::array<prometheus::Gauge*, kSize<QueueName>> queue_depth_{};
  prometheus::Histogram* event_visible_delay_ = nullptr;
  prometheus::Histogram* log_sync_duration_ = nullptr;
  prometheus::Counter* walk_steps_ = nullptr;
  std::array<prometheus::Counter*, 2> walk_ends_{};  // goal, deadline
  prometheus::Counter* items_made_ = nullptr;
  prometheus::Counter* items_kept_ = nullptr;
  prometheus::Counter* unknown_rule_items_ = nullptr;
  prometheus::Histogram* list_candidates_ = nullptr;
  prometheus::Histogram* first_score_ = nullptr;
  std::array<prometheus::Counter*, kSize<ShadowOutcome>> shadows_{};
  prometheus::Histogram* shadow_overlap_ = nullptr;
  prometheus::Counter* access_reload_failures_ = nullptr;
  prometheus::Counter* http_cut_off_ = nullptr;
  prometheus::Counter* expired_ = nullptr;
  prometheus::Counter* redacted_ = nullptr;
  std::array<prometheus::Counter*, 2> checkpoints_{};  // failed, complete
  prometheus::Histogram* checkpoint_duration_ = nullptr;
  prometheus::Gauge* checkpoint_offset_ = nullptr;
  prometheus::Gauge* log_begin_ = nullptr;
  prometheus::Gauge* lost_ = nullptr;
  prometheus::Gauge* apply_lag_ = nullptr;
  prometheus::Gauge* log_end_ = nullptr;
  prometheus::Gauge* applied_ = nullptr;
  prometheus::Gauge* page_lists_ = nullptr;
  std::array<prometheus::Gauge*, 2> adjacency_edges_{};  // users of items, items of users
  prometheus::Gauge* adjacency_evicted_ = nullptr;
  prometheus::Gauge* adjacency_bytes_ = nullptr;
  prometheus::Gauge* index_items_ = nullptr;
  prometheus::Gauge* index_changed_items_ = nullptr;
  prometheus::Gauge* index_progress_ = nullptr;
  std::array<prometheus::Counter*, 2> index_builds_{};  // failed, complete
  prometheus::Histogram* index_build_duration_ = nullptr;
  prometheus::Family<prometheus::Gauge>* snapshot_family_ = nullptr;
  prometheus::Family<prometheus::Gauge>* index_family_ = nullptr;
  prometheus::Family<prometheus::Gauge>* ranker_family_ = nullptr;
  prometheus::Family<prometheus::Gauge>* parity_family_ = nullptr;

  Mutex mutex_;
  prometheus::Gauge* snapshot_info_ ABSL_GUARDED_BY(mutex_) = nullptr;
  prometheus::Gauge* index_info_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::vector<prometheus::Gauge*> ranker_infos_ ABSL_GUARDED_BY(mutex_);
  std::vector<prometheus::Gauge*> parity_ ABSL_GUARDED_BY(mutex_);
  std::function<void(Metrics&)> refresh_ ABSL_GUARDED_BY(mutex_);
  std::function<Samples()> read_rocksdb_ ABSL_GUARDED_BY(mutex_);
};

// Counts and times one call, from its construction to its end, however it ends. A call that never
// set a code counts as UNKNOWN.
class RpcScope {
 public:
  RpcScope(Metrics& metrics, Method method);
  ~RpcScope();
  RpcScope(const RpcScope&) = delete;
  RpcScope& operator=(const RpcScope&) = delete;

  // A gRPC status code.
  void set_code(int code) { code_ = code; }
  std::chrono::steady_clock::time_point begin() const { return begin_; }

 private:
  Metrics& metrics_;
  const Method method_;
  const std::chrono::steady_clock::time_point begin_;
  int code_ = 2;  // UNKNOWN
};

// Times one stage of a request; also tells the request, for its StageTimings.
class StageTimer {
 public:
  // `elapsed` may be null; it is set when the timer ends.
  StageTimer(Metrics& metrics, Stage stage, std::chrono::nanoseconds* elapsed);
  ~StageTimer();
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  Metrics& metrics_;
  const Stage stage_;
  std::chrono::nanoseconds* const elapsed_;
  const std::chrono::steady_clock::time_point begin_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_METRICS_H_
