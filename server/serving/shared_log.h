// The log that several servers share: from the settings and what the database keeps of it to an
// order of requests.
#ifndef GROUNDSWELL_SERVER_SERVING_SHARED_LOG_H_
#define GROUNDSWELL_SERVER_SERVING_SHARED_LOG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/kafka/request_topic.h"
#include "graph/store/rocksdb_log.h"
#include "graph/store/store.h"

namespace groundswell {

struct SharedLogOptions {
  std::string topic;  // empty: the log is the database's own
  std::string brokers;
  std::string properties_file;
  int32_t in_sync_min = 2;
  size_t queue_max = 20'000;
  int64_t event_ids_max = 1'000'000;
  int64_t producers_max = 10'000;
};

// How its brokers are reached. NotFound and InvalidArgument name the file and the line, and no
// value; `origin`: how the brokers were named.
absl::StatusOr<RequestTopic> RequestTopicOf(const SharedLogOptions& options,
                                            std::string_view origin);

// Nullopt for a log that is the database's own. Waits for brokers that do not answer until
// `cancelled` answers true. FailedPrecondition, with what mends it, when the database is of a
// shared log and none is set or the other way round, when a setting of the log differs, and when
// the topic's settings could lose what was acknowledged; errors of KafkaOrder::Open.
absl::StatusOr<std::optional<RocksdbLog::Shared>> OpenSharedLog(
    const GraphStore& store, const SharedLogOptions& options,
    const std::function<bool()>& cancelled);

// Returns when what is in the topic at the call was taken, and waits for brokers likewise.
absl::Status CatchUpWithShared(RocksdbLog& log, const std::function<bool()>& cancelled);

// FailedPrecondition when the database is of a shared log, whose other servers would not know of
// `what`.
absl::Status CheckLogIsOwn(const GraphStore& store, std::string_view what);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_SHARED_LOG_H_
