#include "server/server.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "graph/applier.h"
#include "graph/rocksdb_log.h"
#include "graph/store.h"
#include "server/admin_service.h"
#include "server/admission.h"
#include "server/http_endpoint.h"
#include "server/interaction_service.h"
#include "server/metrics.h"
#include "server/pipeline.h"
#include "server/ranked_lists.h"
#include "server/recommend_service.h"
#include "server/serving_state.h"
#include "server/unary_runner.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;

int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::vector<std::string> EventTypeNames(const Config& config) {
  std::vector<std::string> names;
  for (const auto& [name, weight] : config.event_types) names.push_back(name);
  return names;
}

EventOutcome ToEventOutcome(Applier::Outcome outcome) {
  switch (outcome) {
    case Applier::Outcome::kApplied:
      return EventOutcome::kApplied;
    case Applier::Outcome::kBelowZero:
      return EventOutcome::kBelowZero;
    case Applier::Outcome::kOverflow:
      return EventOutcome::kOverflow;
    case Applier::Outcome::kUnknownItem:
      return EventOutcome::kUnknownItem;
  }
  return EventOutcome::kRefused;
}

// Publishes the popularity order again whenever the graph moved, at most once per interval.
class PopularityRefresher {
 public:
  PopularityRefresher(ServingState& state, const Applier& applier,
                      std::chrono::milliseconds interval)
      : thread_([this, &state, &applier, interval] {
          Offset published = state.graph_state.applied_offset;
          MutexLock lock(mutex_);
          while (!stopping_) {
            const auto wake = steady_clock::now() + interval;
            while (!stopping_ && steady_clock::now() < wake) changed_.WaitUntil(mutex_, wake);
            const Offset applied = applier.applied_offset();
            if (applied != published) RefreshPopularity(state);
            published = applied;
          }
        }) {}

  ~PopularityRefresher() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
    }
    changed_.NotifyAll();
    thread_.join();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace

// In the order of construction; what is below uses what is above.
struct Server::Parts {
  explicit Parts(const Config& server_config)
      : config(server_config), metrics(EventTypeNames(server_config)) {}

  const Config config;
  Metrics metrics;
  std::atomic<bool> ready{false};
  std::unique_ptr<HttpEndpoint> http;
  std::unique_ptr<GraphStore> store;
  std::unique_ptr<ServingState> state;
  std::unique_ptr<RocksdbLog> log;
  std::unique_ptr<Applier> applier;
  std::unique_ptr<PopularityRefresher> popularity;
  std::unique_ptr<Admission> admission;
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<RankedLists> lists;
  std::unique_ptr<UnaryRunner> runner;
  std::unique_ptr<RecommendService> recommend_service;
  std::unique_ptr<InteractionService> interaction_service;
  std::unique_ptr<AdminService> admin_service;
  std::unique_ptr<grpc::Server> grpc_server;
  int grpc_port = 0;

  absl::Status StartHttp();
  absl::Status OpenStore();
  absl::Status OpenLog();
  absl::Status CatchUp(const std::function<bool()>& cancelled);
  void MakePipeline();
  absl::Status StartGrpc();
  void RefreshGauges(Metrics& out) const;
};

absl::Status Server::Parts::StartHttp() {
  auto started = HttpEndpoint::Start(
      config.server.http_address,
      {.metrics = [this] { return metrics.Render(); },
       .not_ready_because = [this] { return ready ? std::string() : std::string("not ready"); }});
  if (!started.ok()) return started.status();
  http = *std::move(started);
  return absl::OkStatus();
}

