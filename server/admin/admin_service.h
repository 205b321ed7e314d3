// The gRPC service of operators.
#ifndef GROUNDSWELL_SERVER_ADMIN_ADMIN_SERVICE_H_
#define GROUNDSWELL_SERVER_ADMIN_ADMIN_SERVICE_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "graph/store/rocksdb_log.h"
#include "groundswell/v1/admin.grpc.pb.h"
#include "server/admin/item_stream.h"
#include "server/admin/log_stream.h"
#include "server/config/config.h"
#include "server/ingest/ingest_stream.h"
#include "server/ingest/new_item_room.h"
#include "server/ingest/removals.h"
#include "server/process/metrics.h"
#include "server/recommend/list_rules.h"
#include "server/recommend/slow_call_log.h"
#include "server/rpc/access.h"
#include "server/serving/activation.h"
#include "server/serving/background.h"
#include "server/serving/graph_jobs.h"
#include "server/serving/serving_state.h"

namespace groundswell {

class AdminService final : public v1::AdminService::CallbackService {
 public:
  // What the service works on; all of it must outlive it.
  struct Parts {
    const Config& config;
    const AccessControl& access;
    const ServingCell& serving;
    const GraphStore& store;
    RocksdbLog& log;
    const ListRulesCell& list_rules;
    BackgroundThread& background;
    GraphJobs& jobs;
    Removals& removals;
    NewItemRoom& new_items;
    const ActivationContext& activation;
    const SlowCallLog& slow_calls;
    RequestMetrics& metrics;
    // The clock, in microseconds since 1970, or why nothing can be removed by it.
    std::function<absl::StatusOr<int64_t>()> now_us;
  };

  explicit AdminService(Parts parts);

  grpc::ServerUnaryReactor* GetServerStatus(grpc::CallbackServerContext* context,
                                            const v1::GetServerStatusRequest* request,
                                            v1::ServerStatus* response) override;
  grpc::ServerUnaryReactor* CreateCheckpoint(grpc::CallbackServerContext* context,
                                             const v1::CreateCheckpointRequest* request,
                                             v1::Checkpoint* response) override;
  grpc::ServerUnaryReactor* VerifyGraph(grpc::CallbackServerContext* context,
                                        const v1::VerifyGraphRequest* request,
                                        v1::GraphVerification* response) override;
  grpc::ServerUnaryReactor* CreateBackup(grpc::CallbackServerContext* context,
                                         const v1::CreateBackupRequest* request,
                                         v1::Backup* response) override;
  grpc::ServerUnaryReactor* ActivateSnapshot(grpc::CallbackServerContext* context,
                                             const v1::ActivateSnapshotRequest* request,
                                             v1::SnapshotInfo* response) override;
  grpc::ServerUnaryReactor* RollBackSnapshot(grpc::CallbackServerContext* context,
                                             const v1::RollBackSnapshotRequest* request,
                                             v1::SnapshotInfo* response) override;
  grpc::ServerUnaryReactor* ListSnapshots(grpc::CallbackServerContext* context,
                                          const v1::ListSnapshotsRequest* request,
                                          v1::ListSnapshotsResponse* response) override;
  grpc::ServerUnaryReactor* UpsertItem(grpc::CallbackServerContext* context,
                                       const v1::UpsertItemRequest* request,
                                       v1::UpsertItemResponse* response) override;
  grpc::ServerUnaryReactor* RemoveItem(grpc::CallbackServerContext* context,
                                       const v1::RemoveItemRequest* request,
                                       v1::RemovalReceipt* response) override;
  grpc::ServerUnaryReactor* GetBlend(grpc::CallbackServerContext* context,
                                     const v1::GetBlendRequest* request,
                                     v1::Blend* response) override;
  grpc::ServerUnaryReactor* ResetBlend(grpc::CallbackServerContext* context,
                                       const v1::ResetBlendRequest* request,
                                       v1::ResetBlendResponse* response) override;
  grpc::ServerUnaryReactor* GetListRules(grpc::CallbackServerContext* context,
                                         const v1::GetListRulesRequest* request,
                                         v1::ListRules* response) override;
  grpc::ServerUnaryReactor* SetListRules(grpc::CallbackServerContext* context,
                                         const v1::SetListRulesRequest* request,
                                         v1::ListRules* response) override;
  grpc::ServerUnaryReactor* ListSlowCalls(grpc::CallbackServerContext* context,
                                          const v1::ListSlowCallsRequest* request,
                                          v1::ListSlowCallsResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadLogResponse>* ReadLog(
      grpc::CallbackServerContext* context, const v1::ReadLogRequest* request) override;

  // Ends the UpsertItems streams there are, and those that still come, once the batch that was read
  // of each is answered.
  void EndStreams() { streams_.End(); }

 private:
  struct Call;

  std::shared_ptr<Call> Begin(grpc::CallbackServerContext& context, Method method,
                              std::string_view name_space, std::string_view request_id);
  absl::Status CheckAllowed(const grpc::CallbackServerContext& context,
                            std::string_view name_space) const;
  // FailedPrecondition, reason LOG_IS_SHARED, for a call whose effect is not in the log's entries.
  absl::Status CheckLogIsOwn(std::string_view call) const;
  // Runs `job` in the background and finishes the call with what it returns.
  void RunInBackground(const std::shared_ptr<Call>& call,
                       std::function<absl::Status(const std::stop_token&)> job);
  // Puts the entry of the request of this id into the log and finishes the call once it is applied:
  // whoever has the answer may build upon it. `new_item_id`: for which room was taken; may be
  // empty.
  template <typename Response>
  void AppendAndApply(const std::shared_ptr<Call>& call, LogEntry entry,
                      const std::string& request_id, Response& response,
                      const std::string& new_item_id = {});
  absl::Status Activate(const Activated& activated, const std::string& event_id,
                        const std::stop_token& stop, v1::SnapshotInfo& response) const;
  LogStreamParts LogParts() const;

  const Parts parts_;
  OpenStreams streams_;
  const ItemParts item_parts_;
  const std::chrono::steady_clock::time_point start_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ADMIN_ADMIN_SERVICE_H_
