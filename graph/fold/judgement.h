// Judgement: what an interaction would do to its user. The rules of the fold on values alone, for
// interactions that are folded and for those that a request only supposes (Fold::Overlay).
#ifndef GROUNDSWELL_GRAPH_FOLD_JUDGEMENT_H_
#define GROUNDSWELL_GRAPH_FOLD_JUDGEMENT_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "graph/fold/fold_outcome.h"
#include "graph/ids.h"
#include "graph/log/interaction.h"
#include "graph/state/user_edges.h"
#include "graph/state/user_state.h"
#include "graph/store/store.h"

namespace groundswell {

// What the world around the user is when the interaction comes.
struct Surroundings {
  std::optional<ItemIndex> item;  // that the catalogue has by the interaction's item id
  // Events until then are late, by the tombstones of the user and of the item.
  int64_t late_until_us = std::numeric_limits<int64_t>::min();
  // Where the window of age begins, once this event is counted among the log's.
  int64_t window_begin_us = std::numeric_limits<int64_t>::min();
  Count total_count = 0;  // sum of all A[u,i]
};

// The time until which events of what was removed are late; before all time without a tombstone.
// It is the server's clock at the removal, unless the interaction, which the log has behind the
// removal, was received more than a day before that: then the clock was wrong at one of the two,
// and late is what is not newer than everything that the log had.
int64_t LateUntil(const std::optional<Tombstone>& tombstone, const Interaction& interaction);

// Whether a removal has to be looked up for the item that the catalogue has at `item`, or does not
// have. Of the snapshot's own, nearly all that interactions are with, those that are there never
// were removed.
inline bool WasPerhapsRemoved(std::optional<ItemIndex> item, size_t snapshot_items) {
  return !item.has_value() || ToInt(*item) >= snapshot_items;
}

struct Judgement {
  FoldOutcome outcome = FoldOutcome::kApplied;
  // What the interaction fell short of. kBelowZero: A[u,i]. kOutsideWindow: the time at which the
  // window begins. kForgotten: the time until which events are late. Otherwise 0.
  int64_t bound = 0;
};

// `user` as it is before the interaction; nullptr: not known. What is applied goes into its edges
// by AddToEdges, and then LeaveWindows takes out what no longer fits.
Judgement Judge(const Interaction& interaction, const Surroundings& around, const UserState* user);

// The windows by count, after an interaction came into `user`: its oldest edges leave, then its
// oldest items. `take_edge` is called with an edge's position, `take_item` with an item; each takes
// it out of `user`, and out of what follows the user. What is then behind the trace is told to
// `merge_edge`, which calls MergeIntoOlder.
template <typename TakeEdge, typename TakeItem, typename MergeEdge>
void LeaveWindows(const Window& window, const UserState& user, const TakeEdge& take_edge,
                  const TakeItem& take_item, const MergeEdge& merge_edge) {
  while (const std::optional<size_t> at = EdgeBeyond(user, window.interactions)) take_edge(*at);
  for (const ItemIndex item : ItemsBeyond(user, window.items)) take_item(item);
  while (const std::optional<size_t> at = EdgeBehindTrace(user, window)) merge_edge(*at);
}

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_FOLD_JUDGEMENT_H_
