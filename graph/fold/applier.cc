#include "graph/fold/applier.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <future>
#include <limits>
#include <type_traits>
#include <utility>
#include <variant>

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
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

bool IsChange(const LogEntry& entry) {
  return !std::holds_alternative<Interaction>(entry) && !std::holds_alternative<Redacted>(entry);
}

int64_t EventTimeOf(const LogEntry& entry) {
  const auto* interaction = std::get_if<Interaction>(&entry);
  return interaction != nullptr ? interaction->event_time_us
                                : std::get<Redacted>(entry).event_time_us;
}

}  // namespace

Applier::Applier(GraphStore& store, Generation generation, InteractionLog& log,
                 Catalogue& catalogue, MacroGraph& graph, GraphState state,
                 std::optional<Offset> checkpoint, Options options)
    : store_(store),
      generation_(generation),
      log_(log),
      catalogue_(catalogue),
      graph_(graph),
      options_(std::move(options)),
      window_(state.window),
      detail_(state.window.keeps_interactions() ? EdgeDetail::kPerInteraction
                                                : EdgeDetail::kPerItem),
      state_(std::move(state)),
      checkpoint_(checkpoint),
      users_(options_.user_cache_bytes),
      applied_(state_.applied_offset),
      progress_{.applied_offset = state_.applied_offset,
                .live_user_count = state_.live_user_count,
                .edge_count = state_.edge_count,
                .newest_event_time_us = state_.newest_event_time_us,
                .total_count = graph.total_count(),
                .digest = state_.digest} {
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
  if (thread_.joinable()) thread_.join();
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
  absl::Status counted =
      store_.ForEachTombstone([this](Tombstone::Kind, const IdHash&, const Tombstone&) {
        ++tombstone_count_;
        return absl::OkStatus();
      });
  if (!counted.ok()) return counted;
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
      const SteadyTime until = failing ? retry : NextWake();
      changed_.WaitUntil(mutex_, until);
      if (std::chrono::steady_clock::now() >= until) break;
    }
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
  begun_checkpoint_ = state_.applied_offset;
  return graph_.BeginCapture(std::move(sink));
}

void Applier::EndCheckpoint(bool complete) {
  if (complete) checkpoint_ = begun_checkpoint_;
  begun_checkpoint_.reset();
}

SteadyTime Applier::NextWake() {
  SteadyTime wake = std::chrono::steady_clock::now() + kIdleInterval;
  for (const auto& [offset, waiter] : waiters_) wake = std::min(wake, waiter.deadline);
  return wake;
}

absl::StatusOr<bool> Applier::ApplyNextBatch() {
  const auto waiting = static_cast<size_t>(log_.end() - applied_offset());
  const bool is_behind = waiting >= kBatchesBehind * options_.batch_max;
  const auto entries =
      log_.Read(applied_offset() + 1,
                is_behind ? options_.batch_max : std::min(kPieceMax, options_.batch_max));
  if (!entries.ok()) return entries.status();
  if (entries->empty()) return false;
  absl::Status status;
  if (IsChange(entries->front().second)) {
    status = std::visit(
        [&](const auto& change) -> absl::Status {
          using Kind = std::decay_t<decltype(change)>;
          if constexpr (std::is_same_v<Kind, Interaction> || std::is_same_v<Kind, Redacted>) {
            return absl::InternalError("not a change");
          } else {
            return ApplyChange(entries->front().first, change);
          }
        },
        entries->front().second);
  } else {
    const auto end = std::find_if(entries->begin(), entries->end(),
                                  [](const auto& entry) { return IsChange(entry.second); });
    status = ApplyInteractions({entries->begin(), end}, is_behind);
  }
  if (!status.ok()) return status;
  return true;
}

// Begin of the window once an event of `newest_us` was logged; what is older has left.
int64_t Applier::WindowBegin(int64_t newest_us) const {
  return window_.age_us > 0 ? newest_us - window_.age_us : std::numeric_limits<int64_t>::min();
}

