#include "graph/upkeep/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "graph/mutex.h"

namespace groundswell {
namespace {

constexpr uint64_t kUsersPerProgress = 1'000;
constexpr std::chrono::milliseconds kTellInterval{200};

absl::Status CheckFits(std::string_view user_id, const UserState& user, const MacroGraph& graph) {
  const bool fits = user.cluster < graph.items().shape().user_clusters &&
                    (user.edges.empty() || ToInt(user.edges.back().item) < graph.item_count());
  if (fits) return absl::OkStatus();
  return absl::DataLossError(
      fmt::format("the record of user \"{}\" does not fit the snapshot", user_id));
}

absl::Status CheckFits(const ItemShard& shard, const CheckpointInfo& info,
                       const MacroGraph& graph) {
  const uint64_t begin = uint64_t{shard.number} * kItemsPerShard;
  const uint64_t items = std::min<uint64_t>(kItemsPerShard, info.items - begin);
  const uint64_t width = uint64_t{info.user_clusters} + info.item_clusters;
  const bool in_order = std::is_sorted(shard.edges.begin(), shard.edges.end()) &&
                        (shard.edges.empty() || ToInt(shard.edges.back().item) < begin + items);
  if (shard.counts.size() == items * width && in_order && info.items <= graph.item_count()) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      fmt::format("shard {} of the checkpoint does not fit the snapshot", shard.number));
}

// What is told, and asked, once in so many users.
struct LoadWatch {
  absl::Status Look(std::string_view what, uint64_t users) const {
    if (users % kUsersPerProgress != 0) return absl::OkStatus();
    progress(what, users, 0);
    if (cancelled && cancelled()) return absl::CancelledError("the loading was cancelled");
    return absl::OkStatus();
  }

  const LoadProgress& progress;
  const std::function<bool()>& cancelled;
};

absl::StatusOr<uint64_t> LoadUsers(const Generation& generation, MacroGraph& graph,
                                   const LoadWatch& watch) {
  uint64_t users = 0;
  absl::Status loaded =
      generation.ForEachUser([&](std::string_view user_id, const UserState& user) -> absl::Status {
        if (absl::Status s = CheckFits(user_id, user, graph); !s.ok()) return s;
        graph.LoadUser(user);
        return watch.Look("users", ++users);
      });
  if (!loaded.ok()) return loaded;
  graph.FinishLoading();
  watch.progress("users", users, users);
  return users;
}

// Takes out what the users that changed since contributed to the checkpoint, and puts in what they
// contribute now.
absl::StatusOr<uint64_t> SettleUsers(const Generation& generation, Offset checkpoint,
                                     MacroGraph& graph, const LoadWatch& watch) {
  uint64_t users = 0;
  absl::Status settled = generation.ForEachUserBefore(
      checkpoint,
      [&](std::string_view user_id, const std::optional<UserState>& before) -> absl::Status {
        if (before.has_value()) {
          if (absl::Status s = CheckFits(user_id, *before, graph); !s.ok()) return s;
          graph.RemoveUser(*before);
        }
        const absl::StatusOr<std::optional<UserState>> now = generation.ReadUser(user_id);
        if (!now.ok()) return now.status();
        if (now->has_value()) {
          if (absl::Status s = CheckFits(user_id, **now, graph); !s.ok()) return s;
          graph.AddUser(**now);
        }
        return watch.Look("users behind the checkpoint", ++users);
      });
  if (!settled.ok()) return settled;
  watch.progress("users behind the checkpoint", users, users);
  return users;
}

// Where the shards of one checkpoint go; from the applier's and from the writing thread.
class ShardWriter {
 public:
  ShardWriter(GraphStore& store, const Generation& generation)
      : store_(store), generation_(generation) {}

  void Write(Offset checkpoint, const ItemShard& shard) {
    GraphStore::Batch batch(store_);
    const size_t bytes = generation_.PutCheckpointShard(batch, checkpoint, shard);
    absl::Status committed = store_.Commit(batch, /*sync=*/false);
    MutexLock lock(mutex_);
    bytes_ += bytes;
    status_.Update(committed);
  }

  absl::Status status() const {
    MutexLock lock(mutex_);
    return status_;
  }
  uint64_t bytes() const {
    MutexLock lock(mutex_);
    return bytes_;
  }