absl::Status Server::Parts::OpenStore() {
  const auto block_cache = static_cast<size_t>(config.storage.block_cache_mb) << 20;
  auto opened = GraphStore::Open({.path = config.server.data_dir,
                                  .name_space = config.server.name_space,
                                  .block_cache_bytes = block_cache});
  if (!opened.ok()) return opened.status();
  store = *std::move(opened);
  const FaissSource::Options index_options{
      .flat_max_items = static_cast<size_t>(config.retrieval.flat_max_items),
      .factory = config.retrieval.factory,
      .nprobe = static_cast<size_t>(config.retrieval.nprobe),
      .ef_search = static_cast<size_t>(config.retrieval.ef_search)};
  auto loaded = LoadServingState(*store, index_options,
                                 [](std::string_view step) { spdlog::info("loading {}", step); });
  if (!loaded.ok()) return loaded.status();
  state = *std::move(loaded);
  metrics.SetSnapshot(state->snapshot->manifest().FullVersion());
  metrics.SetIndex(state->embedding_source->kind(), FaissSource::simd());
  metrics.CollectRocksDb([this] { return store->Figures(); });
  return absl::OkStatus();
}

absl::Status Server::Parts::OpenLog() {
  auto opened = RocksdbLog::Open(*store, {.sync = config.log.sync,
                                          .queue_max = static_cast<size_t>(config.ingest.queue_max),
                                          .group_max = static_cast<size_t>(config.log.group_max),
                                          .event_ids_max = config.log.event_ids_max,
                                          .on_write = [this](std::chrono::nanoseconds took) {
                                            metrics.ObserveLogSync(took);
                                          }});
  if (!opened.ok()) return opened.status();
  log = *std::move(opened);
  Applier::Options options;
  options.batch_max = static_cast<size_t>(config.apply.batch_max);
  options.cluster_of_new_user = [snapshot = state->snapshot](ItemIndex item) {
    return snapshot->NearestUserCluster(snapshot->ItemEmbedding(ToInt(item)));
  };
  options.on_applied = [this](const Interaction& interaction, Applier::Outcome outcome) {
    metrics.CountEvents(interaction.event_type, ToEventOutcome(outcome));
    if (ready) {
      const int64_t delay_us = NowMicros() - interaction.received_time_us;
      metrics.ObserveEventVisibleDelay(std::chrono::microseconds(delay_us));
    }
  };
  options.on_status = [](const absl::Status& status) {
    if (status.ok()) {
      spdlog::info("applying interactions again");
    } else {
      spdlog::error("cannot apply interactions: {}", std::string(status.message()));
    }
  };
  applier = std::make_unique<Applier>(*store, *log, state->catalogue, *state->graph,
                                      state->graph_state, std::move(options));
  return absl::OkStatus();
}

absl::Status Server::Parts::CatchUp(const std::function<bool()>& cancelled) {
  auto last_report = steady_clock::now();
  return applier->CatchUp(
      [&](Offset applied, Offset end) {
        if (steady_clock::now() - last_report < std::chrono::seconds(1)) return;
        last_report = steady_clock::now();
        spdlog::info("applying the log: offset {} of {}", applied, end);
      },
      cancelled);
}

void Server::Parts::MakePipeline() {
  admission = std::make_unique<Admission>(static_cast<size_t>(config.server.compute_threads),
                                          static_cast<size_t>(config.server.queue_max));
  const Pipeline::Options options{
      .candidates = static_cast<size_t>(config.retrieval.candidates),
      .popular_candidates = static_cast<size_t>(config.retrieval.popular_candidates),
      .stage_reserve = std::chrono::microseconds(config.request.rank_reserve_us)};
  pipeline = std::make_unique<Pipeline>(*state, *store, *applier, metrics, options,
                                        admission->thread_count());
  pipeline->WarmUp();
  lists = std::make_unique<RankedLists>(
      RankedLists::Options{.lists_max = static_cast<size_t>(config.paging.lists_max),
                           .items_max = static_cast<size_t>(config.paging.items_max),
                           .ttl = std::chrono::seconds(config.paging.ttl_s)});
  runner = std::make_unique<UnaryRunner>(
      *admission, *applier, metrics,
      UnaryRunner::Options{
          .default_deadline = std::chrono::milliseconds(config.request.default_deadline_ms),
          .consistency_wait = std::chrono::milliseconds(config.request.consistency_wait_ms)});
  recommend_service = std::make_unique<RecommendService>(*state, *store, *applier, *pipeline,
                                                         *lists, *runner, config.server.name_space);
  interaction_service = std::make_unique<InteractionService>(
      *log, state->catalogue, metrics,
      InteractionService::Options{
          .name_space = config.server.name_space,
          .event_types = config.event_types,
          .stream_inflight_max = static_cast<size_t>(config.ingest.stream_inflight_max),
          .now_us = NowMicros});
  admin_service = std::make_unique<AdminService>(config, *state, *log, *applier, metrics);
}

