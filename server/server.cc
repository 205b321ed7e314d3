#include "server/server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "graph/fold/applier.h"
#include "graph/store/rocksdb_log.h"
#include "graph/store/store.h"
#include "program/process_limits.h"
#include "server/admin/admin_service.h"
#include "server/config/ranker_shares.h"
#include "server/ingest/interaction_service.h"
#include "server/ingest/new_item_room.h"
#include "server/ingest/removals.h"
#include "server/options.h"
#include "server/pipeline/admission.h"
#include "server/pipeline/list_quality.h"
#include "server/process/exit_status.h"
#include "server/process/http_endpoint.h"
#include "server/process/http_tls.h"
#include "server/process/metrics.h"
#include "server/process/periodic_thread.h"
#include "server/process/trusted_clock.h"
#include "server/process/write_watch.h"
#include "server/recommend/list_rules.h"
#include "server/recommend/ranked_lists.h"
#include "server/recommend/recommend_service.h"
#include "server/recommend/shadow_ranking.h"
#include "server/recommend/unary_runner.h"
#include "server/rpc/access.h"
#include "server/rpc/api_time.h"
#include "server/rpc/connect_endpoint.h"
#include "server/rpc/connection_room.h"
#include "server/rpc/grpc_endpoints.h"
#include "server/rpc/listener.h"
#include "server/serving/activation.h"
#include "server/serving/background.h"
#include "server/serving/digest_comparison.h"
#include "server/serving/empty_database.h"
#include "server/serving/graph_follower.h"
#include "server/serving/graph_jobs.h"
#include "server/serving/index_upkeep.h"
#include "server/serving/load_state.h"
#include "server/serving/serving_state.h"
#include "server/serving/shared_log.h"
#include "server/serving/start_state.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kIndexUpkeepInterval{1};
constexpr std::chrono::milliseconds kWatchInterval{100};
// About as many as gRPC begins, besides two per core.
constexpr int64_t kThreadsOfGrpc = 16;

// To call this. What is not for reading or writing is for operators.
Right RightFor(const google::protobuf::MethodDescriptor& method) {
  const std::string_view service = method.service()->full_name();
  if (service == v1::RecommendationService::service_full_name()) return Right::kRead;
  if (service == v1::InteractionService::service_full_name()) return Right::kWrite;
  return Right::kAdmin;
}

void CountRefused(const google::protobuf::MethodDescriptor& method, const absl::Status& status,
                  RequestMetrics& metrics) {
  for (size_t i = 0; i < kLabelValues<Method>; ++i) {
    if (method.name() != NameOf(static_cast<Method>(i))) continue;
    RpcScope(metrics, static_cast<Method>(i)).set_code(static_cast<int>(status.code()));
  }
}

std::vector<ListMetrics::Weight> BlendWeightNames() {
  std::vector<ListMetrics::Weight> weights;
  for (const std::string_view context : kBlendContexts) {
    for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
      weights.push_back({.context = context, .feature = BlendFeatureName(feature)});
    }
  }
  return weights;
}

void SetListQuality(const ListQuality& quality, ListMetrics& out) {
  const QualityFigures figures = quality.Read();
  std::vector<ListMetrics::Quality> judged;
  for (size_t list = 0; list < figures.lists.size(); ++list) {
    const QualityFigures::OfList& of = figures.lists[list];
    judged.push_back({.list = quality.NameOf(list),
                      .interactions = of.interactions,
                      .hit_ratio = of.hit_rate,
                      .ndcg = of.ndcg,
                      .served_hit_ratio = of.served_hit_rate});
  }
  out.SetQuality(judged);
}

void SetBlendWeights(const BlendWeights& blend, bool learns, ListMetrics& out) {
  static const std::vector<ListMetrics::Weight> weights = BlendWeightNames();
  std::vector<float> values;
  values.reserve(weights.size());
  for (const BlendWeights::Row& row : blend.rows)
    values.insert(values.end(), row.begin(), row.end());
  out.SetBlend(learns, weights, values);
}

}  // namespace

// In the order of construction; what is below uses what is above.
struct Server::Parts {
  explicit Parts(const Config& server_config)
      : config(server_config),
        metrics(EventTypeNames(server_config)),
        clock(std::chrono::seconds(config.ingest.clock_jump_max_s)),
        write_watch(write_health, WriteLimitsOf(server_config)),
        // Checked with the configuration.
        shares(*RankerShares::Parse(config.ranking.shares, config.ranking.experiment)) {}

