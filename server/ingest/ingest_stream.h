// The Ingest stream: batches in, acknowledgements in their order out, with flow control between.
#ifndef GROUNDSWELL_SERVER_INGEST_INGEST_STREAM_H_
#define GROUNDSWELL_SERVER_INGEST_INGEST_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "graph/log/interaction_log.h"
#include "graph/mutex.h"
#include "groundswell/v1/interaction.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/ingest/new_item_room.h"
#include "server/process/metrics.h"
#include "server/rpc/access.h"
#include "server/rpc/event_checks.h"
#include "server/serving/serving_state.h"
#include "server/serving/trained_log.h"

namespace groundswell {

struct IngestOptions {
  std::string name_space;
  EventTerms events;
  // Whether an interaction with an unknown item creates it; nullopt: while there is no snapshot.
  std::optional<bool> create_items;
  size_t stream_inflight_max = 2'000;  // interactions of one stream that are not acknowledged
  TrainedLog trained;                  // whose interactions are refused
  // The clock, in microseconds since 1970, or why nothing can be recorded by it.
  std::function<absl::StatusOr<int64_t>()> now_us;
};

// The streams there are, so that a server that stops can end them. Thread-safe.
class OpenStreams {
 public:
  // `end` is called from End, unless the stream was removed; a stream that comes after End is ended
  // at once.
  void Add(const void* stream, std::function<void()> end) ABSL_LOCKS_EXCLUDED(mutex_);
  void Remove(const void* stream) ABSL_LOCKS_EXCLUDED(mutex_);
  void End() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<const void*, std::function<void()>> streams_ ABSL_GUARDED_BY(mutex_);
};

// What the way of an interaction from a call to the log goes through; all must outlive the calls.
struct IngestParts {
  const AccessControl& access;
  InteractionLog& log;
  const ServingCell& serving;
  NewItemRoom& new_items;
  Metrics& metrics;
  OpenStreams& streams;
  const IngestOptions options;
};

// What the log did with one entry, as it is counted.
EventOutcome OutcomeOf(const Appended& appended);

// CheckInteraction at `now_us`, and that the snapshot that serves does not have it already, and
// that there is room for its item. One that may create its item has to be settled with
// `parts.new_items`.
absl::StatusOr<Interaction> CheckForLog(const v1::Interaction& interaction,
                                        const IngestParts& parts, const ServingState& state,
                                        int64_t now_us);

// One stream of IngestRequest and IngestResponse, serialized, from now to its end. The reactor
// deletes itself.
grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StartIngestStream(
    const IngestParts& parts, const grpc::CallbackServerContext& context);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_INGEST_INGEST_STREAM_H_
