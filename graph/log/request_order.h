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
    // It was submitted here, and is no repetition of one before it: whoever submitted it waits for
    // what becomes of it. They come in the order in which they were submitted.
    bool is_own = true;
    uint32_t checksum = 0;  // of its record, where the order keeps records
  };

  virtual ~RequestOrder() = default;

  // Puts the request behind all that were submitted here before. It may come to be there twice, and
  // even where this program ends: an order that others share cannot be asked for one back.
  // ResourceExhausted when too many entries wait to be read; InvalidArgument for a request that is
  // too large; FailedPrecondition after Close.
  virtual absl::Status Submit(AppendRequest request) = 0;

  // Whole requests behind `position`, at most `entries_max` entries, but at least one request
  // unless `until` passes first. OutOfRange when some of them were cut; DataLoss when the order
  // ends before `position`, has lost a request or is another one; FailedPrecondition when it is
  // closed and nothing that was submitted here is still to come.
  virtual absl::StatusOr<std::vector<Ordered>> Read(int64_t position, size_t entries_max,
                                                    TimePoint until) = 0;

  // Position of the newest request: whatever was submitted before the call is at or before it, also
  // by others. Unavailable when that is not known by `until`.
  virtual absl::StatusOr<int64_t> End(TimePoint until) = 0;
  // The newest position that is known of without asking.
  virtual int64_t LastKnownEnd() const = 0;

  // The requests up to `position` are not read here again.
  virtual absl::Status Cut(int64_t position) = 0;

  // Refuses what is submitted from now on. What was submitted before can be read.
  virtual void Close() = 0;

  // Entries that were submitted here and not read yet.
  virtual size_t queued() const = 0;

  // What Read returns survives without this process and its disk.
  virtual bool is_durable() const = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_REQUEST_ORDER_H_
