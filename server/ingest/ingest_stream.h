// The Ingest stream: batches in, acknowledgements in their order out, with flow control between.
#ifndef GROUNDSWELL_SERVER_INGEST_INGEST_STREAM_H_
#define GROUNDSWELL_SERVER_INGEST_INGEST_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "graph/log/interaction_log.h"
#include "groundswell/v1/interaction.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/process/metrics.h"
#include "server/rpc/access.h"
#include "server/serving/serving_state.h"

namespace groundswell {

struct IngestOptions {
  std::string name_space;
  std::map<std::string, int64_t> event_types;
  size_t stream_inflight_max = 2'000;  // interactions of one stream waiting for the disk
  std::function<int64_t()> now_us;     // the clock, in microseconds since 1970
};

// What the way of an interaction from a call to the log goes through; all must outlive the calls.
struct IngestParts {
  const AccessControl& access;
  InteractionLog& log;
  const ServingCell& serving;
  Metrics& metrics;
  const IngestOptions options;
};

// What the log did with one entry, as it is counted.
EventOutcome OutcomeOf(const Appended& appended);

// One stream of IngestRequest and IngestResponse, serialized, from now to its end. The reactor
// deletes itself.
grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StartIngestStream(
    const IngestParts& parts, const grpc::CallbackServerContext& context);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_INGEST_INGEST_STREAM_H_
