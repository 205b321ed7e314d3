#include "server/admin_service.h"

#include <string>

#include "google/protobuf/util/time_util.h"
#include "server/request_checks.h"
#include "server/status_details.h"

namespace groundswell {

using google::protobuf::util::TimeUtil;

AdminService::AdminService(const Config& config, const ServingState& state,
                           const InteractionLog& log, const Applier& applier, Metrics& metrics)
    : config_(config),
      state_(state),
      log_(log),
      applier_(applier),
      metrics_(metrics),
      start_(std::chrono::steady_clock::now()) {}

grpc::ServerUnaryReactor* AdminService::GetServerStatus(grpc::CallbackServerContext* context,
                                                        const v1::GetServerStatusRequest* request,
                                                        v1::ServerStatus* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  absl::Status status = CheckNamespace(request->namespace_(), config_.server.name_space);
  if (status.ok()) status = CheckRequestId(request->request_id());
  if (status.ok()) {
    response->set_server_version(GROUNDSWELL_VERSION);
    const auto uptime = std::chrono::steady_clock::now() - start_;
    *response->mutable_uptime() =
        TimeUtil::NanosecondsToDuration(std::chrono::nanoseconds(uptime).count());
    response->set_namespace_(config_.server.name_space);
    WriteSnapshot(*response->mutable_snapshot());
    WriteGraph(*response->mutable_graph());
    response->set_index_kind(state_.embedding_source->kind() + " (" + FaissSource::simd() + ")");
    response->set_configuration(EffectiveToml(config_));
  }
  const grpc::Status result = ToGrpcStatus(status);
  {
    RpcScope scope(metrics_, Method::kGetServerStatus);
    scope.set_code(result.error_code());
  }
  reactor->Finish(result);
  return reactor;
}

void AdminService::WriteSnapshot(v1::SnapshotInfo& out) const {
  const Manifest& manifest = state_.snapshot->manifest();
  out.set_version(manifest.FullVersion());
  out.set_digest(state_.snapshot->digest());
  *out.mutable_create_time() = TimeUtil::MicrosecondsToTimestamp(manifest.create_time_us);
  out.set_users(static_cast<int64_t>(manifest.users));
  out.set_items(static_cast<int64_t>(manifest.items));
  out.set_embedding_dim(static_cast<int32_t>(manifest.embedding_dim));
  out.set_user_clusters(static_cast<int32_t>(manifest.user_clusters));
  out.set_item_clusters(static_cast<int32_t>(manifest.item_clusters));
  for (const auto& ranker : state_.snapshot->rankers())
    out.add_rankers(std::string(ranker->name()));
  out.mutable_training_metrics()->insert(manifest.metrics.begin(), manifest.metrics.end());
}

void AdminService::WriteGraph(v1::GraphInfo& out) const {
  out.set_applied_offset(applier_.applied_offset());
  out.set_log_end_offset(log_.end());
  out.set_users(applier_.user_count());
  out.set_edges(applier_.edge_count());
  *out.mutable_newest_event_time() =
      TimeUtil::MicrosecondsToTimestamp(applier_.newest_event_time_us());
}

}  // namespace groundswell
