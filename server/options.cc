#include "server/options.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "server/process/descriptor_limit.h"
#include "server/rpc/api_time.h"

namespace groundswell {
namespace {

// As IngestOptions has it.
std::optional<bool> CreateItemsOf(const Config& config) {
  if (config.ingest.create_items == "auto") return std::nullopt;
  return config.ingest.create_items == "always";
}

}  // namespace

std::vector<std::string> EventTypeNames(const Config& config) {
  std::vector<std::string> names;
  for (const auto& [name, weight] : config.event_types) names.push_back(name);
  return names;
}

RandomWalkSource::Options WalkOptionsOf(const Config& config, PipelineMetrics& metrics) {
  return {.walk = {.steps = static_cast<size_t>(config.walk.steps),
                   .restart = static_cast<double>(config.walk.restart_percent) / 100,
                   .goal_items = static_cast<size_t>(config.walk.goal_items),
                   .goal_visits = static_cast<uint32_t>(config.walk.goal_visits),
                   .recency_bias = static_cast<int>(config.walk.recency_bias)},
          .starts_max = static_cast<size_t>(config.walk.starts_max),
          .half_life = std::chrono::seconds(config.walk.half_life_s),
          .on_walk = [&metrics](const WalkSummary& summary) { metrics.CountWalk(summary); }};
}

PageRankSource::Options PageRankOptionsOf(const Config& config, PipelineMetrics& metrics) {
  return {.page_rank = {.restart = static_cast<double>(config.page_rank.restart_percent) / 100,
                        .epsilon = 1 / static_cast<double>(config.page_rank.resolution),
                        .recency_bias = static_cast<int>(config.walk.recency_bias),
                        .edges_max = static_cast<size_t>(config.page_rank.edges_max)},
          .starts_max = static_cast<size_t>(config.walk.starts_max),
          .half_life = std::chrono::seconds(config.walk.half_life_s),
          .on_end = [&metrics](const PageRankSummary& summary) { metrics.CountPageRank(summary); }};
}

Retrieval::Options RetrievalOptionsOf(const Config& config, PipelineMetrics& metrics) {
  const auto& retrieval = config.retrieval;
  const auto ranked = static_cast<size_t>(config.ranking.candidates_max);
  return {.candidates = static_cast<size_t>(retrieval.candidates),
          .ranked = ranked > 0 ? ranked : Retrieval::kAllCandidates,
          .side_by_side_threads = static_cast<size_t>(retrieval.side_by_side_threads),
          .quotas = SourceQuotas(retrieval),
          .next_items = {.visit_gap_s = static_cast<uint32_t>(retrieval.visit_gap_s)},
          .random_walk = WalkOptionsOf(config, metrics),
          .page_rank = PageRankOptionsOf(config, metrics),
          .stage_reserve = std::chrono::microseconds(config.request.rank_reserve_us)};
}

Pipeline::Options PipelineOptionsOf(const Config& config, PipelineMetrics& metrics) {
  return {.retrieval = RetrievalOptionsOf(config, metrics),
          .item_cache_bytes = static_cast<size_t>(config.ranking.item_cache_mb) << 20,
          .diversity_items_max = static_cast<size_t>(config.diversity.items_max),
          .items_max = static_cast<size_t>(config.paging.items_max)};
}

GraphStore::Options StoreOptionsOf(const Config& config, DurabilityMetrics& metrics,
                                   WriteHealth& health) {
  return {.path = config.server.data_dir,
          .name_space = config.server.name_space,
          .block_cache_bytes = static_cast<size_t>(config.storage.block_cache_mb) << 20,
          .on_write_error = [&metrics](WriteErrorKind kind) { metrics.CountWriteError(kind); },
          .health = &health};
}

WriteWatch::Limits WriteLimitsOf(const Config& config) {
  return {.stall_max = std::chrono::seconds(config.storage.write_stall_s),
          .recovery_max = std::chrono::seconds(config.storage.recovery_max_s)};
}

RocksdbLog::Options LogOptionsOf(const Config& config, DurabilityMetrics& metrics) {
  return {.durability = config.log.durability == "sync" ? Durability::kSync : Durability::kFlush,
          .queue_max = static_cast<size_t>(config.ingest.queue_max),
          .group_max = static_cast<size_t>(config.log.group_max),
          .event_ids_max = config.log.event_ids_max,
          .producers_max = static_cast<size_t>(config.log.producers_max),
          .on_write = [&metrics](std::chrono::nanoseconds took) { metrics.ObserveLogSync(took); },
          .on_write_error = [&metrics](WriteErrorKind kind) { metrics.CountWriteError(kind); }};
}

SharedLogOptions SharedLogOptionsOf(const Config& config) {
  return {.topic = config.log.kafka_topic,
          .brokers = config.log.kafka_brokers,
          .properties_file = config.log.kafka_properties_file,
          .in_sync_min = static_cast<int32_t>(config.log.kafka_in_sync_min),
          .queue_max = static_cast<size_t>(config.ingest.queue_max),
          .event_ids_max = config.log.event_ids_max,
          .producers_max = config.log.producers_max};
}

LoadOptions LoadOptionsOf(const Config& config) {
  return {.index = {.flat_max_items = static_cast<size_t>(config.retrieval.flat_max_items),
                    .factory = config.retrieval.factory,
                    .nprobe = static_cast<size_t>(config.retrieval.nprobe),
                    .ef_search = static_cast<size_t>(config.retrieval.ef_search),
                    .rescore_factor = static_cast<size_t>(config.retrieval.rescore_factor),
                    .changes_max = static_cast<size_t>(config.retrieval.changes_max)},
          .new_items_max = static_cast<size_t>(config.graph.new_items_max),
          .neighbors_max = static_cast<size_t>(config.graph.neighbors_max),
          .quality_window = static_cast<size_t>(config.blend.quality_window),
          .user_encoder = config.encoder.user,
          .item_encoder = config.encoder.item};
}

EventTerms EventTermsOf(const Config& config) {
  return {.types = config.event_types,
          .ahead_max_us = config.ingest.event_ahead_max_s * kMicrosPerSecond};
}

Applier::Options ApplierOptionsOf(const Config& config) {
  Applier::Options options;
  options.fold.batch_max = static_cast<size_t>(config.apply.batch_max);
  options.niceness = static_cast<int>(config.apply.niceness);
  options.fold.user_cache_bytes = static_cast<size_t>(config.apply.user_cache_mb) << 20;
  return options;
}

Admission::Options AdmissionOptionsOf(const Config& config) {
  const auto of_queue = [&config](int64_t percent) {
    return static_cast<size_t>((config.server.queue_max * percent + 99) / 100);
  };
  return {.threads = static_cast<size_t>(config.server.compute_threads),
          .queue_max = static_cast<size_t>(config.server.queue_max),
          .fewer_candidates_at = of_queue(config.server.fewer_candidates_percent),
          .no_ranking_at = of_queue(config.server.no_ranking_percent)};
}

RankedLists::Options ListOptionsOf(const Config& config) {
  return {.lists_max = static_cast<size_t>(config.paging.lists_max),
          .items_max = static_cast<size_t>(config.paging.items_max),
          .ttl = std::chrono::seconds(config.paging.ttl_s)};
}

UnaryRunner::Options RunnerOptionsOf(const Config& config) {
  return {.default_deadline = std::chrono::milliseconds(config.request.default_deadline_ms),
          .consistency_wait = std::chrono::milliseconds(config.request.consistency_wait_ms),
          .slow_call = std::chrono::milliseconds(config.logging.slow_call_ms)};
}

ShadowRanking::Options ShadowOptionsOf(const Config& config) {
  return {.ranker = config.ranking.shadow, .one_list_in = config.ranking.shadow_one_in};
}

AccessControl::Options AccessOptionsOf(const Config& config) {
  return {.clients_file = config.access.clients_file,
          .reload = std::chrono::seconds(config.access.reload_s)};
}

IngestOptions IngestOptionsOf(const Config& config, const TrainedLog& trained,
                              const TrustedClock& clock) {
  return {.name_space = config.server.name_space,
          .events = EventTermsOf(config),
          .create_items = CreateItemsOf(config),
          .stream_inflight_max = static_cast<size_t>(config.ingest.stream_inflight_max),
          .trained = trained,
          .now_us = [&clock] { return WriteTime(clock); }};
}

GraphJobs::Options JobOptionsOf(const Config& config, const TrustedClock& clock) {
  return {.retention_s = config.log.retention_s,
          .retention_bytes = config.log.retention_mb << 20,
          .now_us = [&clock] { return clock.NowUs(); },
          .trusted_us = [&clock] { return WriteTime(clock); },
          .clock_ahead_max = ClockAheadMaxOf(config)};
}

std::optional<std::chrono::seconds> ClockAheadMaxOf(const Config& config) {
  const int64_t max_s = config.ingest.clock_ahead_max_s;
  return max_s == 0 ? std::nullopt : std::optional(std::chrono::seconds(max_s));
}

GrpcEndpoints::Options EndpointOptionsOf(const Config& config) {
  const int descriptors_end = ConnectionDescriptorsEnd(RaiseDescriptorLimit());
  return {.address = config.server.grpc_address,
          .admin_address = config.server.admin_address,
          .tls = {.certificate_file = config.tls.certificate_file,
                  .key_file = config.tls.key_file,
                  .client_ca_file = config.tls.client_ca_file,
                  .reload = std::chrono::seconds(config.tls.reload_s)},
          .reflection = config.server.reflection,
          .message_bytes_max = static_cast<int>(config.server.message_bytes_max),
          .ping_interval_min = std::chrono::milliseconds(config.server.ping_interval_min_ms),
          .connection_calls_max = static_cast<int>(config.server.connection_calls_max),
          .receive_bytes_max = static_cast<size_t>(config.server.receive_mb) << 20,
          .idle = std::chrono::seconds(config.server.grpc_idle_s),
          .descriptors_end = descriptors_end,
          .idle_calls_max = static_cast<size_t>(std::clamp<int64_t>(
              config.server.idle_calls_max, 1, std::max(descriptors_end / 2, 1)))};
}

HttpEndpoint::Limits HttpLimitsOf(const Config& config) {
  return {.connections_max = static_cast<size_t>(config.server.http_connections_max),
          .transfer = std::chrono::seconds(config.server.http_transfer_s),
          .idle = std::chrono::seconds(config.server.http_idle_s)};
}

HttpTls::Files HttpTlsFilesOf(const Config& config) {
  return {.certificate = config.tls.certificate_file,
          .key = config.tls.key_file,
          .client_ca = config.tls.client_ca_file,
          .reload = std::chrono::seconds(config.tls.reload_s)};
}

ConnectEndpoint::Options ConnectOptionsOf(const Config& config, RequestMetrics& metrics) {
  ConnectEndpoint::Options options{
      .address = config.server.connect_address,
      .connections_max = static_cast<size_t>(config.server.connect_connections_max),
      .message_bytes_max = static_cast<size_t>(config.server.message_bytes_max),
      .transfer = std::chrono::seconds(config.server.connect_transfer_s),
      .idle = std::chrono::seconds(config.server.connect_idle_s),
      .console = config.server.console,
      .on_cut_off = [&metrics] { metrics.CountHttpCutOff(); }};
  std::istringstream origins(config.server.connect_origins);
  for (std::string origin; std::getline(origins, origin, ',');) options.origins.push_back(origin);
  return options;
}

}  // namespace groundswell
