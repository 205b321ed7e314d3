// Metrics: every metric family of the server, by subject, with label values known up front.
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
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "graph/fold/fold_outcome.h"
#include "graph/ids.h"
#include "graph/mutex.h"
#include "graph/store/write_error.h"
#include "server/process/list_metrics.h"

// The library's headers are metrics.cc's alone: nearly every file of the server includes this one.
namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
template <typename Metric>
class Family;
}  // namespace prometheus

namespace groundswell {

class InteractionAdjacency;
struct PageRankSummary;
struct WalkSummary;

// Label values; kCount is the number of them. metric_labels.h has the texts, in the same order.
enum class Method {
  kRecommend,
  kBatchRecommend,
  kRank,
  kSimilarItems,
  kGetUserState,
  kTraceRecommend,
  kGetItem,
  kListItems,
  kListCategories,
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
  kUpsertItems,
  kRemoveItem,
  kReadLog,
  kGetListRules,
  kSetListRules,
  kGetBlend,
  kResetBlend,
  kListSlowCalls,
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
// Of an interaction on arrival. What it comes to when it is folded is a FoldOutcome.
enum class EventOutcome { kAccepted, kDuplicate, kRefused, kCount };
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

// Whose vector was made, and by what: an encoder, the rule without one, or not at all.
enum class VectorSide { kUser, kItem, kCount };
enum class VectorRung { kEncoder, kRule, kNone, kCount };

enum class ShadowOutcome { kScored, kNotScored, kLeftOut, kCount };

template <typename Label>
inline constexpr size_t kLabelValues = static_cast<size_t>(Label::kCount);

// One pre-made metric per value of a label, in the order of the values.
template <typename Metric, typename Label>
using PerValue = std::array<Metric*, kLabelValues<Label>>;

// Values by name.
using NamedValues = std::vector<std::pair<std::string, double>>;

// The parts of Metrics, further below: a component is given the one of its subject. Thread-safe
// throughout.

// Calls, as they come and end.
class RequestMetrics {
 public:
  explicit RequestMetrics(prometheus::Registry& registry);

  // `code`: a gRPC status code, 0 to 16; others count as UNKNOWN. See RpcScope.
  void CountRequest(Method method, int code, std::chrono::nanoseconds duration);
  void CountRejected(Rejection reason);
  void CountAccessReloadFailure();
  void CountHttpCutOff();
  void CountTurnedAway();  // a connection to a gRPC address
  void CountIdleCallEnded();

 private:
  static constexpr size_t kCodes = 17;

  std::array<std::array<prometheus::Counter*, kCodes>, kLabelValues<Method>> ended_{};
  PerValue<prometheus::Histogram, Method> duration_{};
  PerValue<prometheus::Counter, Rejection> rejected_{};
  prometheus::Counter* access_reload_failures_ = nullptr;
  prometheus::Counter* http_cut_off_ = nullptr;
  prometheus::Counter* turned_away_ = nullptr;
  prometheus::Counter* idle_calls_ended_ = nullptr;
};

// What happens on the way from a request to its list.
class PipelineMetrics {
 public:
  explicit PipelineMetrics(prometheus::Registry& registry);

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
  void CountPageRank(const PageRankSummary& summary);
  // Of `items` that were scored, `made` had to be prepared; the others were kept.
  void CountPreparedItems(size_t made, size_t items);
  // Items whose score was no number, or infinite.
  void CountOverflownScores(size_t count);
  // Rules that hold for a request and name an item that the catalogue does not have.
  void CountUnknownRuleItems(size_t count);
  void CountDegraded(DegradedStep step);
  void CountFallback(Fallback reason);
  void CountVectors(VectorSide side, VectorRung rung, size_t count = 1);

 private:
  PerValue<prometheus::Histogram, Stage> stage_duration_{};
  std::vector<prometheus::Counter*> candidates_;  // by position of the SourceBit
  prometheus::Histogram* list_candidates_ = nullptr;
  prometheus::Histogram* first_score_ = nullptr;
  PerValue<prometheus::Counter, ShadowOutcome> shadows_{};
  prometheus::Histogram* shadow_overlap_ = nullptr;
  PerValue<prometheus::Counter, DegradedStep> degraded_{};
  PerValue<prometheus::Counter, Fallback> fallbacks_{};
  prometheus::Counter* walk_steps_ = nullptr;
  prometheus::Counter* page_rank_edges_ = nullptr;
  std::array<prometheus::Counter*, 2> page_rank_cut_off_{};  // edges_max, deadline
  std::array<prometheus::Counter*, 2> walk_ends_{};          // goal, deadline
  std::array<prometheus::Counter*, 2> prepared_items_{};     // made, kept
  prometheus::Counter* overflown_scores_ = nullptr;
  prometheus::Counter* unknown_rule_items_ = nullptr;
  std::array<PerValue<prometheus::Counter, VectorRung>, kLabelValues<VectorSide>> vectors_{};
};

// Interactions, from their arrival to the graph and out of it.
class EventMetrics {
 public:
  // `event_types`: the configured ones; any other is counted as type "other".
  EventMetrics(prometheus::Registry& registry, std::span<const std::string> event_types);

