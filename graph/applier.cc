#include "graph/applier.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace groundswell {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// How long the applier rests between attempts while the disk refuses its writes.
constexpr std::chrono::milliseconds kRetryInterval{200};
// How often an idle applier looks at its waiters' deadlines at the latest.
constexpr std::chrono::seconds kIdleInterval{1};

}  // namespace

Applier::Applier(GraphStore& store, InteractionLog& log, const Catalogue& catalogue,
                 MacroGraph& graph, GraphState state, Options options)
    : store_(store),
      log_(log),
      catalogue_(catalogue),
      graph_(graph),
      state_(std::move(state)),
      options_(std::move(options)),
      applied_(state_.applied_offset),
      newest_time_(state_.newest_event_time_us),
      user_count_(state_.user_count),
      edge_count_(state_.edge_count) {
  log_.OnAppended([this] {
    {
      MutexLock lock(mutex_);
      woken_ = true;
    }
    changed_.NotifyOne();
  });
}

Applier::~Applier() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
  MutexLock lock(mutex_);
  for (auto& [offset, waiter] : waiters_) waiter.done(false);
}

absl::Status Applier::CatchUp(const std::function<void(Offset, Offset)>& progress,
                              const std::function<bool()>& cancelled) {
  while (true) {
    if (cancelled()) return absl::CancelledError("stopped while applying the log");
    const absl::StatusOr<bool> more = ApplyNextBatch();
    if (!more.ok()) return more.status();
    if (!*more) break;
    progress(applied_offset(), log_.end());
  }
  thread_ = std::thread([this] { ApplyLoop(); });
  return absl::OkStatus();
}

void Applier::ApplyLoop() {
  bool failing = false;
  while (true) {
    const absl::StatusOr<bool> more = ApplyNextBatch();
    if (options_.on_status && (!more.ok() || failing)) options_.on_status(more.status());
    failing = !more.ok();
    NotifyWaiters();
    MutexLock lock(mutex_);
    if (stopping_) return;
    if (more.ok() && *more) continue;
    const SteadyTime retry = std::chrono::steady_clock::now() + kRetryInterval;
    while (!stopping_ && (failing || !woken_)) {
      const SteadyTime until = failing ? retry : NextWake();
      changed_.WaitUntil(mutex_, until);
      if (std::chrono::steady_clock::now() >= until) break;
    }
    woken_ = false;
    if (stopping_) return;
  }
}

SteadyTime Applier::NextWake() {
  SteadyTime wake = std::chrono::steady_clock::now() + kIdleInterval;
  for (const auto& [offset, waiter] : waiters_) wake = std::min(wake, waiter.deadline);
  return wake;
}

absl::StatusOr<bool> Applier::ApplyNextBatch() {
  auto records = log_.Read(applied_offset() + 1, options_.batch_max);
  if (!records.ok()) return records.status();
  if (records->empty()) return false;
  std::map<std::string, UserState> touched;
  std::vector<Outcome> outcomes;
  outcomes.reserve(records->size());
  // The users are read before anything changes in memory, so that an unreadable one stops the batch
  // as a whole.
  for (const auto& [offset, interaction] : *records) {
    if (touched.contains(interaction.user_id)) continue;
    absl::StatusOr<std::optional<UserState>> user = store_.ReadUser(interaction.user_id);
    if (!user.ok()) return user.status();
    if (user->has_value()) touched.emplace(interaction.user_id, **std::move(user));
  }
  for (const auto& [offset, interaction] : *records) {
    const absl::StatusOr<Outcome> outcome = ApplyOne(offset, interaction, touched);
    if (!outcome.ok()) return outcome.status();
    outcomes.push_back(*outcome);
  }
  state_.applied_offset = records->back().first;
  if (absl::Status s = Publish(touched); !s.ok()) return s;
  if (options_.on_applied) {
    for (size_t i = 0; i < records->size(); ++i) {
      options_.on_applied((*records)[i].second, outcomes[i]);
    }
  }
  return true;
}

absl::StatusOr<Applier::Outcome> Applier::ApplyOne(Offset offset, const Interaction& interaction,
                                                   std::map<std::string, UserState>& touched) {
  const std::optional<ItemIndex> item = catalogue_.Find(interaction.item_id);
  if (!item.has_value()) return Outcome::kUnknownItem;
  auto user = touched.find(interaction.user_id);
  if (user == touched.end()) {
    if (interaction.weight < 0) return Outcome::kBelowZero;
    user =
        touched
            .emplace(interaction.user_id, UserState{.index = UserIndex{state_.user_count++},
                                                    .cluster = options_.cluster_of_new_user(*item),
                                                    .edges = {}})
            .first;
  }
  const size_t edges_before = user->second.edges.size();
  const Recency when{.time_us = interaction.event_time_us, .offset = offset};
  const ApplyOutcome outcome = graph_.Apply(user->second, *item, interaction.weight, when);
  if (outcome == ApplyOutcome::kBelowZero) return Outcome::kBelowZero;
  if (outcome == ApplyOutcome::kOverflow) return Outcome::kOverflow;
  state_.edge_count +=
      static_cast<int64_t>(user->second.edges.size()) - static_cast<int64_t>(edges_before);
  state_.newest_event_time_us = std::max(state_.newest_event_time_us, interaction.event_time_us);
  return Outcome::kApplied;
}

// The items in memory already contain the batch, so it is written until that works: giving up would
// let a later batch see users without it.
absl::Status Applier::Publish(const std::map<std::string, UserState>& touched) {
  GraphStore::Batch batch(store_);
  for (const auto& [user_id, user] : touched) batch.PutUser(user_id, user);
  batch.PutState(state_);
  absl::Status status = store_.Commit(batch, /*sync=*/false);
  while (!status.ok()) {
    if (options_.on_status) options_.on_status(status);
    NotifyWaiters();
    {
      MutexLock lock(mutex_);
      if (stopping_) return status;
      changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kRetryInterval);
    }
    status = store_.Resume();
    if (status.ok()) status = store_.Commit(batch, /*sync=*/false);
  }
  newest_time_.store(state_.newest_event_time_us, std::memory_order_relaxed);
  user_count_.store(state_.user_count, std::memory_order_relaxed);
  edge_count_.store(state_.edge_count, std::memory_order_relaxed);
  applied_.store(state_.applied_offset, std::memory_order_release);
  NotifyWaiters();
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
    MutexLock lock(mutex_);
    reached = offset <= applied_offset();
    if (!reached && !stopping_ && deadline > std::chrono::steady_clock::now()) {
      waiters_.emplace(offset, Waiter{deadline, std::move(done)});
      woken_ = true;  // the applier reconsiders how long it may sleep
      changed_.NotifyOne();
      return;
    }
  }
  done(reached);
}

}  // namespace groundswell
