// The entries of the log that are no interactions: forgetting, removing, creating, activating.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/fold/applier.h"

namespace groundswell {

absl::Status Applier::ApplyChange(Offset offset, const ForgetUser& forget) {
  Batch batch(store_);
  Tombstone tombstone{.offset = offset, .time_us = forget.time_us};
  if (!forget.user_id.empty()) {
    const absl::StatusOr<TouchedUser*> touched = Touch(forget.user_id, batch);
    if (!touched.ok()) return touched.status();
    if ((*touched)->state.has_value()) {
      const UserState& user = *(*touched)->state;
      graph_.RemoveUser(user);
      state_.digest.RemoveUser(forget.user_id, user.cluster);
      for (size_t at = 0; at < user.edges.size(); ++at) {
        const Edge& edge = user.edges[at];
        state_.digest.RemoveEdges(forget.user_id, catalogue_.Id(edge.item), {&edge, 1});
        generation_.DeleteExpiry(batch.writes, edge.last, user.index);
        tombstone.removed.weight += edge.count;
      }
      ForEachItem(user, [&](ItemIndex item, std::span<const Edge> edges) {
        Tell({.user = user.index,
              .item = item,
              .cluster_before = user.cluster,
              .cluster_after = user.cluster,
              .before = edges,
              .after = {}});
      });
      tombstone.removed.users = 1;
      tombstone.removed.edges = static_cast<int64_t>(user.item_count());
      state_.edge_count -= tombstone.removed.edges;
      --state_.live_user_count;
      generation_.DeleteUser(batch.writes, forget.user_id, user.index);
    }
  }
  batch.users.clear();  // deleted, not written
  return PutTombstone(Tombstone::Kind::kUser, forget.user_hash, std::move(tombstone), batch);
}

// The receipt. Another generation may have written it already, or the log may be applied again
// after it was redacted: then nothing is left to remove, and the receipt stays.
absl::Status Applier::PutTombstone(Tombstone::Kind kind, const IdHash& hash, Tombstone tombstone,
                                   Batch& batch) {
  const auto earlier = store_.FindTombstone(kind, hash);
  if (!earlier.ok()) return earlier.status();
  const Offset offset = tombstone.offset;
  if (!earlier->has_value() || (*earlier)->offset < offset) {
    tombstone.digest = state_.digest;
    tombstone.time_us = std::max(tombstone.time_us, earlier->value_or(Tombstone{}).time_us);
    batch.writes.PutTombstone(kind, hash, tombstone);
    if (!earlier->has_value()) ++tombstone_count_;
  }
  return Publish(batch, offset);
}

// For a log that is applied again after it was redacted: the snapshot still knows the item.
std::optional<ItemIndex> Applier::FindItem(const IdHash& hash) const {
  for (uint32_t index = 0; index < catalogue_.size(); ++index) {
    const ItemIndex item{index};
    if (!catalogue_.IsRemoved(item) && HashId(catalogue_.Id(item)) == hash) return item;
  }
  return std::nullopt;
}

// In batches of users; `state_.removing` sums up what they took out, also across a restart.
absl::Status Applier::ApplyChange(Offset offset, const RemoveItem& removal) {
  const std::optional<ItemIndex> item =
      removal.item_id.empty() ? FindItem(removal.item_hash) : catalogue_.Find(removal.item_id);
  while (item.has_value()) {
    const std::vector<UserIndex> users = graph_.UsersOf(*item, options_.batch_max);
    if (users.empty()) break;
    Batch batch(store_);
    for (const UserIndex index : users) {
      const absl::StatusOr<std::string> user_id = generation_.ReadUserId(index);
      if (!user_id.ok()) return user_id.status();
      const absl::StatusOr<TouchedUser*> touched = Touch(*user_id, batch);
      if (!touched.ok()) return touched.status();
      if (!(*touched)->state.has_value()) {
        return absl::DataLossError(fmt::format("the user {} has no record", ToInt(index)));
      }
    }
    for (auto& [user_id, touched] : batch.users) {
      UserState& user = *touched.state;
      for (const Edge& edge : user.EdgesTo(*item)) state_.removing.weight += edge.count;
      ++state_.removing.edges;
      ++state_.removing.users;
      ChangeEdges(user_id, user, *item, batch, [&] { graph_.RemoveEdgesTo(user, *item); });
      touched.changed = true;
    }
    if (absl::Status s = Publish(batch, applied_offset(), Part::kOfNext); !s.ok()) return s;
  }
  Batch batch(store_);
  if (item.has_value()) {
    const bool created = IsCreated(*item);
    generation_.PutItem(batch.writes, *item,
                        {.id = std::string(catalogue_.Id(*item)),
                         .title = {},
                         .category = {},
                         .created = created,
                         .cluster = graph_.ClusterOf(*item),
                         .removed = true});
    if (created) state_.digest.RemoveItem(catalogue_.Id(*item), graph_.ClusterOf(*item));
    catalogue_.Remove(*item);
    if (options_.on_removed) options_.on_removed(*item);
  }
  Tombstone tombstone{
      .offset = offset, .time_us = removal.time_us, .removed = std::exchange(state_.removing, {})};
  return PutTombstone(Tombstone::Kind::kItem, removal.item_hash, std::move(tombstone), batch);
}

absl::Status Applier::ApplyChange(Offset offset, const UpsertItem& item) {
  Batch batch(store_);
  std::optional<ItemIndex> index = catalogue_.Find(item.item_id);
  std::optional<uint32_t> category_before;
  if (index.has_value()) {
    category_before = catalogue_.CategoryNumber(*index);
    if (absl::Status s = UpdateItem(*index, item, batch); !s.ok()) return s;
  } else {
    const absl::StatusOr<ItemIndex> created = CreateItem(item, batch);
    if (!created.ok()) return created.status();
    index = *created;
  }
  catalogue_.SetAvailability(*index, item.availability);
  if (options_.on_upserted) options_.on_upserted(*index, item, category_before);
  return Publish(batch, offset);
}

absl::StatusOr<ItemIndex> Applier::CreateItem(const UpsertItem& item, Batch& batch) {
  if (catalogue_.size() == catalogue_.capacity()) {
    return absl::ResourceExhaustedError(
        fmt::format("the catalogue is full with {} items; raise graph.new_items_max and restart",
                    catalogue_.size()));
  }
  const MacroNode cluster = item.clusters_of == state_.snapshot_digest
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
                       .upserted = true,
                       .availability = item.availability});
  graph_.AddItem(cluster);
  catalogue_.Add(item.item_id, item.title, item.category);
  state_.digest.AddItem(item.item_id, cluster);
  return index;
}

absl::Status Applier::UpdateItem(ItemIndex index, const UpsertItem& item, Batch& batch) {
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

absl::Status Applier::ApplyChange(Offset offset, const ActivateSnapshot& activation) {
  Batch batch(store_);
  const bool is_own = activation.snapshot_digest == state_.snapshot_digest;
  if (is_own) {
    if (absl::Status s = ClusterUsersAnew(batch); !s.ok()) return s;
  }
  if (absl::Status s = Publish(batch, offset); !s.ok()) return s;
  if (!is_own && options_.on_activate) options_.on_activate(offset, activation);
  return absl::OkStatus();
}

// As the activation of this snapshot did, with the graph as it was at the same offset.
absl::Status Applier::ClusterUsersAnew(Batch& batch) {
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
  for (auto& [user_id, touched] : batch.users) {
    UserState& user = *touched.state;
    const MacroNode before = user.cluster;
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
            .after = edges});
    });
    touched.changed = true;
  }
  return absl::OkStatus();
}

}  // namespace groundswell
