#include "server/process/metrics.h"

#include <prometheus/family.h>
#include <prometheus/text_serializer.h>

#include <bit>
#include <optional>

#include "server/process/process_figures.h"

namespace groundswell {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::MetricFamily;
using std::chrono::nanoseconds;

constexpr std::array kMethods = {"Recommend",         "BatchRecommend",   "Rank",
                                 "SimilarItems",      "GetUserState",     "Ingest",
                                 "RecordInteraction", "ForgetUser",       "GetServerStatus",
                                 "CreateCheckpoint",  "VerifyGraph",      "CreateBackup",
                                 "ActivateSnapshot",  "RollBackSnapshot", "ListSnapshots",
                                 "UpsertItem",        "RemoveItem",       "ReadLog",
                                 "GetListRules",      "SetListRules"};
constexpr std::array kCodeNames = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
constexpr std::array kShadowOutcomes = {"scored", "not_scored", "left_out"};
constexpr std::array kStages = {"queue", "user_state", "retrieval", "rank", "explain", "arrange"};
constexpr std::array kSteps = {"fewer_candidates", "ranking_skipped",      "retrieval_skipped",
                               "stale_state",      "explanations_skipped", "diversity_skipped"};
constexpr std::array kFallbacks = {"unknown_user", "user_not_scored"};
constexpr std::array kOutcomes = {"accepted", "duplicate",      "refused",
                                  "applied",  "below_zero",     "unknown_item",
                                  "overflow", "outside_window", "forgotten"};
constexpr std::array kQueues = {"compute", "log"};
constexpr std::array kRejections = {"queue_full",      "draining",  "deadline",    "cancelled",
                                    "unauthenticated", "forbidden", "rate_limited"};
constexpr int kUnknownCode = 2;

// 10 us to 100 s, three a decade: the same for all, so that stages can be compared with the whole.
const Histogram::BucketBoundaries& Buckets() {
  static const auto* const buckets = new Histogram::BucketBoundaries{
      1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2,
      5e-2, .1,   .2,   .5,   1,    2,    5,    10,   20,   50,   100};
  return *buckets;
}

double Seconds(nanoseconds duration) { return std::chrono::duration<double>(duration).count(); }

// One counter, gauge or histogram per label value, in the order of the values.
template <typename Metric, size_t n, typename... Arguments>
std::array<Metric*, n> AddEach(Family<Metric>& family, const char* label,
                               const std::array<const char*, n>& values,
                               const Arguments&... arguments) {
  std::array<Metric*, n> metrics{};
  for (size_t i = 0; i < n; ++i) metrics[i] = &family.Add({{label, values[i]}}, arguments...);
  return metrics;
}

Family<Counter>& CounterFamily(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

Family<Gauge>& GaugeFamily(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

Family<Histogram>& HistogramFamily(prometheus::Registry& registry, const char* name,
                                   const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
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

}  // namespace

Metrics::Metrics(std::span<const std::string> event_types) {
  static_assert(kMethods.size() == kSize<Method> && kStages.size() == kSize<Stage>);
  static_assert(kShadowOutcomes.size() == kSize<ShadowOutcome>);
  static_assert(kSteps.size() == kSize<DegradedStep> && kFallbacks.size() == kSize<Fallback>);
  static_assert(kOutcomes.size() == kSize<EventOutcome> && kQueues.size() == kSize<QueueName>);
  static_assert(kRejections.size() == kSize<Rejection> && kCodeNames.size() == kCodes);
  MakeRequestFamilies();
  MakePipelineFamilies();
  MakeEventFamilies(event_types);
  MakeDurabilityFamilies();
  MakeGauges();
  MakeIndexFamilies();
}

Metrics::~Metrics() = default;

void Metrics::MakeRequestFamilies() {
  Family<Counter>& requests = CounterFamily(registry_, "groundswell_requests_total",
                                            "Calls that ended, by method and status code.");
  for (size_t method = 0; method < kMethods.size(); ++method) {
    for (size_t code = 0; code < kCodes; ++code) {
      requests_[method][code] =
          &requests.Add({{"method", kMethods[method]}, {"code", kCodeNames[code]}});
    }
  }
  request_duration_ = AddEach(
      HistogramFamily(registry_, "groundswell_request_duration_seconds",
                      "From a call's arrival to its answer, errors included; streams: their life."),
      "method", kMethods, Buckets());
  rejected_ = AddEach(CounterFamily(registry_, "groundswell_rejected_total",
                                    "Requests given up before any work was done for them."),
                      "reason", kRejections);
  access_reload_failures_ =
      &CounterFamily(registry_, "groundswell_access_reload_failures_total",
                     "Times that access.clients_file had changed and could not be used.")
           .Add({});
  http_cut_off_ = &CounterFamily(registry_, "groundswell_http_cut_off_total",
                                 "HTTP connections refused or cut off: too many, too slow, or with "
                                 "too much to say.")
                       .Add({});
}

void Metrics::MakePipelineFamilies() {
  stage_duration_ = AddEach(HistogramFamily(registry_, "groundswell_stage_duration_seconds",
                                            "Time a request spent in each stage."),
                            "stage", kStages, Buckets());
  candidates_ = AddEach(
      CounterFamily(registry_, "groundswell_candidates_total", "Candidates proposed, by source."),
      "source", kSourceNames);
  list_candidates_ = &HistogramFamily(registry_, "groundswell_list_candidates",
                                      "Candidates of a list, merged from all sources.")
                          .Add({}, Histogram::BucketBoundaries{0, 10, 20, 50, 100, 200, 300, 400,
                                                               500, 600, 800, 1'000, 2'000, 5'000});
  first_score_ = &HistogramFamily(registry_, "groundswell_list_first_score",
                                  "Probability that the ranker gives the first item of a list.")
                      .Add({}, Histogram::BucketBoundaries{.01, .02, .05, .1, .2, .3, .4, .5, .6,
                                                           .7, .8, .9, .95, .98, .99});
  shadows_ = AddEach(CounterFamily(registry_, "groundswell_shadow_lists_total",
                                   "Lists that ranking.shadow scored again, or did not."),
                     "outcome", kShadowOutcomes);
  shadow_overlap_ =
      &HistogramFamily(
           registry_, "groundswell_shadow_overlap_ratio",
           "Share of a list's ten best items that ranking.shadow has among its own ten.")
           .Add({}, Histogram::BucketBoundaries{0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1});
  degraded_ = AddEach(CounterFamily(registry_, "groundswell_degraded_total",
                                    "Answers that left something out to be in time."),
                      "step", kSteps);
  fallbacks_ = AddEach(CounterFamily(registry_, "groundswell_fallback_total",
                                     "Answers that no ranker ordered, by reason."),
                       "reason", kFallbacks);
  walk_steps_ = &CounterFamily(registry_, "groundswell_walk_steps_total",
                               "Steps of random walks over the graph.")
                     .Add({});
  walk_ends_ = AddEach(CounterFamily(registry_, "groundswell_walks_ended_early_total",
                                     "Starts whose walks met enough items often enough, and calls "
                                     "that the deadline cut off."),
                       "by", std::array{"goal", "deadline"});
  auto& prepared =
      CounterFamily(registry_, "groundswell_prepared_items_total",
                    "Scored items whose own part of the forward pass was kept or made.");
  items_made_ = &prepared.Add({{"outcome", "made"}});
  items_kept_ = &prepared.Add({{"outcome", "kept"}});
  unknown_rule_items_ =
      &CounterFamily(registry_, "groundswell_list_rules_unknown_items_total",
                     "Rules left out of a request because the catalogue does not have their item.")
           .Add({});
}

void Metrics::MakeEventFamilies(std::span<const std::string> event_types) {
  Family<Counter>& events = CounterFamily(
      registry_, "groundswell_events_total",
      "Interactions by type and outcome: accepted, duplicate or refused on arrival; applied, "
      "below_zero, unknown_item, overflow, outside_window or forgotten when folded into the "
      "graph.");
  const auto add = [&events](const std::string& type) {
    EventCounters counters{};
    for (size_t i = 0; i < counters.size(); ++i) {
      counters[i] = &events.Add({{"type", type}, {"outcome", kOutcomes[i]}});
    }
    return counters;
  };
  other_events_ = add("other");
  for (const std::string& type : event_types) events_[type] = add(type);
  event_visible_delay_ =
      &HistogramFamily(registry_, "groundswell_event_visible_delay_seconds",
                       "From an interaction's arrival until every reader sees it.")
           .Add({}, Buckets());
  log_sync_duration_ = &HistogramFamily(registry_, "groundswell_log_sync_duration_seconds",
                                        "Duration of one synced write of the log.")
                            .Add({}, Buckets());
}

void Metrics::MakeDurabilityFamilies() {
  expired_ = &CounterFamily(registry_, "groundswell_expired_edges_total",
                            "Edges that left the graph because of its window.")
                  .Add({});
  redacted_ = &CounterFamily(registry_, "groundswell_redacted_records_total",
                             "Log records whose ids were taken out.")
                   .Add({});
  checkpoints_ =
      AddEach(CounterFamily(registry_, "groundswell_checkpoints_total", "Checkpoints, by result."),
              "result", std::array{"failed", "complete"});
  checkpoint_duration_ = &HistogramFamily(registry_, "groundswell_checkpoint_duration_seconds",
                                          "Duration of one complete checkpoint.")
                              .Add({}, Buckets());
  checkpoint_offset_ = &GaugeFamily(registry_, "groundswell_checkpoint_offset",
                                    "What the newest checkpoint contains.")
                            .Add({});
  log_begin_ = &GaugeFamily(registry_, "groundswell_log_begin_offset",
                            "Oldest offset that the log still holds.")
                    .Add({});
  lost_ = &GaugeFamily(registry_, "groundswell_lost_interactions",
                       "Acknowledged interactions that were gone when the server started; only "
                       "log.durability = \"flush\" allows any.")
               .Add({});
}

void Metrics::MakeGauges() {
  queue_depth_ =
      AddEach(GaugeFamily(registry_, "groundswell_queue_depth", "Works or interactions waiting."),
              "queue", kQueues);
  apply_lag_ = &GaugeFamily(registry_, "groundswell_apply_lag_records",
                            "Interactions in the log that are not in the graph yet.")
                    .Add({});
  log_end_ =
      &GaugeFamily(registry_, "groundswell_log_end_offset", "Newest offset of the log.").Add({});
  applied_ = &GaugeFamily(registry_, "groundswell_applied_offset",
                          "Offset up to which the log is in the graph.")
                  .Add({});
  page_lists_ = &GaugeFamily(registry_, "groundswell_page_lists",
                             "Ranked lists kept for their further pages.")
                     .Add({});
  adjacency_edges_ = AddEach(GaugeFamily(registry_, "groundswell_adjacency_edges",
                                         "Edges that walks can take, by direction."),
                             "direction", std::array{"users_of_item", "items_of_user"});
  adjacency_evicted_ = &GaugeFamily(registry_, "groundswell_adjacency_evicted_edges",
                                    "Edges that walks cannot take, as their node had too many.")
                            .Add({});
  adjacency_bytes_ =
      &GaugeFamily(registry_, "groundswell_adjacency_bytes", "Memory of the edges that walks take.")
           .Add({});
  snapshot_family_ = &GaugeFamily(registry_, "groundswell_snapshot_info",
                                  "Always 1; the label is the snapshot that answers.");
}

void Metrics::MakeIndexFamilies() {
  index_family_ =
      &GaugeFamily(registry_, "groundswell_index_info",
                   "Always 1; the kind of retrieval index and the SIMD level FAISS was built for.");
  index_items_ =
      &GaugeFamily(registry_, "groundswell_index_items", "Items in the retrieval index.").Add({});
  index_changed_items_ = &GaugeFamily(registry_, "groundswell_index_changed_items",
                                      "Items whose vector came or changed since the retrieval "
                                      "index was built; every search scans them.")
                              .Add({});
  index_progress_ = &GaugeFamily(registry_, "groundswell_index_build_progress_ratio",
                                 "How much of the retrieval index is built, 0 to 1.")
                         .Add({});
  index_builds_ = AddEach(CounterFamily(registry_, "groundswell_index_builds_total",
                                        "Retrieval indexes built while serving, by result."),
                          "result", std::array{"failed", "complete"});
  index_build_duration_ = &HistogramFamily(registry_, "groundswell_index_build_duration_seconds",
                                           "Duration of building one while serving.")
                               .Add({}, Buckets());
  ranker_family_ =
      &GaugeFamily(registry_, "groundswell_ranker_info",
                   "Always 1; a model that requests may name, and what it is computed in.");
  parity_family_ = &GaugeFamily(registry_, "groundswell_parity_max_abs_error",
                                "Largest difference of a model's logits from those of the "
                                "snapshot's examples.");
}

void Metrics::CountRequest(Method method, int code, nanoseconds duration) {
  const auto row = static_cast<size_t>(method);
  const bool known = code >= 0 && code < static_cast<int>(kCodes);
  requests_[row][static_cast<size_t>(known ? code : kUnknownCode)]->Increment();
  request_duration_[row]->Observe(Seconds(duration));
}

void Metrics::ObserveStage(Stage stage, nanoseconds duration) {
  stage_duration_[static_cast<size_t>(stage)]->Observe(Seconds(duration));
}

void Metrics::CountCandidates(uint32_t source, size_t count) {
  const auto position = static_cast<size_t>(std::countr_zero(source));
  if (position < kSourceNames.size()) candidates_[position]->Increment(static_cast<double>(count));
}

void Metrics::CountWalk(const WalkSummary& summary) {
  walk_steps_->Increment(static_cast<double>(summary.steps));
  walk_ends_[0]->Increment(static_cast<double>(summary.ended_early));
  walk_ends_[1]->Increment(summary.cut_off ? 1 : 0);
}

void Metrics::ObserveListCandidates(size_t count) {
  list_candidates_->Observe(static_cast<double>(count));
}

void Metrics::ObserveFirstScore(float probability) { first_score_->Observe(probability); }

const char* NameOf(Method method) { return kMethods[static_cast<size_t>(method)]; }

void Metrics::CountShadow(ShadowOutcome outcome) {
  shadows_[static_cast<size_t>(outcome)]->Increment();
}

void Metrics::ObserveShadowOverlap(double share) { shadow_overlap_->Observe(share); }

void Metrics::CountAccessReloadFailure() { access_reload_failures_->Increment(); }
void Metrics::CountHttpCutOff() { http_cut_off_->Increment(); }

void Metrics::CountUnknownRuleItems(size_t count) {
  unknown_rule_items_->Increment(static_cast<double>(count));
}

void Metrics::CountPreparedItems(size_t made, size_t items) {
  items_made_->Increment(static_cast<double>(made));
  items_kept_->Increment(static_cast<double>(items - made));
}

void Metrics::CountDegraded(DegradedStep step) {
  degraded_[static_cast<size_t>(step)]->Increment();
}

void Metrics::CountFallback(Fallback reason) {
  fallbacks_[static_cast<size_t>(reason)]->Increment();
}

void Metrics::CountEvents(std::string_view event_type, EventOutcome outcome, size_t count) {
  const auto found = events_.find(event_type);
  const EventCounters& counters = found == events_.end() ? other_events_ : found->second;
  counters[static_cast<size_t>(outcome)]->Increment(static_cast<double>(count));
}

void Metrics::CountRejected(Rejection reason) {
  rejected_[static_cast<size_t>(reason)]->Increment();
}

void Metrics::ObserveEventVisibleDelay(nanoseconds delay) {
  event_visible_delay_->Observe(Seconds(delay));
}

void Metrics::ObserveLogSync(nanoseconds duration) {
  log_sync_duration_->Observe(Seconds(duration));
}

void Metrics::CountExpired(size_t edges) { expired_->Increment(static_cast<double>(edges)); }

void Metrics::CountRedacted(size_t records) { redacted_->Increment(static_cast<double>(records)); }

void Metrics::CountCheckpoint(bool ok, nanoseconds duration) {
  checkpoints_[ok ? 1 : 0]->Increment();
  if (ok) checkpoint_duration_->Observe(Seconds(duration));
}

void Metrics::SetCheckpointOffset(Offset offset) {
  checkpoint_offset_->Set(static_cast<double>(offset));
}

void Metrics::SetLogBegin(Offset offset) { log_begin_->Set(static_cast<double>(offset)); }

void Metrics::SetLost(int64_t interactions) { lost_->Set(static_cast<double>(interactions)); }

void Metrics::SetOffsets(Offset end, Offset applied) {
  log_end_->Set(static_cast<double>(end));
  applied_->Set(static_cast<double>(applied));
  apply_lag_->Set(static_cast<double>(end - applied));
}

void Metrics::SetQueueDepth(QueueName queue, size_t depth) {
  queue_depth_[static_cast<size_t>(queue)]->Set(static_cast<double>(depth));
}

void Metrics::SetPageLists(size_t lists) { page_lists_->Set(static_cast<double>(lists)); }

void Metrics::SetAdjacency(const InteractionAdjacency& adjacency) {
  adjacency_edges_[0]->Set(static_cast<double>(adjacency.users_of_items().edge_count()));
  adjacency_edges_[1]->Set(static_cast<double>(adjacency.items_of_users().edge_count()));
  adjacency_evicted_->Set(static_cast<double>(adjacency.evicted_count()));
  adjacency_bytes_->Set(static_cast<double>(adjacency.bytes()));
}

void Metrics::SetSnapshot(const std::string& version) {
  const MutexLock lock(mutex_);
  if (snapshot_info_ != nullptr) snapshot_family_->Remove(snapshot_info_);
  snapshot_info_ = &snapshot_family_->Add({{"version", version}});
  snapshot_info_->Set(1);
}

void Metrics::SetIndex(const std::string& kind, const std::string& simd) {
  const MutexLock lock(mutex_);
  if (index_info_ != nullptr) index_family_->Remove(index_info_);
  index_info_ = &index_family_->Add({{"kind", kind}, {"simd", simd}});
  index_info_->Set(1);
}

void Metrics::SetIndexSize(size_t items, size_t changed_items) {
  index_items_->Set(static_cast<double>(items));
  index_changed_items_->Set(static_cast<double>(changed_items));
}

void Metrics::SetIndexProgress(size_t done, size_t total) {
  index_progress_->Set(total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total));
}

void Metrics::CountIndexBuild(bool ok, nanoseconds duration) {
  index_builds_[ok ? 1 : 0]->Increment();
  if (ok) index_build_duration_->Observe(Seconds(duration));
}

void Metrics::SetRankers(std::span<const std::pair<std::string, std::string>> rankers) {
  const MutexLock lock(mutex_);
  for (prometheus::Gauge* info : ranker_infos_) ranker_family_->Remove(info);
  ranker_infos_.clear();
  for (const auto& [name, arithmetic] : rankers) {
    ranker_infos_.push_back(&ranker_family_->Add({{"ranker", name}, {"arithmetic", arithmetic}}));
    ranker_infos_.back()->Set(1);
  }
}

void Metrics::SetParity(const Samples& max_abs_errors) {
  const MutexLock lock(mutex_);
  for (prometheus::Gauge* gauge : parity_) parity_family_->Remove(gauge);
  parity_.clear();
  for (const auto& [model, error] : max_abs_errors) {
    parity_.push_back(&parity_family_->Add({{"model", model}}));
    parity_.back()->Set(error);
  }
}

void Metrics::OnScrape(std::function<void(Metrics&)> refresh) {
  const MutexLock lock(mutex_);
  refresh_ = std::move(refresh);
}

void Metrics::CollectRocksDb(std::function<Samples()> read) {
  const MutexLock lock(mutex_);
  read_rocksdb_ = std::move(read);
}

std::string Metrics::Render() {
  std::function<void(Metrics&)> refresh;
  std::function<Samples()> read_rocksdb;
  {
    const MutexLock lock(mutex_);
    refresh = refresh_;
    read_rocksdb = read_rocksdb_;
  }
  if (refresh) refresh(*this);
  std::vector<MetricFamily> families = registry_.Collect();
  if (read_rocksdb) {
    for (const auto& [name, value] : read_rocksdb()) {
      families.push_back(Single("groundswell_rocksdb_" + name, "RocksDB's own figure of this name.",
                                prometheus::MetricType::Gauge, value));
    }
  }
  AppendProcess(families);
  return prometheus::TextSerializer().Serialize(families);
}

RpcScope::RpcScope(Metrics& metrics, Method method)
    : metrics_(metrics), method_(method), begin_(std::chrono::steady_clock::now()) {}

RpcScope::~RpcScope() {
  metrics_.CountRequest(method_, code_, std::chrono::steady_clock::now() - begin_);
}

StageTimer::StageTimer(Metrics& metrics, Stage stage, nanoseconds* elapsed)
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
