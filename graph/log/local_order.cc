#include "graph/log/local_order.h"

#include <fmt/format.h>

#include <utility>

namespace groundswell {

absl::Status LocalOrder::Submit(AppendRequest request) {
  const size_t count = request.entries.size();
  {
    MutexLock lock(mutex_);
    if (closed_) return absl::FailedPreconditionError("the log is closed");
    if (queued_ + count > queue_max_) {
      return absl::ResourceExhaustedError(fmt::format(
          "{} interactions already wait to be written; at most {} may (ingest.queue_max)", queued_,
          queue_max_));
    }
    queued_ += count;
    requests_.push_back(std::move(request));
  }
  changed_.NotifyOne();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<RequestOrder::Ordered>> LocalOrder::Read(int64_t position,
                                                                    size_t entries_max,
                                                                    TimePoint until) {
  std::vector<Ordered> ordered;
  MutexLock lock(mutex_);
  if (position < cut_) {
    return absl::OutOfRangeError(
        fmt::format("the requests behind {} were cut, up to {}", position, cut_));
  }
  if (position > EndLocked()) {
    return absl::DataLossError(
        fmt::format("the order of requests ends at {}, before {}", EndLocked(), position));
  }
  while (EndLocked() == position && !closed_ && std::chrono::steady_clock::now() < until) {
    if (until == TimePoint::max()) {  // another clock may not reach it
      changed_.Wait(mutex_);
    } else {
      changed_.WaitUntil(mutex_, until);
    }
  }
  if (EndLocked() == position && closed_) {
    return absl::FailedPreconditionError("the log is closed, and everything was read");
  }
  size_t entries = 0;
  for (int64_t next = position + 1; next <= EndLocked(); ++next) {
    const AppendRequest& request = requests_[static_cast<size_t>(next - cut_ - 1)];
    entries += request.entries.size();
    if (!ordered.empty() && entries > entries_max) break;
    // It stays where it is while others are submitted: a deque does not move its elements.
    ordered.push_back({.position = next, .request = &request});
    if (next <= read_) continue;  // read again: it waits no longer since the first time
    read_ = next;
    queued_ -= request.entries.size();
  }
  return ordered;
}

absl::StatusOr<int64_t> LocalOrder::End(TimePoint) { return LastKnownEnd(); }

int64_t LocalOrder::LastKnownEnd() const {
  MutexLock lock(mutex_);
  return EndLocked();
}

absl::Status LocalOrder::Cut(int64_t position) {
  std::deque<AppendRequest> freed;  // without the lock
  MutexLock lock(mutex_);
  if (position > read_) {
    return absl::InvalidArgumentError(
        fmt::format("cannot cut up to {}: read is what is up to {}", position, read_));
  }
  for (; cut_ < position; ++cut_) {
    freed.push_back(std::move(requests_.front()));
    requests_.pop_front();
  }
  return absl::OkStatus();
}

void LocalOrder::Close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.NotifyAll();
}

size_t LocalOrder::queued() const {
  MutexLock lock(mutex_);
  return queued_;
}

}  // namespace groundswell
