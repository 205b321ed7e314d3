#include "graph/fold/applier.h"

#include <algorithm>
#include <future>
#include <utility>

namespace groundswell {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// How long the applier rests between attempts while the disk refuses its writes.
constexpr std::chrono::milliseconds kRetryInterval{200};
// How often an idle applier looks at its waiters' deadlines at the latest.
constexpr std::chrono::seconds kIdleInterval{1};
// How many full batches wait when the applier is behind: then it folds as fast as it can, else it
// makes way for calls.
constexpr size_t kBatchesBehind = 4;
// Interactions in a batch until then. Within a commit it cannot make way: one of 100 users took a
// millisecond, one of 25 an eighth of that.
constexpr size_t kPieceMax = 25;

}  // namespace

Applier::Applier(GraphStore& store, Generation generation, InteractionLog& log,
                 Catalogue& catalogue, MacroGraph& graph, GraphState state,
                 std::optional<Offset> checkpoint, Options options)
    : store_(store),
      log_(log),
      graph_(graph),
      options_(std::move(options)),
      fold_(store, std::move(generation), catalogue, graph, std::move(state), options_.fold),
      checkpoint_(checkpoint),
      applied_(fold_.progress().applied_offset),
      progress_(fold_.progress()) {
  listener_ = log_.AddListener([this] {
    {
      MutexLock lock(mutex_);
      woken_ = true;
    }
    changed_.NotifyOne();
  });
}

Applier::~Applier() {
  log_.RemoveListener(listener_);
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  deadline_changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
  if (deadlines_.joinable()) deadlines_.join();
  // Only now: until their end the threads call them.
  MutexLock lock(mutex_);
  for (auto& [offset, waiter] : waiters_) waiter.done(false);
  for (auto& task : tasks_) task(false);
}

Applier::Progress Applier::progress() const {
  MutexLock lock(mutex_);
  return progress_;
}

absl::Status Applier::CatchUp(const std::function<void(Offset, Offset)>& progress,
                              const std::function<bool()>& cancelled) {
  if (absl::Status s = fold_.CountTombstones(); !s.ok()) return s;
  while (true) {
    if (cancelled()) return absl::CancelledError("stopped while applying the log");
    const absl::StatusOr<bool> more = ApplyNextBatch();
    if (!more.ok()) return more.status();
    if (!*more) break;
    progress(applied_offset(), log_.end());
  }
  thread_ = std::thread([this] { ApplyLoop(); });
  deadlines_ = std::thread([this] { DeadlineLoop(); });
  return absl::OkStatus();
}

void Applier::DeadlineLoop() {
  NameThread("apply-deadline");
  while (true) {
    {
      MutexLock lock(mutex_);
      deadline_wake_ = FirstDeadline();
      while (!stopping_ && std::chrono::steady_clock::now() < deadline_wake_) {
        deadline_changed_.WaitUntil(mutex_, deadline_wake_);
      }
      if (stopping_) return;
    }
    NotifyWaiters();
  }
}

void Applier::ApplyLoop() {
  NameThread("applier");
  LowerPriority(options_.niceness);
  RequestShortSlices();  // the shorter a thread's slices, the sooner it has its core back
  bool failing = false;
  while (true) {
    const absl::StatusOr<bool> more = ApplyNextBatch();
    if (options_.on_status && (!more.ok() || failing)) options_.on_status(more.status());
    failing = !more.ok();
    NotifyWaiters();
    HandleTasks(/*run=*/true);
    MutexLock lock(mutex_);
    if (stopping_) return;
    if (more.ok() && *more) continue;
    const SteadyTime retry = std::chrono::steady_clock::now() + kRetryInterval;
    while (!stopping_ && tasks_.empty() && (failing || !woken_)) {
      const SteadyTime until = failing ? retry : std::chrono::steady_clock::now() + kIdleInterval;
      changed_.WaitUntil(mutex_, until);
      if (std::chrono::steady_clock::now() >= until) break;
    }
    // Before the log is read again: what is appended from here on wakes the next wait.
    woken_ = false;
    if (stopping_) return;
  }
}

void Applier::HandleTasks(bool run) {
  std::deque<std::function<void(bool)>> tasks;
  {
    MutexLock lock(mutex_);
    tasks.swap(tasks_);
  }
  for (auto& task : tasks) task(run);
}

absl::Status Applier::RunAtBatchEdge(const std::function<void()>& task) {
  std::promise<bool> ran;
  std::future<bool> result = ran.get_future();
  {
    MutexLock lock(mutex_);
    if (stopping_) return absl::UnavailableError("the server is stopping");
    tasks_.emplace_back([&](bool run) {
      if (run) task();
      ran.set_value(run);
    });
  }
  changed_.NotifyOne();
  if (result.get()) return absl::OkStatus();
  return absl::UnavailableError("the server is stopping, or cannot write to the disk");
}

std::shared_ptr<ShardCapture> Applier::BeginCapture(ShardCapture::Sink sink) {
  return graph_.BeginCapture(std::move(sink));
}

