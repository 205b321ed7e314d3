// RocksdbLog: an InteractionLog in RocksDB with group commit. One thread writes whatever waits as
// one atomic, synced batch, so that many clients share the cost of a sync.
//
// De-duplication: an entry whose id is that of one of the `event_ids_max` entries before it is not
// written again, and one that says something else under it is a conflict; redaction changes nothing
// of it. A producer's sequence needs one number per producer, and so has no window. Ids, sequences
// and records are written in the same batch: a crash never separates them. Which requests share a
// write is seen in no answer.
#ifndef GROUNDSWELL_GRAPH_STORE_ROCKSDB_LOG_H_
#define GROUNDSWELL_GRAPH_STORE_ROCKSDB_LOG_H_

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "graph/log/interaction_log.h"
#include "graph/mutex.h"
#include "graph/store/acknowledged_mark.h"
#include "graph/store/store.h"
#include "scheduling/thread_scheduling.h"

namespace groundswell {

class RocksdbLog final : public InteractionLog {
 public:
  struct Options {
    Durability durability = Durability::kSync;
    size_t queue_max = 20'000;  // entries waiting
    size_t group_max = 1'000;   // entries in one write
    int64_t event_ids_max = 1'000'000;
    // Producers whose sequence is known. One more takes the place of the one that was silent for
    // longest, if that one's entries have left the window of event ids; else it is refused.
    size_t producers_max = 10'000;
    // Told how long each write took; may be empty.
    std::function<void(std::chrono::nanoseconds)> on_write;
    // Told of the acknowledged mark's writes that failed; may be empty.
    OnWriteError on_write_error;
  };

  // The log of an empty database begins behind `base`. `store` must outlive the log.
  // InvalidArgument when event_ids_max is below group_max; DataLoss when acknowledged entries are
  // gone that were to survive.
  static absl::StatusOr<std::unique_ptr<RocksdbLog>> Open(GraphStore& store, Offset base,
                                                          Options options);
  ~RocksdbLog() override;

  // Refuses further appends, writes what is queued, and returns when every listener and every
  // `done` were called for the last time. Reading goes on. A second call does nothing.
  void Close();

  absl::Status Append(AppendRequest request, Done done) override;
  absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> Read(Offset from,
                                                                size_t limit) const override;
  Offset end() const override { return end_.load(std::memory_order_acquire); }
  int AddListener(std::function<void()> listener) override;
  void RemoveListener(int number) override;
  size_t queued() const override;

  // The last write failed, and the database has not recovered: nothing is taken.
  bool failing() const { return failing_.load(std::memory_order_relaxed); }
  // Acknowledged entries that were gone at Open, which Durability::kFlush allows.
  int64_t lost() const { return lost_; }
  // Offset of the oldest entry kept, or of the first that will come.
  Offset begin() const { return begin_.load(std::memory_order_acquire); }
  // Takes the entries before `offset` out of the log, but none that the window of event ids needs.
  absl::Status TruncateBefore(Offset offset);

 private:
  struct Pending {
    AppendRequest request;
    Done done;
  };
  // One write in the making.
  struct Group {
    explicit Group(const GraphStore& store) : batch(store) {}
    GraphStore::Batch batch;
    Offset next = 0;
    absl::flat_hash_map<EventIdHash, LoggedEventId> event_ids;  // of the entries to be written
    Offset event_ids_begin = 0;
    // Those that change, as they will be; nullopt: makes room for a new one.
    std::map<std::string, std::optional<Producer>> producers;
    size_t producer_count = 0;  // of all, as they will be
    std::vector<absl::StatusOr<AppendResult>> results;
    bool writes = false;
  };

  RocksdbLog(GraphStore& store, Options options, Offset begin, Offset event_ids_begin, Offset end,
             int64_t lost, std::map<std::string, Producer> producers,
             std::unique_ptr<AcknowledgedMark> mark);
  void WriteLoop();
  std::vector<Pending> TakeGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteGroup(std::vector<Pending>& pending);
  absl::Status StageGroup(const std::vector<Pending>& pending, Group& group);
  static absl::Status CheckTimes(const AppendRequest& request);
  absl::StatusOr<AppendResult> StageRequest(const AppendRequest& request, Group& group);
  absl::StatusOr<Appended> StageEntry(const LogEntry& entry, Group& group);
  // The entry of this id, if one of the `event_ids_max` before the group's next has it.
  absl::StatusOr<std::optional<LoggedEventId>> FindEventId(const EventIdHash& hash,
                                                           const Group& group) const;
  std::optional<Producer> FindProducer(const std::string& id, const Group& group) const;
  absl::Status MakeRoomForProducer(Group& group) const;
  absl::Status ForgetEventIds(Offset first, Group& group);
  absl::Status CommitGroup(GraphStore::Batch& batch);
  // Until it is on disk and remembered, or refused.
  absl::Status PersistGroup(const std::vector<Pending>& pending, Group& group);

  GraphStore& store_;
  const Options options_;
  std::atomic<Offset> begin_;
  std::atomic<Offset> event_ids_begin_;  // ids of older entries are gone; the writer's to change
  std::atomic<Offset> end_;
  std::atomic<bool> failing_{false};  // the writer's alone to change
  const int64_t lost_;
  // The writer's alone:
  std::map<std::string, Producer> producers_;
  const std::unique_ptr<AcknowledgedMark> mark_;
  Yielding yielding_;  // between two requests of a group

  Mutex listeners_mutex_;
  std::map<int, std::function<void()>> listeners_ ABSL_GUARDED_BY(listeners_mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Pending> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread writer_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_ROCKSDB_LOG_H_
