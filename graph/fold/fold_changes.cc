// The entries of the log that are no interactions: forgetting, removing, creating, activating,
// resetting.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/fold/fold.h"

namespace groundswell {

absl::Status Fold::FoldChange(Offset offset, const ForgetUser& forget, Batch& batch) {
  const auto earlier = store_.FindTombstone(Tombstone::Kind::kUser, forget.user_hash);
  if (!earlier.ok()) return earlier.status();
  Tombstone tombstone{.offset = offset, .time_us = forget.time_us};
  if (!forget.user_id.empty()) {
    const absl::StatusOr<TouchedUser*> touched = Touch(forget.user_id, batch);
    if (!touched.ok()) return touched.status();
    if ((*touched)->state.has_value()) {
      tombstone.removed = RemoveUser(forget.user_id, *(*touched)->state, batch);
    }
  }
  batch.users_.clear();  // deleted, not written
  PutTombstone(Tombstone::Kind::kUser, forget.user_hash, *earlier, tombstone, batch);
  return absl::OkStatus();
}

// As a whole, not edge by edge: what a user contributes is a function of his edges alone.
Removed Fold::RemoveUser(const std::string& user_id, const UserState& user, Batch& batch) {
  Removed removed{.users = 1, .edges = static_cast<int64_t>(user.item_count())};
  graph_.RemoveUser(user);
  state_.digest.RemoveUser(user_id, user.cluster);
  for (const Edge& edge : user.edges) {
    state_.digest.RemoveEdges(user_id, catalogue_.Id(edge.item), {&edge, 1});
    generation_.DeleteExpiry(batch.writes, edge.last, user.index);
    removed.weight += edge.count;
  }
  ForEachItem(user, [&](ItemIndex item, std::span<const Edge> edges) {
    Tell({.user = user.index,
          .item = item,
          .cluster_before = user.cluster,
          .cluster_after = user.cluster,
          .before = edges,
          .after = {},
          .of_user = {}});
  });
  state_.edge_count -= removed.edges;
  --state_.live_user_count;
  generation_.DeleteUser(batch.writes, user_id, user.index);
  return removed;
}

// The receipt. Another generation may have written it already, or the log may be folded again after
// it was redacted: then nothing is left to remove, and the receipt stays.
void Fold::PutTombstone(Tombstone::Kind kind, const IdHash& hash,
                        const std::optional<Tombstone>& earlier, Tombstone tombstone,
                        Batch& batch) {
  const Offset offset = tombstone.offset;
  if (!earlier.has_value() || earlier->offset < offset) {
    tombstone.digest = state_.digest;
    tombstone.newest_event_time_us = state_.newest_event_time_us;
    // A clock that was put back in between must not let in what was late before.
    tombstone.time_us = std::max(tombstone.time_us, earlier.value_or(Tombstone{}).time_us);
    batch.writes.PutTombstone(kind, hash, tombstone);
    if (!earlier.has_value()) ++tombstone_count_;
  }
  Finish(batch, offset);
}

// A log that is folded again after it was redacted has only the hash; the snapshot still knows the
// item.
std::optional<ItemIndex> Fold::FindItem(const RemoveItem& removal) const {
  if (!removal.item_id.empty()) return catalogue_.Find(removal.item_id);
  if (removed_item_.has_value()) return removed_item_;  // hashing all ids once is enough
  for (uint32_t index = 0; index < catalogue_.size(); ++index) {
    const ItemIndex item{index};
    if (!catalogue_.IsRemoved(item) && HashId(catalogue_.Id(item)) == removal.item_hash) {
      return item;
    }
  }
  return std::nullopt;
}

// In parts, batches of users, so that a popular item does not make one huge batch, and the item
// itself last. `state_.removing` sums up what they took out, also across a restart.
absl::Status Fold::FoldChange(Offset offset, const RemoveItem& removal, Batch& batch) {
  const std::optional<ItemIndex> item = FindItem(removal);
  if (item.has_value()) {
    std::vector<UserIndex> users;
    // Always from the front: the users of the parts before are gone from there, so that no position
    // has to be kept, also not across a restart.
    graph_.ReadNewestUsers(*item, options_.batch_max, users);
    removed_item_ = item;
    if (!users.empty()) return RemoveUsersOf(*item, users, batch);
  }
  const auto earlier = store_.FindTombstone(Tombstone::Kind::kItem, removal.item_hash);
  if (!earlier.ok()) return earlier.status();
  if (item.has_value()) RetireItem(*item, batch);
  Tombstone tombstone{
      .offset = offset, .time_us = removal.time_us, .removed = std::exchange(state_.removing, {})};
  PutTombstone(Tombstone::Kind::kItem, removal.item_hash, *earlier, tombstone, batch);
  return absl::OkStatus();
}

// The users' edges to the item leave.
absl::Status Fold::RemoveUsersOf(ItemIndex item, std::span<const UserIndex> users, Batch& batch) {
  for (const UserIndex index : users) {
    const absl::StatusOr<std::string> user_id = generation_.ReadUserId(index);
    if (!user_id.ok()) return user_id.status();
    const absl::StatusOr<TouchedUser*> touched = Touch(*user_id, batch);
    if (!touched.ok()) return touched.status();
    if (!(*touched)->state.has_value()) {
      return absl::DataLossError(fmt::format("the user {} has no record", ToInt(index)));
    }
  }
  for (auto& [user_id, touched] : batch.users_) {
    UserState& user = *touched.state;
    for (const Edge& edge : user.EdgesTo(item)) state_.removing.weight += edge.count;
    ++state_.removing.edges;
    ++state_.removing.users;
    ChangeEdges(user_id, user, item, batch, [&] { graph_.RemoveEdgesTo(user, item); });
    touched.changed = true;
  }
  Finish(batch, state_.applied_offset, Part::kOfNext);
  return absl::OkStatus();
}

// Its index stays taken: what points to it may live for a while yet.
void Fold::RetireItem(ItemIndex item, Batch& batch) {
  removed_item_.reset();
  const bool created = IsCreated(item);
  generation_.PutItem(batch.writes, item,
                      {.id = std::string(catalogue_.Id(item)),
                       .title = {},
                       .category = {},
                       .created = created,
                       .cluster = graph_.ClusterOf(item),
                       .removed = true});
  if (created) state_.digest.RemoveItem(catalogue_.Id(item), graph_.ClusterOf(item));
  catalogue_.Remove(item);
  if (options_.on_removed) options_.on_removed(item);
}

absl::Status Fold::FoldChange(Offset offset, const UpsertItem& item, Batch& batch) {
  std::optional<ItemIndex> index = catalogue_.Find(item.item_id);
  std::optional<uint32_t> category_before;
  if (index.has_value()) {
    category_before = catalogue_.CategoryNumber(*index);
    if (absl::Status s = UpdateItem(*index, item, batch); !s.ok()) return s;
  } else {
    if (absl::Status s = CheckRoomForItem(); !s.ok()) return s;
    index = CreateItem(item, /*upserted=*/true, batch);
  }
  catalogue_.SetAvailability(*index, item.availability);
  if (options_.on_upserted) options_.on_upserted(*index, item, category_before);
  Finish(batch, offset);
  return absl::OkStatus();
}

absl::Status Fold::CheckRoomForItem() const {
  if (catalogue_.size() < catalogue_.capacity()) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      fmt::format("the catalogue is full with {} items; raise graph.new_items_max and restart",
                  catalogue_.size()));
}