std::shared_ptr<ShardCapture> Applier::BeginCheckpoint(ShardCapture::Sink sink) {
  begun_checkpoint_ = applied_offset();
  return graph_.BeginCapture(std::move(sink));
}

void Applier::EndCheckpoint(bool complete) {
  if (complete) checkpoint_ = begun_checkpoint_;
  begun_checkpoint_.reset();
}

absl::StatusOr<OverlaidUser> Applier::Overlay(std::optional<UserState> user,
                                              std::span<const Interaction> interactions,
                                              std::optional<Refusal>& refusal) const {
  return fold_.Overlay(progress(), std::move(user), interactions, refusal);
}

SteadyTime Applier::FirstDeadline() {
  SteadyTime first = std::chrono::steady_clock::now() + kIdleInterval;
  for (const auto& [offset, waiter] : waiters_) first = std::min(first, waiter.deadline);
  return first;
}

absl::StatusOr<bool> Applier::ApplyNextBatch() {
  const size_t batch_max = options_.fold.batch_max;
  const auto waiting = static_cast<size_t>(log_.end() - applied_offset());
  const bool is_behind = waiting >= kBatchesBehind * batch_max;
  const size_t limit = is_behind ? batch_max : std::min(kPieceMax, batch_max);
  // A batch ends at each offset whose digest is told.
  const Offset until_digest = kDigestInterval - applied_offset() % kDigestInterval;
  const auto entries =
      log_.Read(applied_offset() + 1, std::min(limit, static_cast<size_t>(until_digest)));
  if (!entries.ok()) return entries.status();
  if (entries->empty()) return false;
  // No batch edge between the parts of an entry: at an edge the graph is that of an offset.
  for (bool is_part = true; is_part;) {
    Fold::Batch batch(store_, {checkpoint_, begun_checkpoint_});
    absl::Status folded =
        fold_.Next(*entries, is_behind ? std::function<void()>() : make_way_, batch);
    if (!folded.ok()) return folded;
    if (absl::Status s = Publish(batch); !s.ok()) return s;
    is_part = batch.is_part;
    if (batch.activation != nullptr && options_.on_activate) {
      options_.on_activate(applied_offset(), *batch.activation);
    }
  }
  if (options_.on_digest && applied_offset() % kDigestInterval == 0) {
    options_.on_digest(applied_offset(), fold_.snapshot_digest(), fold_.progress().digest);
  }
  return true;
}

// First on disk, then for others to see, and only then is it told to those who wait for it.
absl::Status Applier::Publish(Fold::Batch& batch) {
  if (absl::Status s = CommitStubbornly(batch.writes); !s.ok()) return s;
  if (!batch.is_part) {
    const Progress progress = fold_.progress();
    MutexLock lock(mutex_);
    progress_ = progress;
    applied_.store(progress.applied_offset, std::memory_order_release);
  }
  NotifyWaiters();  // before what only the next batch needs
  fold_.Keep(batch);
  if (options_.on_applied && !batch.results.empty()) options_.on_applied(batch.results);
  if (options_.on_expired && batch.expired > 0) options_.on_expired(batch.expired);
  return absl::OkStatus();
}

// The items in memory already contain the batch, so it is written until that works: giving up would
// let a later batch see users without it.
absl::Status Applier::CommitStubbornly(GraphStore::Batch& writes) {
  absl::Status status = store_.Commit(writes, /*sync=*/false);
  while (!status.ok()) {
    if (options_.on_status) options_.on_status(status);
    NotifyWaiters();
    HandleTasks(/*run=*/false);  // whoever waits may be what stops this applier
    {
      MutexLock lock(mutex_);
      if (stopping_) return status;
      changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kRetryInterval);
    }
    status = store_.Resume();
    if (status.ok()) status = store_.Commit(writes, /*sync=*/false);
  }
  return absl::OkStatus();
}

void Applier::NotifyWaiters() {
  std::vector<std::pair<std::function<void(bool)>, bool>> ready;
  {
    MutexLock lock(mutex_);
    const Offset applied = applied_offset();
    const SteadyTime now = std::chrono::steady_clock::now();
    for (auto at = waiters_.begin(); at != waiters_.end();) {
      const bool reached = at->first <= applied;
      if (reached || at->second.deadline <= now) {
        ready.emplace_back(std::move(at->second.done), reached);
        at = waiters_.erase(at);
      } else {
        ++at;
      }
    }
  }
  for (auto& [done, reached] : ready) done(reached);
}

void Applier::WhenApplied(Offset offset, SteadyTime deadline, std::function<void(bool)> done) {
  bool reached = false;
  {
    // Publish stores the offset under this mutex: none is reached between the look and the wait.
    MutexLock lock(mutex_);
    reached = offset <= applied_offset();
    if (!reached && !stopping_ && deadline > std::chrono::steady_clock::now()) {
      waiters_.emplace(offset, Waiter{deadline, std::move(done)});
      if (deadline < deadline_wake_) {
        deadline_wake_ = deadline;
        deadline_changed_.NotifyOne();
      }
      return;
    }
  }
  done(reached);
}

}  // namespace groundswell