// Edges leave before the entry that moves the window past them, in batches of their own. So no
// batch holds an entry before which an edge of the same batch would have to leave.
absl::Status Applier::ApplyInteractions(Entries entries, bool is_behind) {
  const int64_t first_newest =
      std::max(state_.newest_event_time_us, EventTimeOf(entries.front().second));
  while (next_expiry_us_ < WindowBegin(first_newest)) {
    if (absl::Status s = Expire(WindowBegin(first_newest)); !s.ok()) return s;
  }
  Batch batch(store_);
  // The users are read before anything changes in memory, so that an unreadable one stops the batch
  // as a whole.
  for (const auto& [offset, entry] : entries) {
    const auto* interaction = std::get_if<Interaction>(&entry);
    const std::string& user_id =
        interaction != nullptr ? interaction->user_id : std::get<Redacted>(entry).user_id;
    if (user_id.empty()) continue;
    if (!is_behind) yielding_.BetweenPieces();
    const auto touched = Touch(user_id, batch);
    if (!touched.ok()) return touched.status();
    if (interaction == nullptr) continue;
    if (absl::Status s = TouchItem(interaction->item_id, batch); !s.ok()) return s;
  }
  Offset applied = applied_offset();
  for (const auto& [offset, entry] : entries) {
    if (!is_behind) yielding_.BetweenPieces();
    const int64_t newest = std::max(state_.newest_event_time_us, EventTimeOf(entry));
    if (next_expiry_us_ < WindowBegin(newest)) break;
    state_.newest_event_time_us = newest;
    if (const auto* interaction = std::get_if<Interaction>(&entry); interaction != nullptr) {
      batch.results.push_back({interaction, ApplyOne(offset, *interaction, batch)});
    } else {
      ApplyRedacted(std::get<Redacted>(entry), batch);
    }
    applied = offset;
  }
  return Publish(batch, applied);
}

absl::Status Applier::Expire(int64_t before_us) {
  const auto expiries = generation_.ReadExpiries(next_expiry_us_, options_.batch_max + 1);
  if (!expiries.ok()) return expiries.status();
  Batch batch(store_);
  size_t due = 0;
  while (due < std::min(expiries->size(), options_.batch_max) &&
         (*expiries)[due].last.time_us < before_us) {
    const auto touched = Touch((*expiries)[due].user_id, batch);
    if (!touched.ok()) return touched.status();
    ++due;
  }
  for (const Expiry& expiry : std::span(*expiries).first(due)) {
    generation_.DeleteExpiry(batch.writes, expiry.last, expiry.user);
    TouchedUser& touched = batch.users.at(expiry.user_id);
    if (!touched.state.has_value()) continue;
    UserState& user = *touched.state;
    for (size_t at = 0; at < user.edges.size(); ++at) {
      if (user.edges[at].last != expiry.last) continue;
      ChangeEdges(expiry.user_id, user, user.edges[at].item, batch,
                  [&] { graph_.RemoveEdge(user, at); });
      touched.changed = true;
      ++batch.expired;
      break;
    }
  }
  next_expiry_us_ = due < expiries->size() ? (*expiries)[due].last.time_us : kNever;
  return Publish(batch, applied_offset(), Part::kOfNext);
}

// Looks up when an item that is not there, or came back, was removed.
absl::Status Applier::TouchItem(const std::string& item_id, Batch& batch) {
  if (tombstone_count_ == 0 || batch.item_tombstones.contains(item_id)) return absl::OkStatus();
  const std::optional<ItemIndex> item = catalogue_.Find(item_id);
  if (item.has_value() && !IsCreated(*item)) return absl::OkStatus();
  const auto tombstone = store_.FindTombstone(Tombstone::Kind::kItem, HashId(item_id));
  if (!tombstone.ok()) return tombstone.status();
  batch.item_tombstones.emplace(item_id, *tombstone);
  return absl::OkStatus();
}