  const Config config;
  Metrics metrics;
  const TrustedClock clock;
  const std::function<int64_t()> now_us = [this] { return clock.NowUs(); };
  std::unique_ptr<AccessControl> access;
  std::atomic<bool> ready{false};
  ConnectionRoom connection_room;
  WriteHealth write_health;
  WriteWatch write_watch;
  std::unique_ptr<HttpEndpoint> http;
  std::unique_ptr<PeriodicThread> watchdog;  // until the store is closed
  std::unique_ptr<GraphStore> store;
  TrainedLog trained;  // whose interactions are refused
  std::unique_ptr<ListRulesCell> list_rules;
  DigestComparison digests{
      [this](bool is_same) { metrics.durability().CountDigestCompared(is_same); }};
  std::unique_ptr<RocksdbLog> log;
  ActivationPoint activation_point;
  ServingCell serving;
  std::unique_ptr<GraphFollower> popularity;
  std::unique_ptr<IndexUpkeep> index_upkeep;
  std::unique_ptr<Admission> admission;
  std::unique_ptr<RankedLists> lists;
  RankerShares shares;
  std::unique_ptr<ShadowRanking> shadow;
  std::unique_ptr<UnaryRunner> runner;
  std::unique_ptr<StartContext> start;
  std::unique_ptr<GraphJobs> jobs;
  std::unique_ptr<ActivationContext> activation;
  std::unique_ptr<BackgroundThread> background;
  std::unique_ptr<Removals> removals;
  NewItemRoom new_items;
  std::unique_ptr<RecommendService> recommend_service;
  std::unique_ptr<InteractionService> interaction_service;
  std::unique_ptr<AdminService> admin_service;
  std::unique_ptr<GrpcEndpoints> grpc;
  std::unique_ptr<ConnectEndpoint> connect;

  absl::Status StartHttp();
  void StartWatchdog();
  // Why those that are connected are not served; empty: they are.
  std::string NotServingBecause() const;
  // Why the graph here is behind what other servers of the log answer.
  std::string NotFollowingBecause() const;
  // Why no more callers should be sent here.
  std::string NotReadyBecause() const;
  absl::Status OpenAccess();
  absl::Status OpenStore();
  absl::Status OpenLog(Offset base, const std::function<bool()>& cancelled);
  absl::Status LoadListRules();
  absl::Status LoadGraph(const std::function<bool()>& cancelled);
  void MakeStart();
  absl::Status CheckConfigured(const Snapshot& snapshot) const;
  void CountApplied(std::span<const Applier::Result> results);
  void MakeRequestPath();
  void MakeBackground();
  void MakeServices();
  absl::Status StartGrpc();
  void ShutDownGrpc();
  absl::Status StartConnect();
  void RefreshGauges(Metrics& out) const;
};

absl::Status Server::Parts::StartHttp() {
  auto started =
      HttpEndpoint::Start(config.server.http_address,
                          {.metrics = [this] { return metrics.Render(); },
                           .not_ready_because = [this] { return NotReadyBecause(); },
                           .on_cut_off = [this] { metrics.requests().CountHttpCutOff(); }},
                          HttpLimitsOf(config));
  if (!started.ok()) return started.status();
  http = *std::move(started);
  return absl::OkStatus();
}

// What one look sees counts for the time between two: a process that was stopped, or got no core,
// saw nothing of what its writes did meanwhile.
void Server::Parts::StartWatchdog() {
  watchdog = std::make_unique<PeriodicThread>(
      PeriodicThread::Scheduling{.name = "watchdog"}, kWatchInterval,
      [this, was_trusted = true](const PeriodicThread::KeepGoing&) mutable {
        write_watch.Look(kWatchInterval);
        const std::string hopeless = write_watch.HopelessBecause();
        if (!hopeless.empty()) EndToBeStartedAgain(hopeless);
        const std::string jumped = clock.JumpedBecause();
        if (was_trusted && !jumped.empty()) spdlog::error("not ready: {}", jumped);
        if (!was_trusted && jumped.empty()) spdlog::info("the machine's clock has come back");
        was_trusted = jumped.empty();
        return kWatchInterval;
      });
}

