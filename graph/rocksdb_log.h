// RocksdbLog: an InteractionLog in RocksDB with group commit. One thread writes whatever waits as
// one atomic, synced batch, so that many clients share the cost of a sync.
//
// De-duplication: the ids of the newest `event_ids_max` interactions are kept; an interaction whose
// id is among them is not written again. Ids and records are written in the same batch, so a crash
// never separates them.
#ifndef GROUNDSWELL_GRAPH_ROCKSDB_LOG_H_
#define GROUNDSWELL_GRAPH_ROCKSDB_LOG_H_

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "graph/interaction_log.h"
#include "graph/mutex.h"
#include "graph/store.h"

namespace groundswell {

class RocksdbLog final : public InteractionLog {
 public:
  struct Options {
    bool sync = true;           // false: a crash of the machine may lose the newest interactions
    size_t queue_max = 20'000;  // interactions waiting
    size_t group_max = 1'000;   // interactions in one write
    int64_t event_ids_max = 1'000'000;
    // Told how long each write took; may be empty.
    std::function<void(std::chrono::nanoseconds)> on_write;
  };

  // `store` must outlive the log. InvalidArgument when event_ids_max is below group_max.
  static absl::StatusOr<std::unique_ptr<RocksdbLog>> Open(GraphStore& store, Options options);
  ~RocksdbLog() override;

  // Refuses further appends, writes what is queued, and returns when the listener and every `done`
  // were called for the last time. Reading goes on. A second call does nothing.
  void Close();

  absl::Status Append(std::vector<Interaction> interactions, Done done) override;
  absl::StatusOr<std::vector<std::pair<Offset, Interaction>>> Read(Offset from,
                                                                   size_t limit) const override;
  Offset end() const override { return end_.load(std::memory_order_acquire); }
  void OnAppended(std::function<void()> listener) override { listener_ = std::move(listener); }
  size_t queued() const override;

 private:
  struct Pending {
    std::vector<Interaction> interactions;
    Done done;
  };

  RocksdbLog(GraphStore& store, Options options, Offset base, Offset end);
  void WriteLoop();
  std::vector<Pending> TakeGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteGroup(std::vector<Pending>& group);
  absl::StatusOr<Appended> Stage(const Interaction& interaction, Offset next,
                                 GraphStore::Batch& batch,
                                 absl::flat_hash_map<std::string, Offset>& group_ids);
  absl::StatusOr<Offset> StageGroup(const std::vector<Pending>& group, GraphStore::Batch& batch,
                                    std::vector<std::vector<Appended>>& results);
  absl::Status CommitGroup(GraphStore::Batch& batch);
  absl::Status ForgetEventIdsBefore(Offset first, Offset last, GraphStore::Batch& batch);

  GraphStore& store_;
  const Options options_;
  const Offset base_;  // the log's first offset is the next
  std::atomic<Offset> end_;
  bool failed_ = false;  // the last write failed; the writer's alone
  std::function<void()> listener_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Pending> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread writer_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_ROCKSDB_LOG_H_