ItemIndex Fold::CreateItemOf(const std::string& item_id, Batch& batch) {
  const UpsertItem item{.item_id = item_id};
  const ItemIndex index = CreateItem(item, /*upserted=*/false, batch);
  if (options_.on_upserted) options_.on_upserted(index, item, std::nullopt);
  return index;
}

ItemIndex Fold::CreateItem(const UpsertItem& item, bool upserted, Batch& batch) {
  const Cluster cluster = item.clusters_of == state_.snapshot_digest
                              ? item.cluster
                              : options_.clustering.of_new_item(item);
  const ItemIndex index{static_cast<uint32_t>(catalogue_.size())};
  generation_.PutItem(batch.writes, index,
                      {.id = item.item_id,
                       .title = item.title,
                       .category = item.category,
                       .created = true,
                       .cluster = cluster,
                       .embedding = item.embedding,
                       .clusters_of = item.clusters_of,
                       .upserted = upserted,
                       .availability = item.availability});
  graph_.AddItem(cluster);
  catalogue_.Add(item.item_id, item.title, item.category);
  state_.digest.AddItem(item.item_id, cluster);
  return index;
}

absl::Status Fold::UpdateItem(ItemIndex index, const UpsertItem& item, Batch& batch) {
  absl::StatusOr<StoredItem> stored = generation_.ReadItem(index);
  if (!stored.ok()) return stored.status();
  stored->title = item.title;
  stored->category = item.category;
  stored->upserted = true;
  stored->availability = item.availability;
  if (!item.embedding.empty()) {
    stored->embedding = item.embedding;
    stored->clusters_of = item.clusters_of;
  }
  generation_.PutItem(batch.writes, index, *stored);
  catalogue_.Update(index, item.title, item.category);
  return absl::OkStatus();
}