std::string Server::Parts::NotServingBecause() const {
  if (!ready) return "not ready";
  const std::string stalled = write_watch.StalledBecause();
  if (!stalled.empty()) return "not ready: " + stalled;
  const std::string jumped = clock.JumpedBecause();
  if (!jumped.empty()) return "not ready: CLOCK_JUMPED: " + jumped;
  return log->failing() ? "not ready: the log cannot be written" : "";
}

std::string Server::Parts::NotFollowingBecause() const {
  if (config.log.kafka_topic.empty()) return "";
  const absl::Status stopped = log->stopped();
  if (!stopped.ok()) return fmt::format("not ready: {}", std::string(stopped.message()));
  const std::string diverged = digests.DivergedBecause();
  if (!diverged.empty()) return "not ready: " + diverged;
  const int64_t lag = log->lag();
  if (lag <= config.log.kafka_lag_max) return "";
  return fmt::format("not ready: {} requests behind topic {} (log.kafka_lag_max is {})", lag,
                     config.log.kafka_topic, config.log.kafka_lag_max);
}

std::string Server::Parts::NotReadyBecause() const {
  std::string because = NotServingBecause();
  if (because.empty()) because = NotFollowingBecause();
  if (!because.empty() || connection_room.IsThere(ConnectionRoom::Clock::now())) return because;
  return "not ready: connections are turned away, since no descriptor is left for them";
}

absl::Status Server::Parts::OpenStore() {
  auto opened = OpenToServe(StoreOptionsOf(config, metrics.durability(), write_health));
  if (!opened.ok()) return opened.status();
  store = *std::move(opened);
  if (config.ingest.trained_events == "refuse") {
    const absl::StatusOr<TrainedLog> read = ReadTrainedLog(*store);
    if (!read.ok()) return read.status();
    trained = *read;
  }
  metrics.CollectRocksDb([this] { return store->Figures(); });
  return absl::OkStatus();
}

absl::Status Server::Parts::OpenLog(Offset base, const std::function<bool()>& cancelled) {
  auto shared = OpenSharedLog(*store, SharedLogOptionsOf(config), cancelled);
  if (!shared.ok()) return shared.status();
  const bool is_shared = shared->has_value();
  RocksdbLog::Options options = LogOptionsOf(config, metrics.durability());
  options.on_list_rules = [this](std::string_view rules) { list_rules->Set(rules); };
  options.on_seen_digest = [this](const SeenDigest& told) { digests.Take(told); };
  auto opened = RocksdbLog::Open(*store, base, std::move(options), *std::move(shared));
  if (!opened.ok()) return opened.status();
  log = *std::move(opened);
  if (is_shared) {
    if (absl::Status s = CatchUpWithShared(*log, cancelled); !s.ok()) return s;
  }
  metrics.durability().SetLost(log->lost());
  if (log->lost() > 0) {
    spdlog::warn("{} interactions were acknowledged (log.durability = \"flush\") and are lost",
                 log->lost());
  }
  return absl::OkStatus();
}

absl::Status Server::Parts::LoadListRules() {
  auto loaded = ListRulesCell::Open(*store, metrics.pipeline(), now_us);
  if (!loaded.ok()) return loaded.status();
  list_rules = *std::move(loaded);
  return absl::OkStatus();
}

void Server::Parts::CountApplied(std::span<const Applier::Result> results) {
  const int64_t applied_us = clock.NowUs();
  for (const auto& [interaction, outcome] : results) {
    metrics.events().CountFolded(interaction->event_type, outcome);
    const int64_t delay_us = std::max<int64_t>(applied_us - interaction->received_time_us, 0);
    metrics.events().ObserveVisibleDelay(std::chrono::microseconds(delay_us));
  }
}

absl::Status Server::Parts::CheckConfigured(const Snapshot& snapshot) const {
  if (absl::Status s = shares.Check(snapshot); !s.ok()) return s;
  return shadow->Check(snapshot);
}