 private:
  GraphStore& store_;
  const Generation generation_;
  mutable Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

// From here on it is the complete one, whatever fails.
absl::Status PutComplete(GraphStore& store, const Generation& generation,
                         const CheckpointInfo& info) {
  GraphStore::Batch batch(store);
  generation.PutCheckpoint(batch, info);
  return store.Commit(batch, /*sync=*/true);
}

// The applier, too, must take it for the complete one, or it would stop to keep users for it. While
// the disk refuses it has no batch edge.
absl::Status TellApplier(Applier& applier, const std::function<bool()>& keep_going) {
  absl::Status told = applier.RunAtBatchEdge([&] { applier.EndCheckpoint(true); });
  while (!told.ok() && keep_going()) {
    std::this_thread::sleep_for(kTellInterval);
    told = applier.RunAtBatchEdge([&] { applier.EndCheckpoint(true); });
  }
  return told;
}

}  // namespace

absl::StatusOr<LoadedItemSide> LoadItemSide(const Generation& generation, LoadFrom from,
                                            MacroGraph& graph, const LoadProgress& progress,
                                            const std::function<bool()>& cancelled) {
  const LoadWatch watch{.progress = progress, .cancelled = cancelled};
  auto checkpoint = generation.ReadCheckpoint();
  if (!checkpoint.ok()) return checkpoint.status();
  LoadedItemSide loaded;
  if (from == LoadFrom::kUsers || !checkpoint->has_value()) {
    const absl::StatusOr<uint64_t> users = LoadUsers(generation, graph, watch);
    if (!users.ok()) return users.status();
    loaded.users = *users;
    return loaded;
  }
  const CheckpointInfo& info = **checkpoint;
  const MacroShape& shape = graph.items().shape();
  if (info.user_clusters != shape.user_clusters || info.item_clusters != shape.item_clusters) {
    return absl::DataLossError("the checkpoint has other clusters than the snapshot");
  }
  for (uint32_t number = 0; number < info.shards; ++number) {
    const absl::StatusOr<ItemShard> shard = generation.ReadCheckpointShard(info.offset, number);
    if (!shard.ok()) return shard.status();
    if (absl::Status s = CheckFits(*shard, info, graph); !s.ok()) return s;
    graph.LoadShard(*shard);
    progress("checkpoint", number + 1, info.shards);
  }
  graph.FinishLoading();
  const absl::StatusOr<uint64_t> users = SettleUsers(generation, info.offset, graph, watch);
  if (!users.ok()) return users.status();
  loaded.checkpoint = info;
  loaded.users = *users;
  return loaded;
}

absl::StatusOr<CheckpointInfo> WriteCheckpoint(GraphStore& store, const Generation& generation,
                                               Applier& applier, const MacroGraph& graph,
                                               int64_t now_us,
                                               const std::function<bool()>& keep_going) {
  const auto complete = generation.ReadCheckpoint();
  if (!complete.ok()) return complete.status();
  const Offset complete_offset = complete->has_value() ? (*complete)->offset : -1;
  CheckpointInfo info{.user_clusters = graph.items().shape().user_clusters,
                      .item_clusters = graph.items().shape().item_clusters,
                      .create_time_us = now_us};
  // The applier may hold the capture for a moment longer than this function lasts.
  auto writer = std::make_shared<ShardWriter>(store, generation);
  std::shared_ptr<ShardCapture> capture;
  absl::Status begun = applier.RunAtBatchEdge([&] {
    info.offset = applier.applied_offset();
    info.items = graph.item_count();
    if (info.offset == complete_offset) return;
    capture = applier.BeginCheckpoint(
        [writer, offset = info.offset](const ItemShard& shard) { writer->Write(offset, shard); });
  });
  if (!begun.ok()) return begun;
  if (capture == nullptr) return **complete;
  info.shards = static_cast<uint32_t>((info.items + kItemsPerShard - 1) / kItemsPerShard);

  bool cancelled = false;
  capture->CaptureRest([&] {
    cancelled = cancelled || !keep_going();
    return !cancelled && writer->status().ok();
  });
  // A shard that the applier was about to write is written at the next edge.
  absl::Status status = applier.RunAtBatchEdge([] {});
  if (status.ok()) status = writer->status();
  if (status.ok() && cancelled) status = absl::CancelledError("the checkpoint was cancelled");
  info.bytes = writer->bytes();
  if (status.ok()) status = PutComplete(store, generation, info);
  if (status.ok()) {
    if (absl::Status s = TellApplier(applier, keep_going); !s.ok()) return s;
    // What is left of others is deleted at the next start, or with the next one.
    generation.KeepOnlyCheckpoint(info.offset).IgnoreError();
    return info;
  }
  applier.RunAtBatchEdge([&] { applier.EndCheckpoint(false); }).IgnoreError();  // it is stopping
  generation.KeepOnlyCheckpoint(complete_offset).IgnoreError();  // done again at the next start
  return status;
}

}  // namespace groundswell
