// What would be: the rules of the fold on a copy of one user.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "graph/fold/fold.h"

namespace groundswell {

absl::StatusOr<std::optional<Fold::Refusal>> Fold::OverlayOne(
    const Interaction& interaction, Recency when, const std::optional<Tombstone>& forgotten,
    Progress& now, std::optional<UserState>& user) const {
  now.newest_event_time_us = std::max(now.newest_event_time_us, interaction.event_time_us);
  const std::optional<ItemIndex> item = catalogue_.Find(interaction.item_id);
  std::optional<Tombstone> removed;
  if (WasPerhapsRemoved(item, options_.clustering.trained_items)) {
    auto found = store_.FindTombstone(Tombstone::Kind::kItem, HashId(interaction.item_id));
    if (!found.ok()) return found.status();
    removed = *std::move(found);
  }
  const Surroundings around = SurroundingsOf(interaction, item, forgotten, removed,
                                             now.newest_event_time_us, now.total_count);
  // The fold finds what leaves the window of age for all users at once (FoldExpiries).
  if (user.has_value() && window_.age_us > 0) {
    std::erase_if(user->edges,
                  [&](const Edge& edge) { return edge.last.time_us < around.window_begin_us; });
  }
  const Judgement judgement = Judge(interaction, around, user.has_value() ? &*user : nullptr);
  if (judgement.outcome != FoldOutcome::kApplied) {
    return std::optional<Refusal>(
        {.position = 0, .outcome = judgement.outcome, .bound = judgement.bound});
  }
  now.total_count += interaction.weight;
  if (!user.has_value()) {
    // An index that nobody has: it gets its own when it is folded.
    user = UserState{.index = UserIndex{std::numeric_limits<uint32_t>::max()},
                     .cluster = options_.clustering.of_new_user(*item),
                     .edges = {}};
  }
  std::vector<Edge>& edges = user->edges;
  ChangeUser(
      interaction, *item, *user,
      [&] { AddToEdges(*user, *item, interaction.weight, when, detail_); },
      [&](size_t at) { edges.erase(edges.begin() + static_cast<ptrdiff_t>(at)); },
      [&](ItemIndex beyond) {
        std::erase_if(edges, [beyond](const Edge& edge) { return edge.item == beyond; });
      },
      [&](size_t at) { MergeIntoOlder(*user, at); });
  return std::optional<Refusal>();
}

absl::StatusOr<OverlaidUser> Fold::Overlay(const Progress& now, std::optional<UserState> user,
                                           std::span<const Interaction> interactions,
                                           std::optional<Refusal>& refusal) const {
  const UserState stored = user.value_or(UserState{});
  Progress progress = now;
  std::optional<Tombstone> forgotten;
  if (!interactions.empty() && !interactions.front().user_id.empty()) {
    auto found = store_.FindTombstone(Tombstone::Kind::kUser, HashId(interactions.front().user_id));
    if (!found.ok()) return found.status();
    forgotten = *std::move(found);
  }
  // The user may have been read before the next batch was applied, or after.
  Offset offset = progress.applied_offset;
  for (const Edge& edge : stored.edges) offset = std::max(offset, edge.last.offset);
  for (size_t at = 0; at < interactions.size(); ++at) {
    const Recency when{.time_us = interactions[at].event_time_us, .offset = ++offset};
    const auto refused = OverlayOne(interactions[at], when, forgotten, progress, user);
    if (!refused.ok()) return refused.status();
    if (!refused->has_value()) continue;
    refusal = *refused;
    refusal->position = at;
    return OverlaidUser{};
  }
  OverlaidUser overlaid{.state = std::move(user).value_or(UserState{})};
  ForEachItem(overlaid.state, [&](ItemIndex item, std::span<const Edge> edges) {
    const Count count = SumOf(edges);
    const Count stored_count = SumOf(stored.EdgesTo(item));
    overlaid.own_two_hop += count * (count - stored_count);
    if (stored_count == 0) overlaid.joined.push_back(item);
  });
  return overlaid;
}

}  // namespace groundswell