// Of another snapshot, the caller is told: it is made from the graph as it is at this offset.
absl::Status Fold::FoldChange(Offset offset, const ActivateSnapshot& activation, Batch& batch) {
  if (activation.snapshot_digest == state_.snapshot_digest) {
    if (absl::Status s = ClusterUsersAnew(batch); !s.ok()) return s;
    if (options_.learning.begin_anew) options_.learning.begin_anew();
  } else {
    batch.activation = &activation;
  }
  Finish(batch, offset);
  return absl::OkStatus();
}

absl::Status Fold::FoldChange(Offset offset, const ResetBlend&, Batch& batch) {
  if (options_.learning.begin_anew) options_.learning.begin_anew();
  Finish(batch, offset);
  return absl::OkStatus();
}

// They held when the log took it.
absl::Status Fold::FoldChange(Offset offset, const SetListRules&, Batch& batch) {
  Finish(batch, offset);
  return absl::OkStatus();
}

// As the activation of this snapshot did, with the graph as it was at the same offset.
absl::Status Fold::ClusterUsersAnew(Batch& batch) {
  std::vector<std::string> moving;
  absl::Status read =
      generation_.ForEachUser([&](std::string_view user_id, const UserState& user) -> absl::Status {
        const bool moves = ToInt(user.index) >= options_.clustering.trained_users &&
                           options_.clustering.of_known_user(user) != user.cluster;
        if (moves) moving.emplace_back(user_id);
        return absl::OkStatus();
      });
  if (!read.ok()) return read;
  for (const std::string& user_id : moving) {
    const absl::StatusOr<TouchedUser*> touched = Touch(user_id, batch);
    if (!touched.ok()) return touched.status();
  }
  for (auto& [user_id, touched] : batch.users_) {
    UserState& user = *touched.state;
    const Cluster before = user.cluster;
    // The rows of the user's items count it under its cluster: out under the old one, in under the
    // new.
    graph_.RemoveUser(user);
    state_.digest.RemoveUser(user_id, before);
    user.cluster = options_.clustering.of_known_user(user);
    state_.digest.AddUser(user_id, user.cluster);
    graph_.AddUser(user);
    ForEachItem(user, [&](ItemIndex item, std::span<const Edge> edges) {
      Tell({.user = user.index,
            .item = item,
            .cluster_before = before,
            .cluster_after = user.cluster,
            .before = edges,
            .after = edges,
            .of_user = user.edges});
    });
    touched.changed = true;
  }
  return absl::OkStatus();
}

}  // namespace groundswell
