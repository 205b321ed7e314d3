// The ReadLog stream: the entries of the log, from an offset on.
#ifndef GROUNDSWELL_SERVER_ADMIN_LOG_STREAM_H_
#define GROUNDSWELL_SERVER_ADMIN_LOG_STREAM_H_

#include "absl/status/status.h"
#include "graph/store/rocksdb_log.h"
#include "groundswell/v1/admin.pb.h"
#include "grpcpp/support/server_callback.h"
#include "server/process/metrics.h"
#include "server/serving/serving_state.h"

namespace groundswell {

// What the log is of, which must outlive the stream.
struct LogStreamParts {
  const RocksdbLog& log;
  const GraphStore& store;
  const ServingCell& serving;
  RequestMetrics& metrics;
};

// One stream, from now to its end; ends at once with `allowed` unless it is OK. Who was forgotten
// before it began is not in it, whether or not that was applied yet. The reactor deletes itself.
grpc::ServerWriteReactor<v1::ReadLogResponse>* StartLogStream(const LogStreamParts& parts,
                                                              absl::Status allowed,
                                                              const v1::ReadLogRequest& request);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ADMIN_LOG_STREAM_H_
