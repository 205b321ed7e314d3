// The gRPC service of operators.
#ifndef GROUNDSWELL_SERVER_ADMIN_SERVICE_H_
#define GROUNDSWELL_SERVER_ADMIN_SERVICE_H_

#include <chrono>

#include "graph/applier.h"
#include "graph/interaction_log.h"
#include "groundswell/v1/admin.grpc.pb.h"
#include "server/config.h"
#include "server/metrics.h"
#include "server/serving_state.h"

namespace groundswell {

class AdminService final : public v1::AdminService::CallbackService {
 public:
  // All references must outlive the service.
  AdminService(const Config& config, const ServingState& state, const InteractionLog& log,
               const Applier& applier, Metrics& metrics);

  grpc::ServerUnaryReactor* GetServerStatus(grpc::CallbackServerContext* context,
                                            const v1::GetServerStatusRequest* request,
                                            v1::ServerStatus* response) override;

 private:
  void WriteSnapshot(v1::SnapshotInfo& out) const;
  void WriteGraph(v1::GraphInfo& out) const;

  const Config& config_;
  const ServingState& state_;
  const InteractionLog& log_;
  const Applier& applier_;
  Metrics& metrics_;
  const std::chrono::steady_clock::time_point start_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ADMIN_SERVICE_H_