// Reads a user into the batch, and keeps the record for the checkpoints that do not have it yet.
absl::StatusOr<Applier::TouchedUser*> Applier::Touch(const std::string& user_id, Batch& batch) {
  if (const auto at = batch.users.find(user_id); at != batch.users.end()) return &at->second;
  TouchedUser touched{.state = users_.Take(user_id)};
  if (!touched.state.has_value()) {
    absl::StatusOr<std::optional<UserState>> user = generation_.ReadUser(user_id);
    if (!user.ok()) return user.status();
    touched.state = *std::move(user);
  }
  if (tombstone_count_ > 0) {
    auto tombstone = store_.FindTombstone(Tombstone::Kind::kUser, HashId(user_id));
    if (!tombstone.ok()) return tombstone.status();
    touched.tombstone = *tombstone;
  }
  for (const std::optional<Offset>& checkpoint : {checkpoint_, begun_checkpoint_}) {
    if (!checkpoint.has_value()) continue;
    if (touched.state.has_value() && touched.state->changed_at <= *checkpoint) {
      generation_.PutUserBefore(batch.writes, *checkpoint, user_id, &*touched.state);
    }
    // One that was forgotten since the checkpoint was kept then.
    const bool was_there = touched.tombstone.has_value() && touched.tombstone->offset > *checkpoint;
    if (!touched.state.has_value() && !was_there) {
      generation_.PutUserBefore(batch.writes, *checkpoint, user_id, nullptr);
    }
  }
  return &batch.users.emplace(user_id, std::move(touched)).first->second;
}

// Both ascend by recency.
void Applier::NoteExpiries(const std::string& user_id, UserIndex user, std::span<const Edge> before,
                           std::span<const Edge> after, Batch& batch) {
  const auto missing = [](std::span<const Edge> edges, const Edge& edge) {
    return std::none_of(edges.begin(), edges.end(),
                        [&](const Edge& other) { return other.last == edge.last; });
  };
  for (const Edge& edge : before) {
    if (missing(after, edge)) generation_.DeleteExpiry(batch.writes, edge.last, user);
  }
  for (const Edge& edge : after) {
    if (!missing(before, edge)) continue;
    generation_.PutExpiry(batch.writes, {.last = edge.last, .user = user, .user_id = user_id});
    next_expiry_us_ = std::min(next_expiry_us_, edge.last.time_us);
  }
}

bool Applier::IsLate(const Interaction& interaction, const Batch& batch) const {
  const auto is_before = [&](const std::optional<Tombstone>& tombstone) {
    return tombstone.has_value() && interaction.event_time_us <= tombstone->time_us;
  };
  const auto item = batch.item_tombstones.find(interaction.item_id);
  return is_before(batch.users.at(interaction.user_id).tombstone) ||
         (item != batch.item_tombstones.end() && is_before(item->second));
}

// Takes a late event out of the log again.
void Applier::RedactLate(Offset offset, const Interaction& interaction, Batch& batch) {
  batch.writes.PutLogEntry(offset, Redacted{.event_time_us = interaction.event_time_us});
  batch.writes.DeleteEventId(interaction.event_id);
}

// As recorded, or computed and then recorded.
MacroNode Applier::ClusterOfNewUser(Offset offset, const Interaction& interaction, ItemIndex item,
                                    Batch& batch) {
  const std::optional<AssignedCluster>& assigned = interaction.user_cluster;
  if (assigned.has_value() && assigned->clusters_of == state_.snapshot_digest) {
    return assigned->cluster;
  }
  const MacroNode cluster = options_.clustering.of_new_user(item);
  if (options_.records_clusters) {
    Interaction recorded = interaction;
    recorded.user_cluster = {.cluster = cluster, .clusters_of = state_.snapshot_digest};
    batch.writes.PutLogEntry(offset, recorded);
  }
  return cluster;
}

UserState& Applier::Create(const std::string& user_id, MacroNode cluster, TouchedUser& user) {
  user.state = UserState{.index = UserIndex{state_.user_count++}, .cluster = cluster, .edges = {}};
  user.is_new = true;
  ++state_.live_user_count;
  state_.digest.AddUser(user_id, cluster);
  return *user.state;
}

// What is left of it makes its user known, as it did when it was whole.
void Applier::ApplyRedacted(const Redacted& redacted, Batch& batch) {
  if (redacted.user_id.empty()) return;
  TouchedUser& touched = batch.users.at(redacted.user_id);
  const bool applies = !touched.state.has_value() && redacted.user_cluster.has_value() &&
                       redacted.user_cluster->clusters_of == state_.snapshot_digest;
  if (applies) Create(redacted.user_id, redacted.user_cluster->cluster, touched);
}

