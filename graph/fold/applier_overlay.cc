// What would be: the rules of the fold on a copy of one user.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "graph/fold/applier.h"
#include "graph/state/user_edges.h"

namespace groundswell {
namespace {

// Until when events are late; before all time without a tombstone.
int64_t LateUntil(const std::optional<Tombstone>& tombstone) {
  return tombstone.has_value() ? tombstone->time_us : std::numeric_limits<int64_t>::min();
}

// The windows by count, as Applier::ApplyWindow.
void LeaveWindow(const Window& window, UserState& user) {
  while (const std::optional<size_t> at = EdgeBeyond(user, window.interactions)) {
    user.edges.erase(user.edges.begin() + static_cast<ptrdiff_t>(*at));
  }
  for (const ItemIndex item : ItemsBeyond(user, window.items)) {
    std::erase_if(user.edges, [item](const Edge& edge) { return edge.item == item; });
  }
}

}  // namespace

absl::StatusOr<std::optional<Applier::Refusal>> Applier::OverlayOne(
    const Interaction& interaction, Recency when, OverlayFrame& frame,
    std::optional<UserState>& user) const {
  const auto refused = [](Outcome outcome, int64_t bound = 0) {
    return std::optional<Refusal>({.position = 0, .outcome = outcome, .bound = bound});
  };
  frame.progress.newest_event_time_us =
      std::max(frame.progress.newest_event_time_us, interaction.event_time_us);
  const int64_t window_begin = WindowBegin(frame.progress.newest_event_time_us);
  if (user.has_value() && window_.age_us > 0) {
    std::erase_if(user->edges, [&](const Edge& edge) { return edge.last.time_us < window_begin; });
  }
  const std::optional<ItemIndex> item = catalogue_.Find(interaction.item_id);
  int64_t late_until_us = LateUntil(frame.tombstone);
  if (!item.has_value() || IsCreated(*item)) {
    const auto removed = store_.FindTombstone(Tombstone::Kind::kItem, HashId(interaction.item_id));
    if (!removed.ok()) return removed.status();
    late_until_us = std::max(late_until_us, LateUntil(*removed));
  }
  if (when.time_us <= late_until_us) return refused(Outcome::kForgotten, late_until_us);
  if (!item.has_value()) return refused(Outcome::kUnknownItem);
  if (when.time_us < window_begin) return refused(Outcome::kOutsideWindow, window_begin);
  const Count count = user.has_value() ? SumOf(user->EdgesTo(*item)) : 0;
  if (count + interaction.weight < 0) return refused(Outcome::kBelowZero, count);
  // What leaves by a window is not taken off: the limit is far from where a user could tell.
  frame.progress.total_count += interaction.weight;
  if (frame.progress.total_count > kTotalCountMax) return refused(Outcome::kOverflow);
  if (!user.has_value()) {
    user = UserState{.index = UserIndex{std::numeric_limits<uint32_t>::max()},
                     .cluster = options_.clustering.of_new_user(*item),
                     .edges = {}};
  }
  AddToEdges(*user, *item, interaction.weight, when, detail_);
  LeaveWindow(window_, *user);
  return std::optional<Refusal>();
}

absl::StatusOr<OverlaidUser> Applier::Overlay(std::optional<UserState> user,
                                              std::span<const Interaction> interactions,
                                              std::optional<Refusal>& refusal) const {
  const UserState stored = user.value_or(UserState{});
  OverlayFrame frame{.progress = progress()};
  if (!interactions.empty() && !interactions.front().user_id.empty()) {
    auto forgotten =
        store_.FindTombstone(Tombstone::Kind::kUser, HashId(interactions.front().user_id));
    if (!forgotten.ok()) return forgotten.status();
    frame.tombstone = *std::move(forgotten);
  }
  // The user may have been read before the next batch was applied, or after.
  Offset offset = frame.progress.applied_offset;
  for (const Edge& edge : stored.edges) offset = std::max(offset, edge.last.offset);
  for (size_t at = 0; at < interactions.size(); ++at) {
    const Recency when{.time_us = interactions[at].event_time_us, .offset = ++offset};
    const auto refused = OverlayOne(interactions[at], when, frame, user);
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
