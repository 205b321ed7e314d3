#include "graph/store/rocksdb_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "graph/log/local_order.h"

namespace groundswell {

namespace {

constexpr std::chrono::seconds kRecoveryInterval{1};
// How often it is looked whether a wait is to end.
constexpr std::chrono::milliseconds kWaitSlice{100};
// For the brokers' answer to one question.
constexpr std::chrono::seconds kAskingMax{10};

}  // namespace

absl::StatusOr<std::unique_ptr<RocksdbLog>> RocksdbLog::Open(GraphStore& store, Offset base,
                                                             Options options,
                                                             std::optional<Shared> shared) {
  if (options.event_ids_max < static_cast<int64_t>(options.group_max)) {
    return absl::InvalidArgumentError(fmt::format(
        "log.event_ids_max is {}; it must be at least log.group_max, {}, so that a group's own ids "
        "fit the window",
        options.event_ids_max, options.group_max));
  }
  auto stored = StoredLog::Open(store, base,
                                {.event_ids_max = options.event_ids_max,
                                 .producers_max = options.producers_max,
                                 .on_list_rules = options.on_list_rules});
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
  return std::unique_ptr<RocksdbLog>(new RocksdbLog(store, *std::move(stored), std::move(options),
                                                    lost, *std::move(writer), std::move(shared)));
}

RocksdbLog::RocksdbLog(GraphStore& store, std::unique_ptr<StoredLog> stored, Options options,
                       int64_t lost, std::unique_ptr<AcknowledgedMark> mark,
                       std::optional<Shared> shared)
    : store_(store),
      stored_(std::move(stored)),
      options_(std::move(options)),
      order_(shared.has_value() ? std::move(shared->order)
                                : std::make_unique<LocalOrder>(options_.queue_max)),
      lost_(lost),
      taken_(shared.has_value() ? shared->taken : SharedLog{}),
      mark_(std::move(mark)),
      position_(taken_.position),
      writer_([this] { WriteLoop(); }) {}

RocksdbLog::~RocksdbLog() { Close(); }

void RocksdbLog::Close() {
  closing_ = true;
  order_->Close();
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
  if (!stopped_.ok()) {
    // Of a shared log another server takes it: the caller is to go on trying.
    return order_->is_durable() ? absl::UnavailableError(stopped_.message()) : stopped_;
  }
  if (absl::Status s = order_->Submit(std::move(request)); !s.ok()) return s;
  waiting_.push_back(std::move(done));
  return absl::OkStatus();
}

absl::Status RocksdbLog::AwaitShared(const std::function<bool()>& cancelled) {
  const auto end = order_->End(std::chrono::steady_clock::now() + kAskingMax);
  if (!end.ok()) return end.status();
  MutexLock lock(mutex_);
  while (position_ < *end && stopped_.ok()) {
    if (cancelled()) return absl::CancelledError("stopped while reading the log");
    progressed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kWaitSlice);
  }
  return stopped_;
}

int64_t RocksdbLog::lag() const {
  MutexLock lock(mutex_);
  return std::max<int64_t>(order_->LastKnownEnd() - position_, 0);
}

absl::Status RocksdbLog::stopped() const {
  MutexLock lock(mutex_);
  return stopped_;
}

absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> RocksdbLog::Read(Offset from,
                                                                          size_t limit) const {
  return stored_->Read(from, limit);
}

void RocksdbLog::WriteLoop() {
  NameThread("log-writer");
  int64_t position = taken_.position;
  while (true) {
    // No delay that waits for more: while one group is synced the next one gathers. A server that
    // is not ready for want of writes gets none: whether they work again is tried.
    const auto until = failing_ ? std::chrono::steady_clock::now() + kRecoveryInterval
                                : RequestOrder::TimePoint::max();
    const auto group = order_->Read(position, options_.group_max, until);
    if (!group.ok()) return Stop(group.status());  // closed, and nothing is left; or broken
    if (!WriteGroup(*group)) {
      if (closing_) return Stop(absl::UnavailableError("the log cannot be written"));
      std::this_thread::sleep_for(kRecoveryInterval);
      continue;
    }
    if (!group->empty()) position = group->back().position;
    // Only now: the group points to the requests.
    order_->Cut(position).IgnoreError();  // which is for positions that were not read
    {
      MutexLock lock(mutex_);
      position_ = position;
    }
    progressed_.NotifyAll();
  }
}

// Nobody knows of those that wait whether they are in a shared order, or come to be there.
void RocksdbLog::Stop(const absl::Status& status) {
  std::deque<Done> unknown;
  {
    MutexLock lock(mutex_);
    stopped_ = status;
    unknown.swap(waiting_);
  }
  progressed_.NotifyAll();
  for (const Done& done : unknown) {
    done(absl::UnavailableError(
        fmt::format("whether the log has it is not known, for this server does not read it any "
                    "longer ({}): send it again under the same ids, to another one",
                    std::string(status.message()))));
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

// The one sync that the whole group shares. What a shared order has needs none.
absl::Status RocksdbLog::CommitBatch(StoredLog::Batch& batch) {
  const auto start = std::chrono::steady_clock::now();
  const bool sync = options_.durability == Durability::kSync && !order_->is_durable();
  absl::Status status = stored_->Commit(batch, sync);
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
  SharedLog taken = taken_;
  if (status.ok() && order_->is_durable() && !group.empty()) {
    taken.position = group.back().position;
    taken.checksum = group.back().checksum;
    batch.PutTaken(taken);
  }
  if (status.ok() && !batch.is_empty()) status = CommitBatch(batch);
  failing_ = !status.ok();
  // While the disk refuses another file too, a new start would not help.
  health.SetStuck(was_failing && !status.ok() && store_.database().ProbeDisk().ok());
  if (status.ok()) taken_ = taken;
  if (!status.ok() || end() == before || order_->is_durable()) return status;
  // Behind the commit, so that it never claims more than is on disk, and before the
  // acknowledgements. One that failed leaves an older mark, which is still a lower bound.
  const int error = mark_->Write({.offset = end(), .durability = options_.durability});
  if (error != 0 && options_.on_write_error) options_.on_write_error(KindOfWriteError(error));
  return status;
}

bool RocksdbLog::WriteGroup(std::span<const RequestOrder::Ordered> group) {
  std::vector<absl::StatusOr<AppendResult>> results;
  const Offset before = end();
  const absl::Status status = PersistGroup(group, results);
  // The requests are in the order, whatever the disk says: they are taken once it works.
  if (!status.ok() && order_->is_durable()) return false;
  if (end() > before) {
    // Under the lock, so that no listener runs any more once RemoveListener returned. Before the
    // acknowledgements: whoever reads his own write waits for the fold.
    MutexLock lock(listeners_mutex_);
    for (const auto& [number, listener] : listeners_) listener();
  }
  for (const RequestOrder::Ordered& one : group) {
    if (one.request->seen_digest.has_value() && options_.on_seen_digest) {
      options_.on_seen_digest(*one.request->seen_digest);
    }
  }
  const auto is_own = [](const RequestOrder::Ordered& one) { return one.is_own; };
  std::deque<Done> done;
  {
    MutexLock lock(mutex_);
    const auto last = waiting_.begin() + std::count_if(group.begin(), group.end(), is_own);
    done.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(last));
    waiting_.erase(waiting_.begin(), last);
  }
  // Without a lock: it may append again.
  for (size_t i = 0; i < group.size(); ++i) {
    if (!group[i].is_own) continue;
    done.front()(status.ok() ? std::move(results[i]) : status);
    done.pop_front();
  }
  return true;
}

}  // namespace groundswell
