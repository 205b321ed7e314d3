// The gRPC service of the write side: checks interactions, appends them to the log, acknowledges
// what is durable.
#ifndef GROUNDSWELL_SERVER_INGEST_INTERACTION_SERVICE_H_
#define GROUNDSWELL_SERVER_INGEST_INTERACTION_SERVICE_H_

#include "graph/log/interaction_log.h"
#include "groundswell/v1/interaction.grpc.pb.h"
#include "server/ingest/ingest_stream.h"
#include "server/ingest/removals.h"
#include "server/process/metrics.h"
#include "server/rpc/access.h"
#include "server/serving/serving_state.h"

namespace groundswell {

// Ingest takes its messages as bytes: gRPC tells a stream nothing of one that it cannot decode, and
// the stream would seem to be at its end.
class InteractionService final : public v1::InteractionService::WithRawCallbackMethod_Ingest<
                                     v1::InteractionService::WithCallbackMethod_RecordInteraction<
                                         v1::InteractionService::WithCallbackMethod_ForgetUser<
                                             v1::InteractionService::Service>>> {
 public:
  using Options = IngestOptions;

  // All references must outlive the service.
  InteractionService(const AccessControl& access, InteractionLog& log, const ServingCell& serving,
                     Removals& removals, NewItemRoom& new_items, Metrics& metrics, Options options);

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Ingest(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* RecordInteraction(grpc::CallbackServerContext* context,
                                              const v1::RecordInteractionRequest* request,
                                              v1::RecordInteractionResponse* response) override;
  grpc::ServerUnaryReactor* ForgetUser(grpc::CallbackServerContext* context,
                                       const v1::ForgetUserRequest* request,
                                       v1::RemovalReceipt* response) override;

  // Ends the Ingest streams there are, and those that still come, once what was read of them is
  // acknowledged.
  void EndStreams() { streams_.End(); }

 private:
  OpenStreams streams_;
  const IngestParts parts_;
  Removals& removals_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_INGEST_INTERACTION_SERVICE_H_