  void CountEvents(std::string_view event_type, EventOutcome outcome, size_t count = 1);
  void CountFolded(std::string_view event_type, FoldOutcome outcome);
  // From the append to the log until every reader sees the event.
  void ObserveVisibleDelay(std::chrono::nanoseconds delay);
  // Edges that left by the window.
  void CountExpired(size_t edges);

 private:
  struct OfType {
    PerValue<prometheus::Counter, EventOutcome> arrived{};
    PerValue<prometheus::Counter, FoldOutcome> folded{};
  };
  const OfType& Of(std::string_view event_type) const;

  std::map<std::string, OfType, std::less<>> events_;
  OfType other_events_;
  prometheus::Histogram* visible_delay_ = nullptr;
  prometheus::Counter* expired_ = nullptr;
};

// The log and its checkpoints.
class DurabilityMetrics {
 public:
  explicit DurabilityMetrics(prometheus::Registry& registry);

  void ObserveLogSync(std::chrono::nanoseconds duration);
  void CountWriteError(WriteErrorKind kind);
  void CountRedacted(size_t records);
  // `duration` of one that failed is not observed.
  void CountCheckpoint(bool ok, std::chrono::nanoseconds duration);
  void SetCheckpointOffset(Offset offset);
  void SetLogBegin(Offset offset);
  // Acknowledged interactions that were not there any more at start (log.durability = "flush").
  void SetLost(int64_t interactions);
  // Of another server of a shared log with this one's.
  void CountDigestCompared(bool is_same);

 private:
  prometheus::Histogram* log_sync_duration_ = nullptr;
  PerValue<prometheus::Counter, WriteErrorKind> write_errors_{};
  prometheus::Counter* redacted_ = nullptr;
  std::array<prometheus::Counter*, 2> checkpoints_{};  // failed, complete
  prometheus::Histogram* checkpoint_duration_ = nullptr;
  prometheus::Gauge* checkpoint_offset_ = nullptr;
  prometheus::Gauge* log_begin_ = nullptr;
  prometheus::Gauge* lost_ = nullptr;
  std::array<prometheus::Counter*, 2> digests_compared_{};  // different, same
};

// How full things are; best set from Metrics::OnScrape.
class LevelMetrics {
 public:
  explicit LevelMetrics(prometheus::Registry& registry);

  // What /readyz says.
  void SetReady(bool ready);
  // The lag is `end` - `applied`.
  void SetOffsets(Offset end, Offset applied);
  // Requests in the topic of a shared log that are not taken yet.
  void SetSharedLag(int64_t requests);
  void SetQueueDepth(QueueName queue, size_t depth);
  void SetPageLists(size_t lists);
  void SetAdjacency(const InteractionAdjacency& adjacency);

 private:
  prometheus::Gauge* ready_ = nullptr;
  PerValue<prometheus::Gauge, QueueName> queue_depth_{};
  prometheus::Gauge* apply_lag_ = nullptr;
  prometheus::Gauge* log_end_ = nullptr;
  prometheus::Gauge* shared_lag_ = nullptr;
  prometheus::Gauge* applied_ = nullptr;
  prometheus::Gauge* page_lists_ = nullptr;
  std::array<prometheus::Gauge*, 2> adjacency_edges_{};  // users of items, items of users
  prometheus::Gauge* adjacency_evicted_ = nullptr;
  prometheus::Gauge* adjacency_bytes_ = nullptr;
};

// What answers: the snapshot, its index and its models.
class ServedMetrics {
 public:
  explicit ServedMetrics(prometheus::Registry& registry);