void Server::Parts::MakeStart() {
  start = std::make_unique<StartContext>(StartContext{
      .store = *store,
      .log = *log,
      .serving = serving,
      .point = activation_point,
      .metrics = metrics.pipeline(),
      .applier = ApplierOptionsOf(config),
      .pipeline = PipelineOptionsOf(config, metrics.pipeline()),
      .blend_learns = config.blend.learning,
      .compute_threads = admission->thread_count(),
      .check = [this](const Snapshot& snapshot) { return CheckConfigured(snapshot); },
      .on_applied = [this](std::span<const Applier::Result> results) { CountApplied(results); },
      .on_expired = [this](size_t edges) { metrics.events().CountExpired(edges); }});
  if (!config.log.kafka_topic.empty()) start->applier.on_digest = digests.OnOwn(*log);
}

absl::Status Server::Parts::LoadGraph(const std::function<bool()>& cancelled) {
  const absl::StatusOr<Generation> generation = Generation::OpenCurrent(*store);
  if (!generation.ok()) return generation.status();
  const absl::StatusOr<GraphState> graph_state = generation->ReadState();
  if (!graph_state.ok()) return graph_state.status();
  const auto checkpoint = generation->ReadCheckpoint();
  if (!checkpoint.ok()) return checkpoint.status();
  // What an activation or a checkpoint that was cut off has left.
  if (absl::Status s = generation->KeepOnlyThis(); !s.ok()) return s;
  const Offset kept = checkpoint->has_value() ? (*checkpoint)->offset : 0;
  if (absl::Status s = generation->KeepOnlyCheckpoint(kept); !s.ok()) return s;
  if (absl::Status s = OpenLog(graph_state->base_offset, cancelled); !s.ok()) return s;
  MakeStart();

  auto last_report = steady_clock::now() - std::chrono::hours(1);
  std::string last_step;
  LoadOptions options = LoadOptionsOf(config);
  options.index_threads =
      std::max(1u, std::thread::hardware_concurrency());  // nobody else runs yet
  options.cancelled = cancelled;
  auto loaded = LoadServingState(
      *generation, options, [&](std::string_view step, uint64_t done, uint64_t total) {
        if (step == "index") metrics.served().SetIndexProgress(done, total);
        const bool is_due = steady_clock::now() - last_report >= std::chrono::seconds(1);
        if (step == last_step && !is_due) return;
        last_step = step;
        last_report = steady_clock::now();
        spdlog::info("loading {}: {} of {}", step, done,
                     total == 0 ? std::string("?") : std::to_string(total));
      });
  if (!loaded.ok()) return loaded.status();
  const LoadedItemSide& from = (*loaded)->loaded;
  if (from.checkpoint.has_value()) {
    spdlog::info("loaded the checkpoint of offset {} and {} users that changed since",
                 from.checkpoint->offset, from.users);
    metrics.durability().SetCheckpointOffset(from.checkpoint->offset);
  } else {
    spdlog::info("loaded the graph from {} users: there is no checkpoint", from.users);
  }
  if (absl::Status s = StartState(**loaded, *start, cancelled); !s.ok()) return s;
  serving.Exchange(*std::move(loaded));
  ShowServed(*serving.Get(), metrics.served());
  return absl::OkStatus();
}

void Server::Parts::MakeRequestPath() {
  admission = std::make_unique<Admission>(AdmissionOptionsOf(config));
  lists = std::make_unique<RankedLists>(ListOptionsOf(config));
  shadow = std::make_unique<ShadowRanking>(ShadowOptionsOf(config), *admission, metrics.pipeline());
  runner =
      std::make_unique<UnaryRunner>(*access, *admission, serving, metrics, RunnerOptionsOf(config));
}

void Server::Parts::MakeBackground() {
  jobs = std::make_unique<GraphJobs>(*store, *log, serving, metrics.durability(),
                                     JobOptionsOf(config, clock));
  activation = std::make_unique<ActivationContext>(ActivationContext{
      .store = *store,
      .log = *log,
      .serving = serving,
      .point = activation_point,
      .load = LoadOptionsOf(config),
      .start =
          [this](ServingState& state, const std::function<bool()>& cancelled) {
            return StartState(state, *start, cancelled);
          },
      .on_served = [this](const ServingState& state) { ShowServed(state, metrics.served()); },
      .now_us = now_us});
  const auto upkeep = [this](const std::stop_token& stop) {
    const auto redacted = jobs->Redact(stop);
    absl::Status status = redacted.status();
    if (status.ok()) status = jobs->Checkpoint(stop).status();
    if (!status.ok() && !stop.stop_requested()) {
      spdlog::error("the checkpoint failed: {}", std::string(status.message()));
    }
  };
  background = std::make_unique<BackgroundThread>(BackgroundThread::Options{
      .interval = std::chrono::seconds(config.checkpoint.interval_s), .periodic = upkeep});
  removals = std::make_unique<Removals>(*log, *store, serving, *background, *jobs,
                                        ClockAheadMaxOf(config));
}

