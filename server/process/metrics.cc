#include "server/process/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <bit>
#include <optional>

#include "graph/fold/interaction_adjacency.h"
#include "index/candidate_source.h"
#include "index/walks/page_rank.h"
#include "index/walks/random_walk.h"
#include "server/process/metric_labels.h"
#include "server/process/process_figures.h"
#include "server/process/received_bytes.h"

namespace groundswell {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::Registry;
using std::chrono::nanoseconds;

// 10 us to 100 s, three a decade: the same for all, so that stages can be compared with the whole.
const Histogram::BucketBoundaries& Buckets() {
  static const auto* const buckets = new Histogram::BucketBoundaries{
      1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2,
      5e-2, .1,   .2,   .5,   1,    2,    5,    10,   20,   50,   100};
  return *buckets;
}

double Seconds(nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

void Add(Counter& counter, size_t count) { counter.Increment(static_cast<double>(count)); }

Family<Counter>& Counters(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

Family<Gauge>& Gauges(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

Family<Histogram>& Histograms(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

// Of families without labels.
Counter* OneCounter(Registry& registry, const char* name, const char* help) {
  return &Counters(registry, name, help).Add({});
}

Gauge* OneGauge(Registry& registry, const char* name, const char* help) {
  return &Gauges(registry, name, help).Add({});
}

Histogram* OneHistogram(Registry& registry, const char* name, const char* help,
                        const Histogram::BucketBoundaries& buckets = Buckets()) {
  return &Histograms(registry, name, help).Add({}, buckets);
}

// One counter, gauge or histogram per label value, in the order of the values.
template <typename Metric, size_t n, typename... Arguments>
std::array<Metric*, n> AddEach(Family<Metric>& family, const char* label,
                               const std::array<const char*, n>& values,
                               const Arguments&... arguments) {
  std::array<Metric*, n> metrics{};
  for (size_t i = 0; i < n; ++i) metrics[i] = &family.Add({{label, values[i]}}, arguments...);
  return metrics;
}

MetricFamily Single(std::string name, std::string help, prometheus::MetricType type, double value) {
  MetricFamily family{std::move(name), std::move(help), type, {}};
  prometheus::ClientMetric metric;
  (type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(std::move(metric));
  return family;
}

// Names as every Prometheus client has them.
void AppendProcess(std::vector<MetricFamily>& families) {
  const std::optional<ProcessFigures> figures = ReadProcessFigures();
  if (!figures.has_value()) return;
  using prometheus::MetricType;
  families.push_back(Single("process_cpu_seconds_total", "User and system CPU time.",
                            MetricType::Counter, figures->cpu_seconds));
  families.push_back(Single("process_start_time_seconds", "Start time since the Unix epoch.",
                            MetricType::Gauge, figures->start_time_seconds));
  families.push_back(Single("process_virtual_memory_bytes", "Virtual memory size.",
                            MetricType::Gauge, figures->virtual_memory_bytes));
  families.push_back(Single("process_resident_memory_bytes", "Resident memory size.",
                            MetricType::Gauge, figures->resident_memory_bytes));
  families.push_back(
      Single("process_open_fds", "Open file descriptors.", MetricType::Gauge, figures->open_files));
}

constexpr auto kSourceLabels = [] {
  std::array<const char*, kSourceNames.size()> labels{};
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = kSourceNames[i].name;
  return labels;
}();

static_assert(kMethods.size() == kLabelValues<Method>);
static_assert(kStages.size() == kLabelValues<Stage>);
static_assert(kVectorSides.size() == kLabelValues<VectorSide>);
static_assert(kVectorRungs.size() == kLabelValues<VectorRung>);
static_assert(kShadowOutcomes.size() == kLabelValues<ShadowOutcome>);
static_assert(kSteps.size() == kLabelValues<DegradedStep>);
static_assert(kFallbacks.size() == kLabelValues<Fallback>);
static_assert(kOutcomes.size() == kLabelValues<EventOutcome>);
static_assert(kFoldOutcomeNames.size() == kLabelValues<FoldOutcome>);
static_assert(kQueues.size() == kLabelValues<QueueName>);
static_assert(kWriteErrors.size() == kLabelValues<WriteErrorKind>);
static_assert(kRejections.size() == kLabelValues<Rejection>);

}  // namespace

const char* NameOf(Method method) { return kMethods[static_cast<size_t>(method)]; }

RequestMetrics::RequestMetrics(Registry& registry) {
  static_assert(kCodeNames.size() == kCodes);
  Family<Counter>& ended = Counters(registry, "groundswell_requests_total",
                                    "Calls that ended, by method and status code.");
  for (size_t method = 0; method < kMethods.size(); ++method) {
    for (size_t code = 0; code < kCodes; ++code) {
      ended_[method][code] = &ended.Add({{"method", kMethods[method]}, {"code", kCodeNames[code]}});
    }
  }
  duration_ = AddEach(
      Histograms(registry, "groundswell_request_duration_seconds",
                 "From a call's arrival to its answer, errors included; streams: their life."),
      "method", kMethods, Buckets());
  rejected_ = AddEach(Counters(registry, "groundswell_rejected_total",
                               "Requests given up before any work was done for them."),
                      "reason", kRejections);
  access_reload_failures_ =
      OneCounter(registry, "groundswell_access_reload_failures_total",
                 "Times that access.clients_file had changed and could not be used.");
  http_cut_off_ = OneCounter(
      registry, "groundswell_http_cut_off_total",
      "HTTP connections refused or cut off: too many, too slow, or with too much to say.");
  turned_away_ = OneCounter(registry, "groundswell_connections_turned_away_total",
                            "Connections to the gRPC addresses that no descriptor was left for.");
  idle_calls_ended_ = OneCounter(registry, "groundswell_idle_calls_ended_total",
                                 "Health watches and reflection streams ended: too many at once.");
}

void RequestMetrics::CountRequest(Method method, int code, nanoseconds duration) {
  const auto row = static_cast<size_t>(method);
  const bool known = code >= 0 && code < static_cast<int>(kCodes);
  ended_[row][static_cast<size_t>(known ? code : kUnknownCode)]->Increment();
  duration_[row]->Observe(Seconds(duration));
}

void RequestMetrics::CountRejected(Rejection reason) {
  rejected_[static_cast<size_t>(reason)]->Increment();
}

void RequestMetrics::CountAccessReloadFailure() { access_reload_failures_->Increment(); }
void RequestMetrics::CountHttpCutOff() { http_cut_off_->Increment(); }
void RequestMetrics::CountTurnedAway() { turned_away_->Increment(); }
void RequestMetrics::CountIdleCallEnded() { idle_calls_ended_->Increment(); }

PipelineMetrics::PipelineMetrics(Registry& registry) {
  stage_duration_ = AddEach(Histograms(registry, "groundswell_stage_duration_seconds",
                                       "Time a request spent in each stage."),
                            "stage", kStages, Buckets());
  const auto candidates =
      AddEach(Counters(registry, "groundswell_candidates_total", "Candidates proposed, by source."),
              "source", kSourceLabels);
  candidates_.assign(candidates.begin(), candidates.end());
  list_candidates_ = OneHistogram(
      registry, "groundswell_list_candidates", "Candidates of a list, merged from all sources.",
      {0, 10, 20, 50, 100, 200, 300, 400, 500, 600, 800, 1'000, 2'000, 5'000});
  first_score_ = OneHistogram(registry, "groundswell_list_first_score",
                              "Probability that the ranker gives the first item of a list.",
                              {.01, .02, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, .95, .98, .99});
  shadows_ = AddEach(Counters(registry, "groundswell_shadow_lists_total",
                              "Lists that ranking.shadow scored again, or did not."),
                     "outcome", kShadowOutcomes);
  shadow_overlap_ =
      OneHistogram(registry, "groundswell_shadow_overlap_ratio",
                   "Share of a list's ten best items that ranking.shadow has among its own ten.",
                   {0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1});
  degraded_ = AddEach(Counters(registry, "groundswell_degraded_total",
                               "Answers that left something out to be in time."),
                      "step", kSteps);
  fallbacks_ = AddEach(Counters(registry, "groundswell_fallback_total",
                                "Answers that no ranker ordered, by reason."),
                       "reason", kFallbacks);
  walk_steps_ =
      OneCounter(registry, "groundswell_walk_steps_total", "Steps of random walks over the graph.");
  walk_ends_ = AddEach(Counters(registry, "groundswell_walks_ended_early_total",
                                "Starts whose walks met enough items often enough, and calls "
                                "that the deadline cut off."),
                       "by", std::array{"goal", "deadline"});
  page_rank_edges_ = OneCounter(registry, "groundswell_page_rank_edges_total",
                                "Edges that PageRank touched for requests.");
  page_rank_cut_off_ = AddEach(Counters(registry, "groundswell_page_rank_cut_off_total",
                                        "Requests whose PageRank ended before its resolution."),
                               "by", std::array{"edges_max", "deadline"});
  prepared_items_ =
      AddEach(Counters(registry, "groundswell_prepared_items_total",
                       "Scored items whose own part of the forward pass was kept or made."),
              "outcome", std::array{"made", "kept"});
  overflown_scores_ =
      OneCounter(registry, "groundswell_overflown_scores_total",
                 "Scored items whose score a ranker's weights made infinite or no number.");
  unknown_rule_items_ =
      OneCounter(registry, "groundswell_list_rules_unknown_items_total",
                 "Rules left out of a request because the catalogue does not have their item.");
  Family<Counter>& vectors = Counters(
      registry, "groundswell_encoded_total",
      "Vectors made of users for requests, and of items that came without one, by what made them.");
  for (size_t side = 0; side < kVectorSides.size(); ++side) {
    for (size_t rung = 0; rung < kVectorRungs.size(); ++rung) {
      vectors_[side][rung] =
          &vectors.Add({{"side", kVectorSides[side]}, {"rung", kVectorRungs[rung]}});
    }
  }
}

void PipelineMetrics::ObserveStage(Stage stage, nanoseconds duration) {
  stage_duration_[static_cast<size_t>(stage)]->Observe(Seconds(duration));
}

void PipelineMetrics::CountVectors(VectorSide side, VectorRung rung, size_t count) {
  Add(*vectors_[static_cast<size_t>(side)][static_cast<size_t>(rung)], count);
}

void PipelineMetrics::CountCandidates(uint32_t source, size_t count) {
  const auto position = static_cast<size_t>(std::countr_zero(source));
  if (position < candidates_.size()) Add(*candidates_[position], count);
}

void PipelineMetrics::ObserveListCandidates(size_t count) {
  list_candidates_->Observe(static_cast<double>(count));
}

void PipelineMetrics::ObserveFirstScore(float probability) { first_score_->Observe(probability); }

void PipelineMetrics::CountShadow(ShadowOutcome outcome) {
  shadows_[static_cast<size_t>(outcome)]->Increment();
}

void PipelineMetrics::ObserveShadowOverlap(double share) { shadow_overlap_->Observe(share); }

void PipelineMetrics::CountWalk(const WalkSummary& summary) {
  walk_steps_->Increment(static_cast<double>(summary.steps));
  walk_ends_[0]->Increment(static_cast<double>(summary.ended_early));
  walk_ends_[1]->Increment(summary.cut_off ? 1 : 0);
}

void PipelineMetrics::CountPageRank(const PageRankSummary& summary) {
  page_rank_edges_->Increment(static_cast<double>(summary.edges));
  if (summary.end == PageRankEnd::kEdgesMax) page_rank_cut_off_[0]->Increment();
  if (summary.end == PageRankEnd::kDeadline) page_rank_cut_off_[1]->Increment();
}

void PipelineMetrics::CountPreparedItems(size_t made, size_t items) {
  Add(*prepared_items_[0], made);
  Add(*prepared_items_[1], items - made);
}

void PipelineMetrics::CountOverflownScores(size_t count) { Add(*overflown_scores_, count); }
void PipelineMetrics::CountUnknownRuleItems(size_t count) { Add(*unknown_rule_items_, count); }

void PipelineMetrics::CountDegraded(DegradedStep step) {
  degraded_[static_cast<size_t>(step)]->Increment();
}

void PipelineMetrics::CountFallback(Fallback reason) {
  fallbacks_[static_cast<size_t>(reason)]->Increment();
}

EventMetrics::EventMetrics(Registry& registry, std::span<const std::string> event_types) {
  Family<Counter>& events = Counters(
      registry, "groundswell_events_total",
      "Interactions by type and outcome: accepted, duplicate or refused on arrival; applied, "
      "below_zero, unknown_item, overflow, outside_window or forgotten when folded into the "
      "graph.");
  const auto add = [&events](const std::string& type) {
    OfType counters;
    for (size_t i = 0; i < counters.arrived.size(); ++i) {
      counters.arrived[i] = &events.Add({{"type", type}, {"outcome", kOutcomes[i]}});
    }
    for (size_t i = 0; i < counters.folded.size(); ++i) {
      counters.folded[i] = &events.Add({{"type", type}, {"outcome", kFoldOutcomeNames[i]}});
    }
    return counters;
  };
  other_events_ = add("other");
  for (const std::string& type : event_types) events_[type] = add(type);
  visible_delay_ = OneHistogram(registry, "groundswell_event_visible_delay_seconds",
                                "From an interaction's arrival until every reader sees it.");
  expired_ = OneCounter(registry, "groundswell_expired_edges_total",
                        "Edges that left the graph because of its window.");
}

const EventMetrics::OfType& EventMetrics::Of(std::string_view event_type) const {
  const auto found = events_.find(event_type);
  return found == events_.end() ? other_events_ : found->second;
}

void EventMetrics::CountEvents(std::string_view event_type, EventOutcome outcome, size_t count) {
  Add(*Of(event_type).arrived[static_cast<size_t>(outcome)], count);
}

void EventMetrics::CountFolded(std::string_view event_type, FoldOutcome outcome) {
  Of(event_type).folded[static_cast<size_t>(outcome)]->Increment();
}

void EventMetrics::ObserveVisibleDelay(nanoseconds delay) {
  visible_delay_->Observe(Seconds(delay));
}

void EventMetrics::CountExpired(size_t edges) { Add(*expired_, edges); }

DurabilityMetrics::DurabilityMetrics(Registry& registry) {
  log_sync_duration_ = OneHistogram(registry, "groundswell_log_sync_duration_seconds",
                                    "Duration of one synced write of the log.");
  write_errors_ = AddEach(Counters(registry, "groundswell_write_errors_total",
                                   "Calls of the file system that failed while the database "
                                   "wrote, by what the disk lacks."),
                          "kind", kWriteErrors);
  redacted_ = OneCounter(registry, "groundswell_redacted_records_total",
                         "Log records whose ids were taken out.");
  checkpoints_ =
      AddEach(Counters(registry, "groundswell_checkpoints_total", "Checkpoints, by result."),
              "result", kResults);
  checkpoint_duration_ = OneHistogram(registry, "groundswell_checkpoint_duration_seconds",
                                      "Duration of one complete checkpoint.");
  checkpoint_offset_ =
      OneGauge(registry, "groundswell_checkpoint_offset", "What the newest checkpoint contains.");
  log_begin_ =
      OneGauge(registry, "groundswell_log_begin_offset", "Oldest offset that the log still holds.");
  lost_ = OneGauge(registry, "groundswell_lost_interactions",
                   "Acknowledged interactions that were gone when the server started; only "
                   "log.durability = \"flush\" allows any.");
  digests_compared_ =
      AddEach(Counters(registry, "groundswell_shared_log_digests_compared_total",
                       "Digests of other servers of the log compared with this one's."),
              "result", std::array{"different", "same"});
}

void DurabilityMetrics::CountDigestCompared(bool is_same) {
  digests_compared_[is_same ? 1 : 0]->Increment();
}

void DurabilityMetrics::ObserveLogSync(nanoseconds duration) {
  log_sync_duration_->Observe(Seconds(duration));
}

void DurabilityMetrics::CountWriteError(WriteErrorKind kind) {
  write_errors_[static_cast<size_t>(kind)]->Increment();
}

void DurabilityMetrics::CountRedacted(size_t records) { Add(*redacted_, records); }

void DurabilityMetrics::CountCheckpoint(bool ok, nanoseconds duration) {
  checkpoints_[ok ? 1 : 0]->Increment();
  if (ok) checkpoint_duration_->Observe(Seconds(duration));
}

void DurabilityMetrics::SetCheckpointOffset(Offset offset) {
  checkpoint_offset_->Set(static_cast<double>(offset));
}

void DurabilityMetrics::SetLogBegin(Offset offset) { log_begin_->Set(static_cast<double>(offset)); }

void DurabilityMetrics::SetLost(int64_t interactions) {
  lost_->Set(static_cast<double>(interactions));
}

LevelMetrics::LevelMetrics(Registry& registry) {
  ready_ = OneGauge(registry, "groundswell_ready", "1 while the server is ready, as /readyz says.");
  queue_depth_ =
      AddEach(Gauges(registry, "groundswell_queue_depth", "Works or interactions waiting."),
              "queue", kQueues);
  apply_lag_ = OneGauge(registry, "groundswell_apply_lag_records",
                        "Interactions in the log that are not in the graph yet.");
  log_end_ = OneGauge(registry, "groundswell_log_end_offset", "Newest offset of the log.");
  shared_lag_ = OneGauge(registry, "groundswell_shared_log_lag_requests",
                         "Requests in the topic that servers share that are not taken yet.");
  applied_ = OneGauge(registry, "groundswell_applied_offset",
                      "Offset up to which the log is in the graph.");
  page_lists_ =
      OneGauge(registry, "groundswell_page_lists", "Ranked lists kept for their further pages.");
  adjacency_edges_ = AddEach(
      Gauges(registry, "groundswell_adjacency_edges", "Edges that walks can take, by direction."),
      "direction", std::array{"users_of_item", "items_of_user"});
  adjacency_evicted_ = OneGauge(registry, "groundswell_adjacency_evicted_edges",
                                "Edges that walks cannot take, as their node had too many.");
  adjacency_bytes_ =
      OneGauge(registry, "groundswell_adjacency_bytes", "Memory of the edges that walks take.");
}

void LevelMetrics::SetReady(bool ready) { ready_->Set(ready ? 1 : 0); }

void LevelMetrics::SetOffsets(Offset end, Offset applied) {
  log_end_->Set(static_cast<double>(end));
  applied_->Set(static_cast<double>(applied));
  apply_lag_->Set(static_cast<double>(end - applied));
}

void LevelMetrics::SetSharedLag(int64_t requests) {
  shared_lag_->Set(static_cast<double>(requests));
}

void LevelMetrics::SetQueueDepth(QueueName queue, size_t depth) {
  queue_depth_[static_cast<size_t>(queue)]->Set(static_cast<double>(depth));
}

void LevelMetrics::SetPageLists(size_t lists) { page_lists_->Set(static_cast<double>(lists)); }

void LevelMetrics::SetAdjacency(const InteractionAdjacency& adjacency) {
  adjacency_edges_[0]->Set(static_cast<double>(adjacency.users_of_items().edge_count()));
  adjacency_edges_[1]->Set(static_cast<double>(adjacency.items_of_users().edge_count()));
  adjacency_evicted_->Set(static_cast<double>(adjacency.evicted_count()));
  adjacency_bytes_->Set(static_cast<double>(adjacency.bytes()));
}

ServedMetrics::ServedMetrics(Registry& registry) {
  snapshot_.family = &Gauges(registry, "groundswell_snapshot_info",
                             "Always 1; the label is the snapshot that answers.");
  index_.family =
      &Gauges(registry, "groundswell_index_info",
              "Always 1; the kind of retrieval index and the SIMD level FAISS was built for.");
  index_items_ = OneGauge(registry, "groundswell_index_items", "Items in the retrieval index.");
  index_changed_items_ = OneGauge(registry, "groundswell_index_changed_items",
                                  "Items whose vector came or changed since the retrieval index "
                                  "was built; every search scans them.");
  index_progress_ = OneGauge(registry, "groundswell_index_build_progress_ratio",
                             "How much of the retrieval index is built, 0 to 1.");
  index_builds_ = AddEach(Counters(registry, "groundswell_index_builds_total",
                                   "Retrieval indexes built while serving, by result."),
                          "result", kResults);
  index_build_duration_ = OneHistogram(registry, "groundswell_index_build_duration_seconds",
                                       "Duration of building one while serving.");
  rankers_.family = &Gauges(registry, "groundswell_ranker_info",
                            "Always 1; a model that requests may name, and what it is computed "
                            "in.");
  parity_.family = &Gauges(registry, "groundswell_parity_max_abs_error",
                           "Largest difference of a model's logits from those of the snapshot's "
                           "examples.");
}

void ServedMetrics::Changing::Clear() {
  for (Gauge* gauge : now) family->Remove(gauge);
  now.clear();
}

void ServedMetrics::Changing::Add(const std::map<std::string, std::string>& labels, double value) {
  now.push_back(&family->Add(labels));
  now.back()->Set(value);
}

void ServedMetrics::SetSnapshot(const std::string& version) {
  const MutexLock lock(mutex_);
  snapshot_.Clear();
  snapshot_.Add({{"version", version}}, 1);
}

void ServedMetrics::SetIndex(const std::string& kind, const std::string& simd) {
  const MutexLock lock(mutex_);
  index_.Clear();
  index_.Add({{"kind", kind}, {"simd", simd}}, 1);
}

void ServedMetrics::SetRankers(std::span<const std::pair<std::string, std::string>> rankers) {
  const MutexLock lock(mutex_);
  rankers_.Clear();
  for (const auto& [name, arithmetic] : rankers) {
    rankers_.Add({{"ranker", name}, {"arithmetic", arithmetic}}, 1);
  }
}

void ServedMetrics::SetParity(const NamedValues& max_abs_errors) {
  const MutexLock lock(mutex_);
  parity_.Clear();
  for (const auto& [model, error] : max_abs_errors) parity_.Add({{"model", model}}, error);
}

void ServedMetrics::SetIndexSize(size_t items, size_t changed_items) {
  index_items_->Set(static_cast<double>(items));
  index_changed_items_->Set(static_cast<double>(changed_items));
}

void ServedMetrics::SetIndexProgress(size_t done, size_t total) {
  index_progress_->Set(total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total));
}

void ServedMetrics::CountIndexBuild(bool ok, nanoseconds duration) {
  index_builds_[ok ? 1 : 0]->Increment();
  if (ok) index_build_duration_->Observe(Seconds(duration));
}

ClockMetrics::ClockMetrics(Registry& registry)
    : jump_(OneGauge(registry, "groundswell_clock_jump_seconds",
                     "By how much the clock was set since the start; 0: within its limit.")) {}

void ClockMetrics::SetJump(nanoseconds jump) { jump_->Set(Seconds(jump)); }

Metrics::Metrics(std::span<const std::string> event_types)
    : registry_(std::make_unique<Registry>()),
      requests_(*registry_),
      pipeline_(*registry_),
      events_(*registry_, event_types),
      durability_(*registry_),
      levels_(*registry_),
      served_(*registry_),
      lists_(*registry_),
      clock_(*registry_) {}

Metrics::~Metrics() = default;

void Metrics::OnScrape(std::function<void(Metrics&)> refresh) {
  const MutexLock lock(mutex_);
  refresh_ = std::move(refresh);
}

void Metrics::CollectRocksDb(std::function<NamedValues()> read) {
  const MutexLock lock(mutex_);
  read_rocksdb_ = std::move(read);
}

std::string Metrics::Render() {
  std::function<void(Metrics&)> refresh;
  std::function<NamedValues()> read_rocksdb;
  {
    const MutexLock lock(mutex_);
    refresh = refresh_;
    read_rocksdb = read_rocksdb_;
  }
  if (refresh) refresh(*this);
  std::vector<MetricFamily> families = registry_->Collect();
  if (read_rocksdb) {
    for (const auto& [name, value] : read_rocksdb()) {
      families.push_back(Single("groundswell_rocksdb_" + name, "RocksDB's own figure of this name.",
                                prometheus::MetricType::Gauge, value));
    }
  }
  AppendProcess(families);
  families.push_back(Single("groundswell_long_header_blocks_total",
                            "gRPC connections ended for headers that were too long.",
                            prometheus::MetricType::Counter,
                            static_cast<double>(LongHeaderBlocks())));
  return prometheus::TextSerializer().Serialize(families);
}

StageTimer::StageTimer(PipelineMetrics& metrics, Stage stage, nanoseconds* elapsed)
    : metrics_(metrics),
      stage_(stage),
      elapsed_(elapsed),
      begin_(std::chrono::steady_clock::now()) {}

StageTimer::~StageTimer() {
  const nanoseconds took = std::chrono::steady_clock::now() - begin_;
  metrics_.ObserveStage(stage_, took);
  if (elapsed_ != nullptr) *elapsed_ = took;
}

}  // namespace groundswell
