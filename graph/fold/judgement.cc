#include "graph/fold/judgement.h"

#include <algorithm>

#include "graph/state/macro_graph.h"

namespace groundswell {

int64_t LateUntil(const std::optional<Tombstone>& tombstone, const Interaction& interaction) {
  if (!tombstone.has_value()) return std::numeric_limits<int64_t>::min();
  const int64_t received_us = interaction.received_time_us;
  const bool is_plausible = received_us == 0 || tombstone->time_us <= received_us + kMicrosPerDay;
  if (is_plausible) return tombstone->time_us;
  return std::min(tombstone->time_us, tombstone->newest_event_time_us);
}

Judgement Judge(const Interaction& interaction, const Surroundings& around, const UserState* user) {
  // First, since a late event is taken out of the log: no other reason may keep it there.
  if (interaction.event_time_us <= around.late_until_us) {
    return {FoldOutcome::kForgotten, around.late_until_us};
  }
  if (!around.item.has_value()) return {FoldOutcome::kUnknownItem};
  if (interaction.weight == 0) return {};  // hides the item: the graph stays as it is
  if (interaction.event_time_us < around.window_begin_us) {
    return {FoldOutcome::kOutsideWindow, around.window_begin_us};
  }
  if (interaction.weight < 0) {
    const Count count = user != nullptr ? SumOf(user->EdgesTo(*around.item)) : 0;
    if (count + interaction.weight < 0) return {FoldOutcome::kBelowZero, count};
  }
  // What will leave by a window is not taken off: the limit is far from where a user could tell.
  if (around.total_count + interaction.weight > kTotalCountMax) return {FoldOutcome::kOverflow};
  return {};
}

}  // namespace groundswell
