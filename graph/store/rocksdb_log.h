// RocksdbLog: the InteractionLog of one machine: an order of requests, the entries in RocksDB and
// what decides what enters them (StoredLog), and one thread that takes whatever waits and writes it
// as one atomic batch, so that many clients share the cost of a sync. Which requests do is seen in
// no answer.
//
// The order is a queue (LocalOrder); then the batch is synced, for what is not written is lost. Or
// it is one that several machines share and that keeps the requests itself: then where a batch was
// taken from is written with it, and what a loss of power takes is read again from there.
#ifndef GROUNDSWELL_GRAPH_STORE_ROCKSDB_LOG_H_
#define GROUNDSWELL_GRAPH_STORE_ROCKSDB_LOG_H_

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "graph/log/interaction_log.h"
#include "graph/log/request_order.h"
#include "graph/log/shared_log.h"
#include "graph/mutex.h"
#include "graph/store/acknowledged_mark.h"
#include "graph/store/store.h"
#include "graph/store/stored_log.h"
#include "scheduling/thread_scheduling.h"

namespace groundswell {

class RocksdbLog final : public InteractionLog {
 public:
  struct Options {
    Durability durability = Durability::kSync;
    size_t queue_max = 20'000;          // entries waiting
    size_t group_max = 1'000;           // entries in one write
    int64_t event_ids_max = 1'000'000;  // these two as StoredLog has them
    size_t producers_max = 10'000;
    std::function<void(std::string_view rules)> on_list_rules;  // likewise
    // Told of each digest in a shared log when it is taken, this server's own too; may be empty.
    std::function<void(const SeenDigest&)> on_seen_digest;
    // Told how long each write took; may be empty.
    std::function<void(std::chrono::nanoseconds)> on_write;
    // Told of the acknowledged mark's writes that failed; may be empty.
    OnWriteError on_write_error;
  };

  // An order that several machines share, and how far the database has taken it.
  struct Shared {
    std::unique_ptr<RequestOrder> order;
    SharedLog taken;
  };

  // The log of an empty database begins behind `base`. `store` must outlive the log.
  // InvalidArgument when event_ids_max is below group_max; DataLoss when acknowledged entries are
  // gone that were to survive.
  static absl::StatusOr<std::unique_ptr<RocksdbLog>> Open(
      GraphStore& store, Offset base, Options options, std::optional<Shared> shared = std::nullopt);
  ~RocksdbLog() override;

  // Refuses further appends, writes what is queued, and returns when every listener and every
  // `done` were called for the last time. Reading goes on. A second call does nothing.
  void Close();

  absl::Status Append(AppendRequest request, Done done) override;
  absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> Read(Offset from,
                                                                size_t limit) const override;
  Offset end() const override { return stored_->end(); }
  int AddListener(std::function<void()> listener) override;
  void RemoveListener(int number) override;
  size_t queued() const override { return order_->queued(); }

  // Returns when everything is taken that was in a shared order before the call. Cancelled when
  // `cancelled` answers true; the reader's error when it has ended.
  absl::Status AwaitShared(const std::function<bool()>& cancelled) ABSL_LOCKS_EXCLUDED(mutex_);
  // Requests that are in the order, as far as is known, and not taken yet.
  int64_t lag() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Why nothing is taken any more, and nothing will be until it is opened anew; OK: it is.
  absl::Status stopped() const ABSL_LOCKS_EXCLUDED(mutex_);

  // The last write failed, and the database has not recovered: nothing is taken.
  bool failing() const { return failing_.load(std::memory_order_relaxed); }
  // Acknowledged entries that were gone at Open, which Durability::kFlush allows.
  int64_t lost() const { return lost_; }
  // Offset of the oldest entry kept, or of the first that will come.
  Offset begin() const { return stored_->begin(); }
  // Takes the entries before `offset` out of the log, but none that the window of event ids needs.
  absl::Status TruncateBefore(Offset offset) { return stored_->TruncateBefore(offset); }

 private:
  RocksdbLog(GraphStore& store, std::unique_ptr<StoredLog> stored, Options options, int64_t lost,
             std::unique_ptr<AcknowledgedMark> mark, std::optional<Shared> shared);
  void WriteLoop();
  void Stop(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether what was read is dealt with: else it comes again.
  bool WriteGroup(std::span<const RequestOrder::Ordered> group);
  absl::Status TakeGroup(std::span<const RequestOrder::Ordered> group, StoredLog::Batch& batch,
                         std::vector<absl::StatusOr<AppendResult>>& results);
  absl::Status CommitBatch(StoredLog::Batch& batch);
  // Until it is on disk and remembered, or refused.
  absl::Status PersistGroup(std::span<const RequestOrder::Ordered> group,
                            std::vector<absl::StatusOr<AppendResult>>& results);

  GraphStore& store_;
  const std::unique_ptr<StoredLog> stored_;
  const Options options_;
  const std::unique_ptr<RequestOrder> order_;
  std::atomic<bool> failing_{false};  // the writer's alone to change
  std::atomic<bool> closing_{false};
  const int64_t lost_;
  // The writer's alone:
  SharedLog taken_;  // of a shared order
  const std::unique_ptr<AcknowledgedMark> mark_;
  Yielding yielding_;  // between two requests of a group

  Mutex listeners_mutex_;
  std::map<int, std::function<void()>> listeners_ ABSL_GUARDED_BY(listeners_mutex_);

  mutable Mutex mutex_;
  CondVar progressed_;
  std::deque<Done> waiting_ ABSL_GUARDED_BY(mutex_);  // of what was submitted, in that order
  int64_t position_ ABSL_GUARDED_BY(mutex_) = 0;      // taken up to here
  absl::Status stopped_ ABSL_GUARDED_BY(mutex_);
  std::thread writer_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_ROCKSDB_LOG_H_
