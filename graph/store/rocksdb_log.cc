#include "graph/store/rocksdb_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "graph/log/entry_hash.h"

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
  const absl::StatusOr<Offset> begin = store.LogBegin();
  if (!begin.ok()) return begin.status();
  const absl::StatusOr<Offset> last = store.LastLogOffset();
  if (!last.ok()) return last.status();
  const absl::StatusOr<std::optional<Offset>> event_ids = store.EventIdsBegin();
  if (!event_ids.ok()) return event_ids.status();
  auto producers = store.ReadProducers();
  if (!producers.ok()) return producers.status();
  // A log may be empty and yet have had entries, all cut off or none of them carried over from
  // before `base`: no offset is given twice.
  const Offset first = *begin > 0 ? *begin : base + 1;
  const Offset end = std::max({*last, first - 1, base});
  const auto acknowledged = AcknowledgedMark::Read(store.path());
  if (!acknowledged.ok()) return acknowledged.status();
  const AcknowledgedMark::Value mark = acknowledged->value_or(AcknowledgedMark::Value{});
  // RocksDB opened, so its files are whole as far as they reach; the mark tells how far that was.
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
  const Offset event_ids_begin = std::max(event_ids->value_or(0), first);
  return std::unique_ptr<RocksdbLog>(new RocksdbLog(store, std::move(options), first,
                                                    event_ids_begin, end, lost,
                                                    *std::move(producers), *std::move(writer)));
}

RocksdbLog::RocksdbLog(GraphStore& store, Options options, Offset begin, Offset event_ids_begin,
                       Offset end, int64_t lost, std::map<std::string, Producer> producers,
                       std::unique_ptr<AcknowledgedMark> mark)
    : store_(store),
      options_(std::move(options)),
      begin_(begin),
      event_ids_begin_(event_ids_begin),
      end_(end),
      lost_(lost),
      producers_(std::move(producers)),
      mark_(std::move(mark)),
      writer_([this] { WriteLoop(); }) {}

RocksdbLog::~RocksdbLog() { Close(); }

void RocksdbLog::Close() {
  {
    MutexLock lock(mutex_);
    closing_ = true;
  }
  changed_.NotifyAll();
  if (writer_.joinable()) writer_.join();
}