absl::Status Server::Parts::StartGrpc() {
  grpc::EnableDefaultHealthCheckService(true);
  if (config.server.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  // Without this a second server on the same port would silently take half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(static_cast<int>(config.server.message_bytes_max));
  builder.AddListeningPort(config.server.grpc_address, grpc::InsecureServerCredentials(),
                           &grpc_port);
  builder.RegisterService(recommend_service.get());
  builder.RegisterService(interaction_service.get());
  builder.RegisterService(admin_service.get());
  grpc_server = builder.BuildAndStart();
  if (grpc_server == nullptr || grpc_port == 0) {
    return absl::UnavailableError(
        fmt::format("cannot listen on server.grpc_address \"{}\": is the port in use? Choose "
                    "another, or port 0 for any free one",
                    config.server.grpc_address));
  }
  for (const char* service : {"groundswell.v1.RecommendationService",
                              "groundswell.v1.InteractionService", "groundswell.v1.AdminService"}) {
    grpc_server->GetHealthCheckService()->SetServingStatus(service, true);
  }
  return absl::OkStatus();
}

void Server::Parts::RefreshGauges(Metrics& out) const {
  const Offset applied = applier->applied_offset();
  out.SetOffsets(log->end(), applied);
  out.SetQueueDepth(QueueName::kCompute, admission->queue_depth());
  out.SetQueueDepth(QueueName::kLog, log->queued());
  out.SetPageLists(lists->size());
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() { Drain(); }

int Server::grpc_port() const { return parts_->grpc_port; }
int Server::http_port() const { return parts_->http->port(); }

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Config& config,
                                                      const std::function<bool()>& cancelled) {
  std::unique_ptr<Server> server(new Server(std::make_unique<Parts>(config)));
  Parts& parts = *server->parts_;
  if (absl::Status s = parts.StartHttp(); !s.ok()) return s;
  if (absl::Status s = parts.OpenStore(); !s.ok()) return s;
  if (absl::Status s = parts.OpenLog(); !s.ok()) return s;
  if (absl::Status s = parts.CatchUp(cancelled); !s.ok()) return s;
  RefreshPopularity(*parts.state);
  parts.popularity = std::make_unique<PopularityRefresher>(
      *parts.state, *parts.applier,
      std::chrono::milliseconds(config.retrieval.popularity_refresh_ms));
  parts.MakePipeline();
  parts.metrics.OnScrape([&parts](Metrics& out) { parts.RefreshGauges(out); });
  if (absl::Status s = parts.StartGrpc(); !s.ok()) return s;
  parts.ready = true;
  return server;
}

void Server::Drain() {
  Parts& parts = *parts_;
  parts.ready = false;
  if (parts.grpc_server != nullptr) {
    if (auto* health = parts.grpc_server->GetHealthCheckService()) health->Shutdown();
    parts.grpc_server->Shutdown(std::chrono::system_clock::now() +
                                std::chrono::seconds(parts.config.server.drain_s));
  }
  // Nothing is rendered from here on, and what follows may go.
  if (parts.http != nullptr) parts.http.reset();
  if (parts.admission != nullptr) parts.admission->Drain();
  if (parts.log != nullptr) parts.log->Close();
  parts.popularity.reset();
  parts.pipeline.reset();
  parts.applier.reset();
}

}  // namespace groundswell