Applier::Outcome Applier::ApplyOne(Offset offset, const Interaction& interaction, Batch& batch) {
  TouchedUser& touched = batch.users.at(interaction.user_id);
  if (IsLate(interaction, batch)) {
    RedactLate(offset, interaction, batch);
    return Outcome::kForgotten;
  }
  const std::optional<ItemIndex> item = catalogue_.Find(interaction.item_id);
  if (!item.has_value()) return Outcome::kUnknownItem;
  if (interaction.event_time_us < WindowBegin(state_.newest_event_time_us)) {
    return Outcome::kOutsideWindow;
  }
  if (!touched.state.has_value() && interaction.weight < 0) return Outcome::kBelowZero;
  if (graph_.total_count() + interaction.weight > kTotalCountMax) return Outcome::kOverflow;
  UserState& user = touched.state.has_value()
                        ? *touched.state
                        : Create(interaction.user_id,
                                 ClusterOfNewUser(offset, interaction, *item, batch), touched);
  ApplyOutcome outcome = ApplyOutcome::kApplied;
  ChangeEdges(interaction.user_id, user, *item, batch, [&] {
    outcome = graph_.Apply(user, *item, interaction.weight,
                           {.time_us = interaction.event_time_us, .offset = offset}, detail_);
  });
  if (outcome == ApplyOutcome::kBelowZero) return Outcome::kBelowZero;
  if (outcome == ApplyOutcome::kOverflow) return Outcome::kOverflow;
  touched.changed = true;
  ApplyWindow(interaction.user_id, user, batch);
  return Outcome::kApplied;
}

// The windows by count: the oldest leave.
void Applier::ApplyWindow(const std::string& user_id, UserState& user, Batch& batch) {
  while (const std::optional<size_t> at = EdgeBeyond(user, window_.interactions)) {
    ChangeEdges(user_id, user, user.edges[*at].item, batch, [&] { graph_.RemoveEdge(user, *at); });
    ++batch.expired;
  }
  for (const ItemIndex item : ItemsBeyond(user, window_.items)) {
    ChangeEdges(user_id, user, item, batch, [&] { graph_.RemoveEdgesTo(user, item); });
    ++batch.expired;
  }
}

absl::Status Applier::Publish(Batch& batch, Offset applied, Part part) {
  state_.applied_offset = applied;
  // A checkpoint at `applied` does not know what is a part of the next entry.
  const Offset changed_at = part == Part::kWhole ? applied : applied + 1;
  for (auto& [user_id, touched] : batch.users) {
    if (!touched.changed && !touched.is_new) continue;
    touched.state->changed_at = changed_at;
    if (touched.is_new) {
      generation_.PutNewUser(batch.writes, user_id, *touched.state);
    } else {
      generation_.PutUser(batch.writes, user_id, *touched.state);
    }
  }
  generation_.PutState(batch.writes, state_);
  if (absl::Status s = CommitStubbornly(batch); !s.ok()) return s;
  if (part == Part::kWhole) {
    MutexLock lock(mutex_);
    progress_ = {.applied_offset = applied,
                 .live_user_count = state_.live_user_count,
                 .edge_count = state_.edge_count,
                 .newest_event_time_us = state_.newest_event_time_us,
                 .total_count = graph_.total_count(),
                 .digest = state_.digest};
  }
  applied_.store(applied, std::memory_order_release);
  NotifyWaiters();
  for (auto& [user_id, touched] : batch.users) {
    if (touched.state.has_value()) users_.Put(user_id, *std::move(touched.state));
  }
  if (options_.on_applied && !batch.results.empty()) options_.on_applied(batch.results);
  if (options_.on_expired && batch.expired > 0) options_.on_expired(batch.expired);
  return absl::OkStatus();
}

// The items in memory already contain the batch, so it is written until that works: giving up would
// let a later batch see users without it.
absl::Status Applier::CommitStubbornly(Batch& batch) {
  absl::Status status = store_.Commit(batch.writes, /*sync=*/false);
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
    if (status.ok()) status = store_.Commit(batch.writes, /*sync=*/false);
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
