// The gRPC service of the write side: checks interactions, appends them to the log, acknowledges
// what is durable.
#ifndef GROUNDSWELL_SERVER_INGEST_INTERACTION_SERVICE_H_
#define GROUNDSWELL_SERVER_INGEST_INTERACTION_SERVICE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "graph/log/interaction_log.h"
#include "graph/state/catalogue.h"
#include "groundswell/v1/interaction.grpc.pb.h"
#include "server/ingest/removals.h"
#include "server/process/metrics.h"
#include "server/rpc/access.h"
#include "server/serving/serving_state.h"

namespace groundswell {

class InteractionService final : public v1::InteractionService::CallbackService {
 public:
  struct Options {
    std::string name_space;
    std::map<std::string, int64_t> event_types;
    size_t stream_inflight_max = 2'000;  // interactions of one stream waiting for the disk
    std::function<int64_t()> now_us;     // the clock, in microseconds since 1970
  };

  // All references must outlive the service.
  InteractionService(const AccessControl& access, InteractionLog& log, const ServingCell& serving,
                     Removals& removals, Metrics& metrics, Options options);

  grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse>* Ingest(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* RecordInteraction(grpc::CallbackServerContext* context,
                                              const v1::RecordInteractionRequest* request,
                                              v1::RecordInteractionResponse* response) override;
  grpc::ServerUnaryReactor* ForgetUser(grpc::CallbackServerContext* context,
                                       const v1::ForgetUserRequest* request,
                                       v1::RemovalReceipt* response) override;

 private:
  class IngestStream;

  absl::StatusOr<Interaction> Check(const v1::Interaction& interaction,
                                    const Catalogue& catalogue) const;

  const AccessControl& access_;
  InteractionLog& log_;
  const ServingCell& serving_;
  Removals& removals_;
  Metrics& metrics_;
  const Options options_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_INGEST_INTERACTION_SERVICE_H_
