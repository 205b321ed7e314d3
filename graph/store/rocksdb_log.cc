#include "graph/store/rocksdb_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace groundswell {

namespace {

constexpr std::chrono::seconds kRecoveryInterval{1};

}  // namespace

absl::StatusOr<std::unique_ptr<RocksdbLog>> RocksdbLog::Open(GraphStore& store, Offset base,
                                                             Options options) {
  if (options.event_ids_max < static_cast<int64_t>(options.group_max)) {
    return absl::InvalidArgumentError(fmt::format(
        "log.event_ids_max is {}; it must be at least log.group_max, {}, so that a group's own ids "
        "fit the window",
        options.event_ids_max, options.group_max));
  }
  auto stored = StoredLog::Open(
      store, base,
      {.event_ids_max = options.event_ids_max, .producers_max = options.producers_max});
  if (!stored.ok()) return stored.status();
  const auto acknowledged = AcknowledgedMark::Read(store.path());
  if (!acknowledged.ok()) return acknowledged.status();
  const AcknowledgedMark::Value mark = acknowledged->value_or(AcknowledgedMark::Value{});
  // RocksDB opened, so its files are whole as far as they reach; the mark tells how far that was.
  const Offset end = (*stored)->end();
  const int64_t lost = std::max<int64_t>(mark.offset - end, 0);
  if (lost > 0 && mark.durability == Durability::kSync) {
    return absl::DataLossError(fmt::format(
        "the interactions {} to {} were acknowledged as synced, but the log ends at {}: the disk "
        "lost them. Restore a backup, or accept the loss with `groundswell-server repair "
        "--data-dir {}`",
        end + 1, mark.offset, end, store.path()));
  }
  auto writer = AcknowledgedMark::Open(store.path());
  if (!writer.ok()) return writer.status();
  return std::unique_ptr<RocksdbLog>(
      new RocksdbLog(store, *std::move(stored), std::move(options), lost, *std::move(writer)));
}

RocksdbLog::RocksdbLog(GraphStore& store, std::unique_ptr<StoredLog> stored, Options options,
                       int64_t lost, std::unique_ptr<AcknowledgedMark> mark)
    : store_(store),
      stored_(std::move(stored)),
      options_(std::move(options)),
      order_(options_.queue_max),
      lost_(lost),
      mark_(std::move(mark)),
      writer_([this] { WriteLoop(); }) {}

RocksdbLog::~RocksdbLog() { Close(); }

void RocksdbLog::Close() {
  order_.Close();
  if (writer_.joinable()) writer_.join();
}

int RocksdbLog::AddListener(std::function<void()> listener) {
  MutexLock lock(listeners_mutex_);
  const int number = listeners_.empty() ? 0 : listeners_.rbegin()->first + 1;
  listeners_.emplace(number, std::move(listener));
  return number;
}

void RocksdbLog::RemoveListener(int number) {
  MutexLock lock(listeners_mutex_);
  listeners_.erase(number);
}

absl::Status RocksdbLog::Append(AppendRequest request, Done done) {
  // Held over both, so that waiting_ has the order of the requests: WriteGroup answers its front.
  MutexLock lock(mutex_);
  if (absl::Status s = order_.Submit(std::move(request)); !s.ok()) return s;
  waiting_.push_back(std::move(done));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> RocksdbLog::Read(Offset from,
                                                                          size_t limit) const {
  return stored_->Read(from, limit);
}

void RocksdbLog::WriteLoop() {
  NameThread("log-writer");
  int64_t position = 0;
  while (true) {
    // No delay that waits for more: while one group is synced the next one gathers. A server that
    // is not ready for want of writes gets none: whether they work again is tried.
    const auto until = failing_ ? std::chrono::steady_clock::now() + kRecoveryInterval
                                : RequestOrder::TimePoint::max();
    const auto group = order_.Read(position, options_.group_max, until);
    if (!group.ok()) return;  // closed, and nothing is left
    if (!group->empty()) position = group->back().position;
    WriteGroup(*group);
    // Only now: the group points to the requests.
    order_.Cut(position).IgnoreError();  // which is for positions that were not read
  }
}

// A request that its sequence or its producer forbids fails alone; any other error is the disk's,
// and the whole group's.
absl::Status RocksdbLog::TakeGroup(std::span<const RequestOrder::Ordered> group,
                                   StoredLog::Batch& batch,
                                   std::vector<absl::StatusOr<AppendResult>>& results) {
  for (const RequestOrder::Ordered& one : group) {
    yielding_.BetweenPieces();
    absl::StatusOr<AppendResult> result = stored_->Take(*one.request, batch);
    const bool is_own =
        absl::IsFailedPrecondition(result.status()) || absl::IsInvalidArgument(result.status());
    if (!result.ok() && !is_own) return result.status();
    results.push_back(std::move(result));
  }
  return stored_->Finish(batch);
}

// The one sync that the whole group shares.
absl::Status RocksdbLog::CommitBatch(StoredLog::Batch& batch) {
  const auto start = std::chrono::steady_clock::now();
  absl::Status status = stored_->Commit(batch, options_.durability == Durability::kSync);
  if (options_.on_write) options_.on_write(std::chrono::steady_clock::now() - start);
  return status;
}

absl::Status RocksdbLog::PersistGroup(std::span<const RequestOrder::Ordered> group,
                                      std::vector<absl::StatusOr<AppendResult>>& results) {
  WriteHealth& health = store_.database().health();
  const WriteHealth::Write write(health);
  const bool was_failing = failing_;
  const Offset before = end();
  StoredLog::Batch batch(*stored_);
  // An error stops RocksDB; this lets it try again once its cause is gone.
  absl::Status status = was_failing ? store_.Resume() : absl::OkStatus();
  if (status.ok()) status = TakeGroup(group, batch, results);
  if (status.ok() && !batch.is_empty()) status = CommitBatch(batch);
  failing_ = !status.ok();
  // While the disk refuses another file too, a new start would not help.
  health.SetStuck(was_failing && !status.ok() && store_.database().ProbeDisk().ok());
  if (!status.ok() || end() == before) return status;
  // Behind the commit, so that it never claims more than is on disk, and before the
  // acknowledgements. One that failed leaves an older mark, which is still a lower bound.
  const int error = mark_->Write({.offset = end(), .durability = options_.durability});
  if (error != 0 && options_.on_write_error) options_.on_write_error(KindOfWriteError(error));
  return status;
}

void RocksdbLog::WriteGroup(std::span<const RequestOrder::Ordered> group) {
  std::vector<absl::StatusOr<AppendResult>> results;
  const Offset before = end();
  const absl::Status status = PersistGroup(group, results);
  if (end() > before) {
    // Under the lock, so that no listener runs any more once RemoveListener returned. Before the
    // acknowledgements: whoever reads his own write waits for the fold.
    MutexLock lock(listeners_mutex_);
    for (const auto& [number, listener] : listeners_) listener();
  }
  std::vector<Done> done;
  {
    MutexLock lock(mutex_);
    const auto last = waiting_.begin() + static_cast<ptrdiff_t>(group.size());
    done.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(last));
    waiting_.erase(waiting_.begin(), last);
  }
  // Without a lock: it may append again.
  for (size_t i = 0; i < done.size(); ++i) {
    done[i](status.ok() ? std::move(results[i]) : status);
  }
}

}  // namespace groundswell