void Server::Parts::MakeServices() {
  recommend_service =
      std::make_unique<RecommendService>(*store, *lists, *list_rules, *shadow, *runner,
                                         RequestTerms{.name_space = config.server.name_space,
                                                      .events = EventTermsOf(config),
                                                      .now_us = now_us,
                                                      .shares = shares});
  interaction_service =
      std::make_unique<InteractionService>(*access, *log, serving, *removals, new_items, metrics,
                                           IngestOptionsOf(config, trained, clock));
  admin_service = std::make_unique<AdminService>(
      AdminService::Parts{.config = config,
                          .access = *access,
                          .serving = serving,
                          .store = *store,
                          .log = *log,
                          .list_rules = *list_rules,
                          .background = *background,
                          .jobs = *jobs,
                          .removals = *removals,
                          .new_items = new_items,
                          .activation = *activation,
                          .slow_calls = runner->slow_calls(),
                          .metrics = metrics.requests(),
                          .now_us = [this] { return WriteTime(clock); }});
}

absl::Status Server::Parts::StartGrpc() {
  const auto cores = static_cast<int64_t>(std::thread::hardware_concurrency());
  if (absl::Status s =
          CheckAddressSpace(AddressSpaceInUse() + AddressSpaceOfThreads(kThreadsOfGrpc + 2 * cores),
                            "serving this database");
      !s.ok()) {
    return s;
  }
  auto started = GrpcEndpoints::Start(
      EndpointOptionsOf(config),
      {.recommend = *recommend_service,
       .interaction = *interaction_service,
       .admin = *admin_service},
      [this] {
        metrics.requests().CountTurnedAway();
        connection_room.TurnedAway(ConnectionRoom::Clock::now());
      },
      [this] { metrics.requests().CountIdleCallEnded(); },
      // Who asks is connected.
      [this] { return NotServingBecause().empty() && NotFollowingBecause().empty(); });
  if (!started.ok()) return started.status();
  grpc = *std::move(started);
  return absl::OkStatus();
}

absl::Status Server::Parts::StartConnect() {
  if (config.server.connect_address.empty()) return absl::OkStatus();
  ConnectEndpoint::Options options = ConnectOptionsOf(config, metrics.requests());
  if (!config.tls.certificate_file.empty()) {
    auto tls = HttpTls::Create(HttpTlsFilesOf(config));
    if (!tls.ok()) return tls.status();
    options.tls = *std::move(tls);
  }
  options.admit = [this](const google::protobuf::MethodDescriptor& method,
                         const HttpRequest& request) {
    absl::Status status = access->CheckRight(request.Field("authorization"),
                                             request.certificate_names, RightFor(method));
    if (!status.ok()) CountRefused(method, status, metrics.requests());
    return status;
  };
  options.vouch = [this](const std::vector<std::string>& names) { return access->Vouch(names); };
  auto started = ConnectEndpoint::Start(options, grpc->InProcessChannel(), grpc->service_names());
  if (!started.ok()) return started.status();
  connect = *std::move(started);
  return absl::OkStatus();
}

absl::Status Server::Parts::OpenAccess() {
  auto opened = AccessControl::Create(AccessOptionsOf(config), metrics.requests());
  if (!opened.ok()) return opened.status();
  access = *std::move(opened);
  for (const std::string& address :
       {config.server.grpc_address, config.server.admin_address, config.server.connect_address}) {
    if (address.empty() || IsLoopback(address) || !config.access.clients_file.empty()) continue;
    spdlog::warn(
        "{} is open to the network, and everybody may call everything: set "
        "access.clients_file, and tls.certificate_file (docs/security.md)",
        address);
  }
  return absl::OkStatus();
}

