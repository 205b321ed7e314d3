// The ReadLog stream: the entries of the log, from an offset on.
#ifndef GROUNDSWELL_SERVER_ADMIN_LOG_STREAM_H_
#define GROUNDSWELL_SERVER_ADMIN_LOG_STREAM_H_

#include "absl/status/status.h"
#include "graph/store/rocksdb_log.h"
#include "groundswell/v1/admin.pb.h"
#include "grpcpp/support/server_callback.h"
#include "server/process/metrics.h"

namespace groundswell {

// One stream, from now to its end; ends at once with `allowed` unless it is OK. The reactor deletes
// itself. `log` and `metrics` must outlive it.
grpc::ServerWriteReactor<v1::ReadLogResponse>* StartLogStream(const RocksdbLog& log,
                                                              RequestMetrics& metrics,
                                                              absl::Status allowed,
                                                              const v1::ReadLogRequest& request);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ADMIN_LOG_STREAM_H_