  // Each replaces what was set before.
  void SetSnapshot(const std::string& version);
  void SetIndex(const std::string& kind, const std::string& simd);
  // Names, and what each is computed in.
  void SetRankers(std::span<const std::pair<std::string, std::string>> rankers);
  // By model, how far its logits are from those of the snapshot's examples at most.
  void SetParity(const NamedValues& max_abs_errors);
  // Items in the retrieval index, and items whose vector came or changed since it was built.
  void SetIndexSize(size_t items, size_t changed_items);
  // Of the index that is being built, or was built last.
  void SetIndexProgress(size_t done, size_t total);
  // `duration` of one that failed is not observed.
  void CountIndexBuild(bool ok, std::chrono::nanoseconds duration);

 private:
  // A family whose label values are not known up front.
  struct Changing {
    prometheus::Family<prometheus::Gauge>* family = nullptr;
    std::vector<prometheus::Gauge*> now;
    void Clear();
    void Add(const std::map<std::string, std::string>& labels, double value);
  };

  Mutex mutex_;
  Changing snapshot_ ABSL_GUARDED_BY(mutex_);
  Changing index_ ABSL_GUARDED_BY(mutex_);
  prometheus::Gauge* index_items_ = nullptr;
  prometheus::Gauge* index_changed_items_ = nullptr;
  prometheus::Gauge* index_progress_ = nullptr;
  std::array<prometheus::Counter*, 2> index_builds_{};  // failed, complete
  prometheus::Histogram* index_build_duration_ = nullptr;
  Changing rankers_ ABSL_GUARDED_BY(mutex_);
  Changing parity_ ABSL_GUARDED_BY(mutex_);
};

// Best set from Metrics::OnScrape.
class ClockMetrics {
 public:
  explicit ClockMetrics(prometheus::Registry& registry);

  // By how much the machine's clock was set while the server runs; 0 while that is within
  // ingest.clock_jump_max_s.
  void SetJump(std::chrono::nanoseconds jump);

 private:
  prometheus::Gauge* jump_ = nullptr;
};

// All of them. Thread-safe throughout.
class Metrics {
 public:
  // See EventMetrics.
  explicit Metrics(std::span<const std::string> event_types);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  RequestMetrics& requests() { return requests_; }
  PipelineMetrics& pipeline() { return pipeline_; }
  EventMetrics& events() { return events_; }
  DurabilityMetrics& durability() { return durability_; }
  LevelMetrics& levels() { return levels_; }
  ServedMetrics& served() { return served_; }
  ListMetrics& lists() { return lists_; }
  ClockMetrics& clock() { return clock_; }

  // Run at the start of every Render, to set gauges. What it touches must outlive the last Render.
  void OnScrape(std::function<void(Metrics&)> refresh);
  // Gauges named groundswell_rocksdb_<first>, read at every Render. Names: [a-z0-9_]+, with a unit.
  void CollectRocksDb(std::function<NamedValues()> read);

  // Everything in Prometheus' text format (version 0.0.4), the process's own figures included.
  std::string Render();

 private:
  const std::unique_ptr<prometheus::Registry> registry_;
  // In the order in which their families are rendered.
  RequestMetrics requests_;
  PipelineMetrics pipeline_;
  EventMetrics events_;
  DurabilityMetrics durability_;
  LevelMetrics levels_;
  ServedMetrics served_;
  ListMetrics lists_;
  ClockMetrics clock_;

  Mutex mutex_;
  std::function<void(Metrics&)> refresh_ ABSL_GUARDED_BY(mutex_);
  std::function<NamedValues()> read_rocksdb_ ABSL_GUARDED_BY(mutex_);
};

// Counts and times one call, from its construction to its end, however it ends. A call that never
// set a code counts as UNKNOWN.
class RpcScope {
 public:
  RpcScope(RequestMetrics& metrics, Method method) : metrics_(metrics), method_(method) {}
  ~RpcScope() { metrics_.CountRequest(method_, code_, std::chrono::steady_clock::now() - begin_); }
  RpcScope(const RpcScope&) = delete;
  RpcScope& operator=(const RpcScope&) = delete;

  // A gRPC status code.
  void set_code(int code) { code_ = code; }
  std::chrono::steady_clock::time_point begin() const { return begin_; }

 private:
  RequestMetrics& metrics_;
  const Method method_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  int code_ = 2;  // UNKNOWN
};

// Times one stage of a request; also tells the request, for its StageTimings.
class StageTimer {
 public:
  // `elapsed` may be null; it is set when the timer ends.
  StageTimer(PipelineMetrics& metrics, Stage stage, std::chrono::nanoseconds* elapsed);
  ~StageTimer();
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  PipelineMetrics& metrics_;
  const Stage stage_;
  std::chrono::nanoseconds* const elapsed_;
  const std::chrono::steady_clock::time_point begin_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_METRICS_H_
