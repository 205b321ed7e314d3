#include "server/serving/activation.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "scheduling/thread_scheduling.h"
#include "server/rpc/caught_status.h"
#include "server/rpc/status_details.h"
#include "server/serving/clustering.h"
#include "server/serving/load_state.h"
#include "server/serving/served_snapshots.h"

namespace groundswell {
namespace {

// How long one wait for the applier may last: it tells of what it reached at once.
constexpr std::chrono::hours kLookAgain{1};

void LogProgress(std::string_view step, uint64_t done, uint64_t total) {
  if (total > 0 && done < total) return;
  spdlog::info("activating: {} ({})", step, done);
}

// The live graph as it was at one offset, to be written again in the new snapshot's terms.
struct Source {
  Generation generation;
  GraphStore::Moment moment;
  GraphState state;
};

// Writes the users of `source` with the indices of the new snapshot.
class Translation {
 public:
  Translation(const CheckedSnapshot& checked, const Gone& gone, const Source& source,
              GenerationWriter& writer)
      : checked_(checked),
        gone_(gone),
        source_(source),
        writer_(writer),
        clustering_(ClusteringOf(checked.snapshot)) {}

  // The items of the live catalogue that the snapshot does not have come behind its own.
  absl::Status WriteItems() {
    const auto live = source_.generation.ReadItems();
    if (!live.ok()) return live.status();
    absl::flat_hash_map<std::string, StoredItem> upserted;
    for (const StoredItem& item : *live) {
      if (item.upserted && !item.removed) upserted.emplace(item.id, item);
    }
    if (absl::Status s = writer_.WriteItems(checked_.items, gone_, upserted); !s.ok()) return s;
    absl::flat_hash_map<std::string, ItemIndex> known;
    for (uint32_t i = 0; i < checked_.items.size(); ++i) {
      known.emplace(checked_.items[i].id, ItemIndex{i});
    }
    for (const StoredItem& item : *live) {
      const auto at = known.find(item.id);
      const bool is_gone = gone_.items.contains(HashId(item.id));
      // One that was removed since and created again is another item than the snapshot's: it comes
      // behind, with what was contributed to it alone.
      if (at != known.end() && (!is_gone || item.removed)) {
        new_index_.push_back(at->second);
        continue;
      }
      new_index_.push_back(ItemIndex{static_cast<uint32_t>(writer_.item_count())});
      StoredItem added = item;
      added.created = true;
      added.cluster = checked_.snapshot->ClusterOfNewItem({});
      if (absl::Status s = writer_.AddItem(added); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  absl::Status WriteUsers() {
    absl::flat_hash_map<std::string, uint32_t> trained;
    for (uint32_t u = 0; u < checked_.users.size(); ++u) trained.emplace(checked_.users[u], u);
    auto next = static_cast<uint32_t>(checked_.users.size());
    absl::Status written = source_.generation.ForEachUser(
        [&](std::string_view user_id, UserState user) -> absl::Status {
          const auto at = trained.find(std::string(user_id));
          const bool is_trained = at != trained.end();
          user.index = UserIndex{is_trained ? at->second : next++};
          Translate(user);
          user.cluster = is_trained ? checked_.snapshot->user_clusters()[at->second]
                                    : clustering_.of_known_user(user);
          if (is_trained) trained.erase(at);
          return writer_.AddUser(std::string(user_id), user, source_.state.window);
        },
        source_.moment);
    if (!written.ok()) return written;
    // Users of the snapshot whom the log does not know, in their order.
    std::vector<uint32_t> rest;
    for (const auto& [id, index] : trained) rest.push_back(index);
    std::sort(rest.begin(), rest.end());
    for (const uint32_t index : rest) {
      const std::string& id = checked_.users[index];
      if (gone_.users.contains(HashId(id))) continue;
      const UserState user{.index = UserIndex{index},
                           .cluster = checked_.snapshot->user_clusters()[index],
                           .changed_at = source_.state.applied_offset};
      if (absl::Status s = writer_.AddUser(id, user, source_.state.window); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

 private:
  void Translate(UserState& user) const {
    for (Edge& edge : user.edges) edge.item = new_index_[ToInt(edge.item)];
    std::sort(user.edges.begin(), user.edges.end(), [](const Edge& a, const Edge& b) {
      return a.item != b.item ? a.item < b.item : a.last < b.last;
    });
    for (HiddenItem& hidden : user.hidden) hidden.item = new_index_[ToInt(hidden.item)];
    std::sort(user.hidden.begin(), user.hidden.end(),
              [](const HiddenItem& a, const HiddenItem& b) { return a.item < b.item; });
    user.changed_at = source_.state.applied_offset;
  }

  const CheckedSnapshot& checked_;
  const Gone& gone_;
  const Source& source_;
  GenerationWriter& writer_;
  const Applier::Clustering clustering_;
  std::vector<ItemIndex> new_index_;  // by live index
};

// What became of the record of an activation under `event_id`. Under an id that the log has nothing
// is appended, so that no applier would ever reach it.
absl::Status LoggedAs(const Appended& appended, const std::string& event_id) {
  switch (appended.outcome) {
    case Appended::Outcome::kAppended:
      return absl::OkStatus();
    case Appended::Outcome::kConflict:
      return EventIdReused("request_id", event_id, appended.offset);
    case Appended::Outcome::kDuplicate:
    case Appended::Outcome::kEtagMismatch:
      break;
  }
  return WithReason(
      absl::AlreadyExistsError(fmt::format(
          "request_id is {}: an activation of this snapshot was logged under this id, at offset "
          "{}; nothing was done. Give every activation an id of its own",
          QuoteValue(event_id), appended.offset)),
      "EVENT_ID_REUSED", {{"offset", std::to_string(appended.offset)}});
}

// Logs the activation, and waits until exactly the entries up to it are applied.
absl::StatusOr<Source> TakeSource(const std::string& digest, const std::string& event_id,
                                  const ActivationContext& context, const ServingState& serving,
                                  const std::stop_token& stop) {
  // Before it is logged: the applier may be there before the append is answered.
  context.point.Expect(digest);
  std::promise<absl::Status> logged;
  AppendRequest request;
  request.entries.emplace_back(ActivateSnapshot{.event_id = event_id, .snapshot_digest = digest});
  absl::Status queued =
      context.log.Append(std::move(request), [&](const absl::StatusOr<AppendResult>& result) {
        logged.set_value(result.ok() ? LoggedAs(result->entries[0], event_id)
                                     : LogError(result.status()));
      });
  absl::Status status = queued.ok() ? logged.get_future().get() : LogError(queued);
  if (!status.ok()) return status;
  GraphStore::Moment moment = context.point.Await(stop);
  if (moment == nullptr) return absl::CancelledError("the activation was cancelled");
  const absl::StatusOr<GraphState> state = serving.generation.ReadState(moment);
  if (!state.ok()) return state.status();
  return Source{.generation = serving.generation, .moment = std::move(moment), .state = *state};
}

absl::Status WriteGeneration(const CheckedSnapshot& checked, const Source& source,
                             const Generation& generation, const ActivationContext& context,
                             const std::stop_token& stop) {
  const auto base = static_cast<Offset>(checked.snapshot->manifest().graph_offset);
  const absl::StatusOr<Gone> gone = GoneSince(context.store, base);
  if (!gone.ok()) return gone.status();
  const StagingProgress progress = LogProgress;
  const std::function<bool()> cancelled = [&] { return stop.stop_requested(); };
  GenerationWriter writer(context.store, generation, progress, cancelled);
  Translation translation(checked, *gone, source, writer);
  if (absl::Status s = writer.WriteFiles(checked.files); !s.ok()) return s;
  if (absl::Status s = translation.WriteItems(); !s.ok()) return s;
  if (absl::Status s = translation.WriteUsers(); !s.ok()) return s;
  return writer.Finish({.snapshot_digest = checked.snapshot->digest(),
                        .base_offset = source.state.applied_offset,
                        .applied_offset = source.state.applied_offset,
                        .user_count = static_cast<uint32_t>(checked.users.size()),
                        .newest_event_time_us = source.state.newest_event_time_us,
                        .least_delay_us = source.state.least_delay_us,
                        .window = source.state.window},
                       /*serves=*/false);
}

// False when it is to stop first.
bool AwaitApplied(Applier& applier, Offset offset, const std::stop_token& stop) {
  // The applier may tell of it when this function has returned.
  struct End {
    Mutex mutex;
    CondVar changed;
    bool is_there ABSL_GUARDED_BY(mutex) = false;
    void Tell() {
      {
        const MutexLock lock(mutex);
        is_there = true;
      }
      changed.NotifyAll();
    }
  };
  const auto end = std::make_shared<End>();
  const std::stop_callback stopped(stop, [&end] { end->Tell(); });
  applier.WhenApplied(offset, std::chrono::steady_clock::now() + kLookAgain,
                      [end](bool) { end->Tell(); });
  const MutexLock lock(end->mutex);
  while (!end->is_there) end->changed.Wait(end->mutex);
  return !stop.stop_requested();
}

// Puts `state` in the place of the one that serves, once no request would see an older graph.
absl::Status SwapIn(std::unique_ptr<ServingState> state, const std::string& directory,
                    const ActivationContext& context, const std::stop_token& stop) {
  while (true) {
    const Offset seen = context.serving.Get()->applier->applied_offset();
    if (state->applier->applied_offset() >= seen) break;
    if (!AwaitApplied(*state->applier, seen, stop)) {
      return absl::CancelledError("the activation was cancelled");
    }
  }
  // On disk first: after a crash in between the new one serves, and its graph is whole.
  auto served_before = ReadServedSnapshots(context.store);
  if (!served_before.ok()) return served_before.status();
  GraphStore::Batch batch(context.store);
  state->generation.PutCurrent(batch);
  PutServedSnapshot({.digest = state->snapshot->digest(),
                     .version = state->snapshot->manifest().FullVersion(),
                     .directory = directory,
                     .activate_time_us = context.now_us()},
                    *std::move(served_before), batch);
  if (absl::Status s = context.store.Commit(batch, /*sync=*/true); !s.ok()) return s;
  const uint32_t number = state->generation.number();
  auto retired = context.serving.Exchange(std::move(state));
  context.on_served(*context.serving.Get());
  // Requests that began before the swap end with the old state.
  retired.get().reset();
  return Generation(context.store, number).KeepOnlyThis();
}

}  // namespace

void ActivationPoint::Expect(const std::string& snapshot_digest) {
  MutexLock lock(mutex_);
  expected_ = snapshot_digest;
  moment_.reset();
}

void ActivationPoint::Reached(const ActivateSnapshot& activation, const GraphStore& store) {
  {
    MutexLock lock(mutex_);
    if (activation.snapshot_digest != expected_) return;
    expected_.clear();
    moment_ = store.Now();
  }
  changed_.NotifyAll();
}

GraphStore::Moment ActivationPoint::Await(const std::stop_token& stop) {
  const std::stop_callback stopped(stop, [this] {
    { const MutexLock lock(mutex_); }  // who awaits has seen the token, or waits to be woken
    changed_.NotifyAll();
  });
  MutexLock lock(mutex_);
  while (moment_ == nullptr && !stop.stop_requested()) changed_.Wait(mutex_);
  expected_.clear();
  return std::exchange(moment_, nullptr);
}

absl::StatusOr<CheckedSnapshot> CheckToActivate(const std::string& directory,
                                                const GraphStore& store, bool without_snapshot) {
  absl::StatusOr<CheckedSnapshot> checked = CheckSnapshot(directory);
  if (!checked.ok()) return checked;
  const auto base = static_cast<Offset>(checked->snapshot->manifest().graph_offset);
  const absl::StatusOr<Offset> last = store.LastLogOffset();
  if (!last.ok()) return last.status();
  // 0: nothing was logged, nothing removed.
  if (base <= *last || (*last == 0 && !without_snapshot)) return checked;
  if (without_snapshot) {
    return absl::FailedPreconditionError(fmt::format(
        "manifest.json: graph_offset is {}: must be at most {}, where this server's log ends. "
        "Ingest what the snapshot was trained on first; or stop the server and import the snapshot "
        "into a new directory (groundswell-server import)",
        base, *last));
  }
  return absl::FailedPreconditionError(fmt::format(
      "manifest.json: graph_offset is {}: must be at most {}, where this server's log ends. Users "
      "and items that were removed would come back: train on this log (groundswell log)",
      base, *last));
}

absl::StatusOr<std::shared_ptr<ServingState>> ActivateSnapshotFrom(const Activated& activated,
                                                                   const std::string& event_id,
                                                                   const ActivationContext& context,
                                                                   const std::stop_token& stop) {
  absl::StatusOr<CheckedSnapshot> checked = absl::UnknownError("not checked");
  RunAtLowestPriority([&] {
    checked = CheckToActivate(activated.directory, context.store,
                              context.serving.Get()->snapshot->is_empty());
  });
  if (!checked.ok()) return checked.status();
  if (!activated.digest.empty() && checked->snapshot->digest() != activated.digest) {
    return absl::FailedPreconditionError(fmt::format("\"{}\" holds another snapshot by now, {}",
                                                     activated.directory,
                                                     checked->snapshot->manifest().FullVersion()));
  }
  std::shared_ptr<ServingState> serving = context.serving.Get();
  if (serving->snapshot->digest() == checked->snapshot->digest()) {
    return absl::AlreadyExistsError("this snapshot serves already");
  }
  const std::string version = checked->snapshot->manifest().FullVersion();
  spdlog::info("activating {}", version);
  absl::StatusOr<Source> source =
      TakeSource(checked->snapshot->digest(), event_id, context, *serving, stop);
  if (!source.ok()) return source.status();
  const Generation generation(context.store, serving->generation.number() + 1);
  const uint32_t serving_number = serving->generation.number();
  serving.reset();
  std::unique_ptr<ServingState> state;
  // What it throws is an error as others are: what was written by then is cleared up.
  absl::Status status = CaughtStatus([&] {
    absl::Status built;
    RunAtLowestPriority([&] {
      built = WriteGeneration(*checked, *source, generation, context, stop);
      source->moment.reset();
      if (!built.ok()) return;
      LoadOptions load = context.load;
      load.cancelled = [&] { return stop.stop_requested(); };
      auto loaded = LoadServingState(generation, load, LogProgress);
      built = loaded.status();
      if (loaded.ok()) state = *std::move(loaded);
    });
    return built.ok() ? context.start(*state, [&] { return stop.stop_requested(); }) : built;
  });
  if (status.ok()) status = SwapIn(std::move(state), activated.directory, context, stop);
  if (status.ok()) {
    spdlog::info("{} serves", version);
    return context.serving.Get();
  }
  // It serves; only the clearing up failed.
  if (context.serving.Get()->generation.number() == generation.number()) return status;
  state.reset();
  Generation(context.store, serving_number)
      .KeepOnlyThis()
      .IgnoreError();  // done again at the next start
  return status;
}

}  // namespace groundswell