size_t RocksdbLog::queued() const {
  MutexLock lock(mutex_);
  return queued_;
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
  const size_t count = request.entries.size();
  {
    MutexLock lock(mutex_);
    if (closing_) return absl::FailedPreconditionError("the log is closed");
    if (queued_ + count > options_.queue_max) {
      return absl::ResourceExhaustedError(fmt::format(
          "{} interactions already wait to be written; at most {} may (ingest.queue_max)", queued_,
          options_.queue_max));
    }
    queued_ += count;
    queue_.push_back({std::move(request), std::move(done)});
  }
  changed_.NotifyOne();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> RocksdbLog::Read(Offset from,
                                                                          size_t limit) const {
  const Offset last = end();
  if (from > last) return std::vector<std::pair<Offset, LogEntry>>{};
  const auto available = static_cast<size_t>(last - from + 1);
  auto entries = store_.ReadLog(from, std::min(limit, available));
  if (entries.ok() && entries->empty()) {
    return absl::DataLossError(
        fmt::format("the log ends before offset {} although it reached {}", from, last));
  }
  return entries;
}

// The records of the window stay: ForgetEventIds reads from them which ids leave it.
absl::Status RocksdbLog::TruncateBefore(Offset offset) {
  const Offset begin = std::min({offset, end() - options_.event_ids_max + 1,
                                 event_ids_begin_.load(std::memory_order_acquire)});
  if (begin <= begin_) return absl::OkStatus();
  GraphStore::Batch batch(store_);
  batch.TruncateLogBefore(begin);
  absl::Status status = store_.Commit(batch, /*sync=*/false);
  if (status.ok()) begin_.store(begin, std::memory_order_release);
  return status;
}

// Whole requests, since a request is all in the log or not at all; so also one that is longer than
// group_max, alone.
std::vector<RocksdbLog::Pending> RocksdbLog::TakeGroup() {
  std::vector<Pending> group;
  size_t size = 0;
  while (!queue_.empty() &&
         (group.empty() || size + queue_.front().request.entries.size() <= options_.group_max)) {
    size += queue_.front().request.entries.size();
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_ -= size;
  return group;
}

void RocksdbLog::WriteLoop() {
  NameThread("log-writer");
  while (true) {
    std::vector<Pending> group;
    {
      MutexLock lock(mutex_);
      // No delay that waits for more: while one group is synced the next one gathers.
      while (queue_.empty() && !closing_ && !failing_) changed_.Wait(mutex_);
      // A server that is not ready for want of writes gets none: whether they work again is tried.
      if (queue_.empty() && !closing_) {
        changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kRecoveryInterval);
      }
      if (queue_.empty() && closing_) return;  // nothing is left
      group = TakeGroup();
    }
    WriteGroup(group);
  }
}

absl::StatusOr<std::optional<LoggedEventId>> RocksdbLog::FindEventId(const EventIdHash& hash,
                                                                     const Group& group) const {
  std::optional<LoggedEventId> known;
  // The database does not know yet what the group itself brings.
  if (const auto at = group.event_ids.find(hash); at != group.event_ids.end()) {
    known = at->second;
  } else {
    const absl::StatusOr<std::optional<LoggedEventId>> stored = store_.FindEventId(hash);
    if (!stored.ok()) return stored;
    known = *stored;
  }
  // By the offsets alone: what was deleted when depends on the groups.
  if (known.has_value() && known->offset < group.next - options_.event_ids_max) known.reset();
  return known;
}

absl::StatusOr<Appended> RocksdbLog::StageEntry(const LogEntry& entry, Group& group) {
  const EventIdHash hash = HashEventId(EventIdOf(entry));
  const uint64_t content_hash = ContentHashOf(entry);
  const absl::StatusOr<std::optional<LoggedEventId>> earlier = FindEventId(hash, group);
  if (!earlier.ok()) return earlier.status();
  if (earlier->has_value()) {
    return Appended{.outcome = (*earlier)->content_hash == content_hash
                                   ? Appended::Outcome::kDuplicate
                                   : Appended::Outcome::kConflict,
                    .offset = (*earlier)->offset};
  }
  const LoggedEventId logged{.offset = group.next++, .content_hash = content_hash};
  group.batch.PutLogEntry(logged.offset, entry);
  group.batch.PutEventId(hash, logged);
  group.event_ids.insert_or_assign(hash, logged);
  group.writes = true;
  return Appended{.outcome = Appended::Outcome::kAppended, .offset = logged.offset};
}

// Of a producer that is forgotten, the next number would be a gap, and it would be stuck: only one
// of which nothing has come for a whole window may go, and of those the one that was silent for
// longest, the first by id where several are.
absl::Status RocksdbLog::MakeRoomForProducer(Group& group) const {
  if (group.producer_count < options_.producers_max) return absl::OkStatus();
  std::string silent;
  Offset last_offset = group.next - options_.event_ids_max;
  const auto consider = [&](const std::string& id, const Producer& producer) {
    if (std::tie(producer.last_offset, id) >= std::tie(last_offset, silent)) return;
    silent = id;
    last_offset = producer.last_offset;
  };
  for (const auto& [id, producer] : producers_) {
    if (!group.producers.contains(id)) consider(id, producer);
  }
  for (const auto& [id, producer] : group.producers) {
    if (producer.has_value()) consider(id, *producer);
  }
  if (silent.empty()) {
    return absl::FailedPreconditionError(fmt::format(  // to try again would not help
        "{} producers are known, and each was heard of within the newest {} interactions; use "
        "fewer producer ids, or raise log.producers_max",
        group.producer_count, options_.event_ids_max));
  }
  group.batch.DeleteProducer(silent);
  group.producers[silent] = std::nullopt;
  --group.producer_count;
  return absl::OkStatus();
}

// As it stands before the request, behind the group's earlier ones.
std::optional<Producer> RocksdbLog::FindProducer(const std::string& id, const Group& group) const {
  if (const auto at = group.producers.find(id); at != group.producers.end()) return at->second;
  const auto at = producers_.find(id);
  return at == producers_.end() ? std::nullopt : std::optional<Producer>(at->second);
}

// The order that edges leave the window in is that of their times as unsigned numbers.
absl::Status RocksdbLog::CheckTimes(const AppendRequest& request) {
  for (size_t i = 0; i < request.entries.size(); ++i) {
    const auto* interaction = std::get_if<Interaction>(&request.entries[i]);
    if (interaction == nullptr || interaction->event_time_us >= 0) continue;
    return absl::InvalidArgumentError(
        fmt::format("interactions[{}].event_time is {} us; it must not be before 1970", i,
                    interaction->event_time_us));
  }
  return absl::OkStatus();
}

// What forbids a request is found before its first entry is staged, so that one which fails alone
// leaves nothing in the group's batch.
absl::StatusOr<AppendResult> RocksdbLog::StageRequest(const AppendRequest& request, Group& group) {
  if (absl::Status s = CheckTimes(request); !s.ok()) return s;
  AppendResult result;
  Producer producer;
  const bool has_producer = !request.producer_id.empty();
  if (has_producer) {
    const std::optional<Producer> known = FindProducer(request.producer_id, group);
    producer = known.value_or(Producer{});
    if (request.first_sequence > producer.last_sequence + 1) {
      return absl::FailedPreconditionError(fmt::format(
          "first_sequence is {}, but the next of producer \"{}\" is {}: send what is missing first",
          request.first_sequence, request.producer_id, producer.last_sequence + 1));
    }
    if (!known.has_value() && request.last_sequence > 0) {
      if (absl::Status s = MakeRoomForProducer(group); !s.ok()) return s;
      ++group.producer_count;
    }
  }
  for (size_t i = 0; i < request.entries.size(); ++i) {
    // Sent again after a broken stream: known by its number, however long ago its id was forgotten.
    if (has_producer && request.sequences[i] <= producer.last_sequence) {
      result.entries.push_back(
          {.outcome = Appended::Outcome::kDuplicate, .offset = producer.last_offset});
      continue;
    }
    const absl::StatusOr<Appended> appended = StageEntry(request.entries[i], group);
    if (!appended.ok()) return appended.status();
    result.entries.push_back(*appended);
  }
  if (has_producer) {
    // Also when no entry was new: numbers of refused entries count as dealt with.
    if (request.last_sequence > producer.last_sequence) {
      producer = {.last_sequence = request.last_sequence, .last_offset = group.next - 1};
      group.batch.PutProducer(request.producer_id, producer);
      group.producers[request.producer_id] = producer;
      group.writes = true;
    }
    result.last_sequence = producer.last_sequence;
  }
  return result;
}

// Deletes the ids that leave the window with the group's entries, which begin at `first`. The log
// itself says which: no second list of ids in the order of their age has to be kept. After
// `event_ids_max` was lowered more than that have left: then two go for each that comes.
absl::Status RocksdbLog::ForgetEventIds(Offset first, Group& group) {
  const Offset begin = group.event_ids_begin;
  const Offset until =
      std::min({group.next - options_.event_ids_max, begin + 2 * (group.next - first), first});
  if (until <= begin) return absl::OkStatus();
  const bool is_behind = begin < first - options_.event_ids_max;
  const auto old = store_.ReadLog(begin, static_cast<size_t>(until - begin));
  if (!old.ok()) return old.status();
  for (const auto& [offset, entry] : *old) {
    const std::optional<EventIdHash> hash = EventIdHashOf(entry);
    if (!hash.has_value() || group.event_ids.contains(*hash)) continue;  // logged anew since
    if (is_behind) {
      const absl::StatusOr<std::optional<LoggedEventId>> known = store_.FindEventId(*hash);
      if (!known.ok()) return known.status();
      if (!known->has_value() || (*known)->offset != offset) continue;
    }
    group.batch.DeleteEventId(*hash);
  }
  group.event_ids_begin = until;
  group.batch.PutEventIdsBegin(until);
  return absl::OkStatus();
}

// A request that its sequence or its producer forbids fails alone; any other error is the disk's,
// and the whole group's.
absl::Status RocksdbLog::StageGroup(const std::vector<Pending>& pending, Group& group) {
  const Offset first = end() + 1;
  group.next = first;
  group.producer_count = producers_.size();
  group.event_ids_begin = event_ids_begin_;
  for (const Pending& one : pending) {
    yielding_.BetweenPieces();
    absl::StatusOr<AppendResult> result = StageRequest(one.request, group);
    const bool is_own =
        absl::IsFailedPrecondition(result.status()) || absl::IsInvalidArgument(result.status());
    if (!result.ok() && !is_own) return result.status();
    group.results.push_back(std::move(result));
  }
  if (group.next == first) return absl::OkStatus();
  return ForgetEventIds(first, group);
}

// The one sync that the whole group shares.
absl::Status RocksdbLog::CommitGroup(GraphStore::Batch& batch) {
  const auto start = std::chrono::steady_clock::now();
  absl::Status status = store_.Commit(batch, options_.durability == Durability::kSync);
  if (options_.on_write) options_.on_write(std::chrono::steady_clock::now() - start);
  return status;
}

absl::Status RocksdbLog::PersistGroup(const std::vector<Pending>& pending, Group& group) {
  WriteHealth& health = store_.database().health();
  const WriteHealth::Write write(health);
  const bool was_failing = failing_;
  // An error stops RocksDB; this lets it try again once its cause is gone.
  absl::Status status = was_failing ? store_.Resume() : absl::OkStatus();
  if (status.ok()) status = StageGroup(pending, group);
  if (status.ok() && group.writes) status = CommitGroup(group.batch);
  failing_ = !status.ok();
  // While the disk refuses another file too, a new start would not help.
  health.SetStuck(was_failing && !status.ok() && store_.database().ProbeDisk().ok());
  if (!status.ok()) return status;
  // What is remembered in memory, and what others are told, only now that it is on disk.
  for (const auto& [id, producer] : group.producers) {
    if (producer.has_value()) {
      producers_[id] = *producer;
    } else {
      producers_.erase(id);
    }
  }
  if (group.next - 1 <= end()) return status;
  event_ids_begin_.store(group.event_ids_begin, std::memory_order_release);
  end_.store(group.next - 1, std::memory_order_release);
  // Behind the commit, so that it never claims more than is on disk, and before the
  // acknowledgements. One that failed leaves an older mark, which is still a lower bound.
  const int error = mark_->Write({.offset = group.next - 1, .durability = options_.durability});
  if (error != 0 && options_.on_write_error) options_.on_write_error(KindOfWriteError(error));
  return status;
}

void RocksdbLog::WriteGroup(std::vector<Pending>& pending) {
  Group group(store_);
  const Offset before = end();
  const absl::Status status = PersistGroup(pending, group);
  if (end() > before) {
    MutexLock lock(listeners_mutex_);
    for (const auto& [number, listener] : listeners_) listener();
  }
  for (size_t i = 0; i < pending.size(); ++i) {
    pending[i].done(status.ok() ? std::move(group.results[i]) : status);
  }
}

}  // namespace groundswell
