#include "graph/rocksdb_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace groundswell {

absl::StatusOr<std::unique_ptr<RocksdbLog>> RocksdbLog::Open(GraphStore& store, Options options) {
  if (options.event_ids_max < static_cast<int64_t>(options.group_max)) {
    return absl::InvalidArgumentError(fmt::format(
        "log.event_ids_max is {}; it must be at least log.group_max, {}, so that a group's own ids "
        "fit the window",
        options.event_ids_max, options.group_max));
  }
  const absl::StatusOr<GraphState> state = store.ReadState();
  if (!state.ok()) return state.status();
  const absl::StatusOr<Offset> last = store.LastLogOffset();
  if (!last.ok()) return last.status();
  const Offset base = state->base_offset;
  return std::unique_ptr<RocksdbLog>(
      new RocksdbLog(store, std::move(options), base, std::max(*last, base)));
}

RocksdbLog::RocksdbLog(GraphStore& store, Options options, Offset base, Offset end)
    : store_(store), options_(std::move(options)), base_(base), end_(end), writer_([this] {
        WriteLoop();
      }) {}

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

absl::Status RocksdbLog::Append(std::vector<Interaction> interactions, Done done) {
  {
    MutexLock lock(mutex_);
    if (closing_) return absl::FailedPreconditionError("the log is closed");
    if (queued_ + interactions.size() > options_.queue_max) {
      return absl::ResourceExhaustedError(fmt::format(
          "{} interactions already wait to be written; at most {} may (ingest.queue_max)", queued_,
          options_.queue_max));
    }
    queued_ += interactions.size();
    queue_.push_back({std::move(interactions), std::move(done)});
  }
  changed_.NotifyOne();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::pair<Offset, Interaction>>> RocksdbLog::Read(Offset from,
                                                                             size_t limit) const {
  const Offset last = end();
  if (from > last) return std::vector<std::pair<Offset, Interaction>>{};
  const auto available = static_cast<size_t>(last - from + 1);
  auto records = store_.ReadLog(from, std::min(limit, available));
  if (records.ok() && records->empty()) {
    return absl::DataLossError(
        fmt::format("the log ends before offset {} although it reached {}", from, last));
  }
  return records;
}

std::vector<RocksdbLog::Pending> RocksdbLog::TakeGroup() {
  std::vector<Pending> group;
  size_t size = 0;
  while (!queue_.empty() &&
         (group.empty() || size + queue_.front().interactions.size() <= options_.group_max)) {
    size += queue_.front().interactions.size();
    group.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_ -= size;
  return group;
}

void RocksdbLog::WriteLoop() {
  while (true) {
    std::vector<Pending> group;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !closing_) changed_.Wait(mutex_);
      if (queue_.empty()) return;
      group = TakeGroup();
    }
    WriteGroup(group);
  }
}

absl::StatusOr<Appended> RocksdbLog::Stage(const Interaction& interaction, Offset next,
                                           GraphStore::Batch& batch,
                                           absl::flat_hash_map<std::string, Offset>& group_ids) {
  if (const auto at = group_ids.find(interaction.event_id); at != group_ids.end()) {
    return Appended{.outcome = Appended::Outcome::kDuplicate, .offset = at->second};
  }
  const absl::StatusOr<std::optional<Offset>> earlier = store_.FindEventId(interaction.event_id);
  if (!earlier.ok()) return earlier.status();
  if (earlier->has_value()) {
    return Appended{.outcome = Appended::Outcome::kDuplicate, .offset = **earlier};
  }
  batch.PutLogRecord(next, interaction);
  batch.PutEventId(interaction.event_id, next);
  group_ids.emplace(interaction.event_id, next);
  return Appended{.outcome = Appended::Outcome::kAppended, .offset = next};
}

// The ids that leave the window when offsets first..last enter it.
absl::Status RocksdbLog::ForgetEventIdsBefore(Offset first, Offset last, GraphStore::Batch& batch) {
  const Offset from = std::max(first - options_.event_ids_max, base_ + 1);
  const Offset until = last - options_.event_ids_max;
  if (until < from) return absl::OkStatus();
  // Records older than the log's beginning took their ids with them.
  const auto old = store_.ReadLog(from, static_cast<size_t>(until - from + 1));
  if (!old.ok()) return old.status();
  for (const auto& [offset, interaction] : *old) batch.DeleteEventId(interaction.event_id);
  return absl::OkStatus();
}

// Puts the group's interactions and the ids that they push out of the window into `batch`; returns
// the offset of the last new one.
absl::StatusOr<Offset> RocksdbLog::StageGroup(const std::vector<Pending>& group,
                                              GraphStore::Batch& batch,
                                              std::vector<std::vector<Appended>>& results) {
  absl::flat_hash_map<std::string, Offset> group_ids;
  const Offset before = end();
  Offset next = before + 1;
  for (size_t i = 0; i < group.size(); ++i) {
    for (const Interaction& interaction : group[i].interactions) {
      const absl::StatusOr<Appended> appended = Stage(interaction, next, batch, group_ids);
      if (!appended.ok()) return appended.status();
      if (appended->outcome == Appended::Outcome::kAppended) ++next;
      results[i].push_back(*appended);
    }
  }
  if (absl::Status s = ForgetEventIdsBefore(before + 1, next - 1, batch); !s.ok()) return s;
  return next - 1;
}

absl::Status RocksdbLog::CommitGroup(GraphStore::Batch& batch) {
  const auto start = std::chrono::steady_clock::now();
  absl::Status status = store_.Commit(batch, options_.sync);
  if (options_.on_write) options_.on_write(std::chrono::steady_clock::now() - start);
  return status;
}

void RocksdbLog::WriteGroup(std::vector<Pending>& group) {
  GraphStore::Batch batch(store_);
  std::vector<std::vector<Appended>> results(group.size());
  // A full disk stops RocksDB; this lets it try again once space is back.
  absl::Status status = failed_ ? store_.Resume() : absl::OkStatus();
  absl::StatusOr<Offset> last = end();
  if (status.ok()) {
    last = StageGroup(group, batch, results);
    status = last.status();
  }
  const bool is_new = status.ok() && *last > end();
  if (is_new) status = CommitGroup(batch);
  failed_ = !status.ok();
  if (is_new && status.ok()) {
    end_.store(*last, std::memory_order_release);
    if (listener_) listener_();
  }
  for (size_t i = 0; i < group.size(); ++i) {
    if (status.ok()) {
      group[i].done(std::move(results[i]));
    } else {
      group[i].done(status);
    }
  }
}

}  // namespace groundswell
