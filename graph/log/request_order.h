// RequestOrder: puts the requests to a log into one order, in which they are taken into it
// (graph/store/stored_log.h), and keeps them until they are cut.
//
// Thread-safe, but for Read and Cut: one thread reads.
#ifndef GROUNDSWELL_GRAPH_LOG_REQUEST_ORDER_H_
#define GROUNDSWELL_GRAPH_LOG_REQUEST_ORDER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/log/interaction_log.h"

namespace groundswell {

class RequestOrder {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Positions are from 1 on, and have no gaps.
  struct Ordered {
    int64_t position = 0;
    const AppendRequest* request = nullptr;  // until it is cut
  };

  virtual ~RequestOrder() = default;

  // Puts the request behind all that were submitted before. ResourceExhausted when too many entries
  // wait to be read; FailedPrecondition after Close.
  virtual absl::Status Submit(AppendRequest request) = 0;

  // Whole requests behind `position`, at most `entries_max` entries, but at least one request
  // unless `until` passes first. OutOfRange when some of them were cut; DataLoss when the order
  // ends before `position`; FailedPrecondition when it is closed and has none.
  virtual absl::StatusOr<std::vector<Ordered>> Read(int64_t position, size_t entries_max,
                                                    TimePoint until) = 0;

  // Position of the newest request: whatever was submitted before the call is at or before it.
  virtual absl::StatusOr<int64_t> End(TimePoint until) = 0;

  // The requests up to `position` are not read again.
  virtual absl::Status Cut(int64_t position) = 0;

  // Refuses what is submitted from now on. What was submitted before can be read.
  virtual void Close() = 0;

  // Entries that were submitted and not read yet.
  virtual size_t queued() const = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_REQUEST_ORDER_H_