void Server::Parts::RefreshGauges(Metrics& out) const {
  out.levels().SetReady(NotReadyBecause().empty());
  const TrustedClock::Reading time = clock.Read();
  out.clock().SetJump(std::chrono::microseconds(time.trusted ? 0 : time.jump_us));
  out.levels().SetOffsets(log->end(), serving.Get()->applier->applied_offset());
  out.durability().SetLogBegin(log->begin());
  out.levels().SetSharedLag(config.log.kafka_topic.empty() ? 0 : log->lag());
  out.levels().SetQueueDepth(QueueName::kCompute, admission->queue_depth());
  out.levels().SetQueueDepth(QueueName::kLog, log->queued());
  out.levels().SetPageLists(lists->size());
  out.levels().SetAdjacency(*serving.Get()->adjacency);
  SetListQuality(*serving.Get()->list_quality, out.lists());
  SetBlendWeights(serving.Get()->blend_weights.Read(), config.blend.learning, out.lists());
  const EmbeddingIndex::Status index = serving.Get()->embedding_index->status();
  out.served().SetIndexSize(index.items, index.changed_items);
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() { Drain(); }

int Server::grpc_port() const { return parts_->grpc->port(); }
int Server::admin_port() const { return parts_->grpc->admin_port(); }
int Server::http_port() const { return parts_->http->port(); }
std::optional<int> Server::connect_port() const {
  if (parts_->connect == nullptr) return std::nullopt;
  return parts_->connect->port();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Config& config,
                                                      const std::function<bool()>& cancelled) {
  std::unique_ptr<Server> server(new Server(std::make_unique<Parts>(config)));
  Parts& parts = *server->parts_;
  if (absl::Status s = parts.StartHttp(); !s.ok()) return s;
  if (absl::Status s = parts.OpenAccess(); !s.ok()) return s;
  if (absl::Status s = parts.OpenStore(); !s.ok()) return s;
  parts.StartWatchdog();
  if (absl::Status s = parts.LoadListRules(); !s.ok()) return s;
  parts.MakeRequestPath();
  if (absl::Status s = parts.LoadGraph(cancelled); !s.ok()) return s;
  parts.popularity = std::make_unique<GraphFollower>(
      parts.serving, parts.metrics.pipeline(),
      std::chrono::milliseconds(config.retrieval.popularity_refresh_ms));
  parts.index_upkeep =
      std::make_unique<IndexUpkeep>(parts.serving, parts.metrics.served(), kIndexUpkeepInterval);
  parts.MakeBackground();
  parts.MakeServices();
  parts.metrics.OnScrape([&parts](Metrics& out) { parts.RefreshGauges(out); });
  if (absl::Status s = parts.StartGrpc(); !s.ok()) return s;
  if (absl::Status s = parts.StartConnect(); !s.ok()) return s;
  parts.ready = true;
  parts.grpc->TellReadiness();
  return server;
}

void Server::Parts::ShutDownGrpc() {
  const auto deadline =
      std::chrono::system_clock::now() + std::chrono::seconds(config.server.drain_s);
  if (config.log.kafka_topic.empty()) return grpc->Shutdown(deadline);
  // A call that waits for brokers which do not answer would hold it up for ever: at the deadline
  // the log is closed under it, which tells the caller that the outcome is not known.
  std::promise<void> ended;
  const std::future<void> closing =
      std::async(std::launch::async, [this, deadline, is_ended = ended.get_future()] {
        if (is_ended.wait_until(deadline) == std::future_status::timeout) log->Close();
      });
  grpc->Shutdown(deadline);
  ended.set_value();
}

void Server::Drain() {
  Parts& parts = *parts_;
  parts.ready = false;
  if (parts.background != nullptr) parts.background->Stop();  // its calls are finished by that
  if (parts.connect != nullptr) parts.connect->StopAccepting();
  if (parts.interaction_service != nullptr) parts.interaction_service->EndStreams();
  if (parts.admin_service != nullptr) parts.admin_service->EndStreams();
  if (parts.grpc != nullptr) parts.ShutDownGrpc();
  parts.connect.reset();  // all its calls have ended
  // Nothing is rendered from here on, and what follows may go.
  if (parts.http != nullptr) parts.http.reset();
  if (parts.admission != nullptr) parts.admission->Drain();
  if (parts.log != nullptr) parts.log->Close();
  parts.popularity.reset();
  parts.index_upkeep.reset();
  parts.serving.Exchange(nullptr);  // stops the applier at a batch edge
}

}  // namespace groundswell
