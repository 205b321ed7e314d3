#include "server/ingest/new_item_room.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/algorithm/container.h"
#include "server/rpc/status_details.h"

namespace groundswell {

absl::Status NewItemRoom::Take(const std::string& item_id, const ServingState& state) {
  const Catalogue& catalogue = *state.catalogue;
  // Before the size is read: what is applied until now is in it.
  const Offset applied = state.applier->applied_offset();
  MutexLock lock(mutex_);
  if (const auto at = promises_.find(item_id); at != promises_.end()) {
    ++at->second.unsettled;
    return absl::OkStatus();
  }
  const size_t full_at = catalogue.capacity();
  if (promises_.size() >= forget_at_ || catalogue.size() + promises_.size() >= full_at) {
    Forget(applied);
  }
  if (catalogue.size() + promises_.size() >= full_at && TakenAndPromised(catalogue) >= full_at) {
    return PreconditionFailed(
        "CATALOGUE_FULL", "item_id",
        fmt::format("there is no room for the new item {}: the catalogue has {} items, and those "
                    "on their way; raise graph.new_items_max and restart, or activate a snapshot "
                    "that has the new ones",
                    QuoteValue(item_id), catalogue.size()));
  }
  promises_.emplace(item_id, Promise{.unsettled = 1});
  return absl::OkStatus();
}

size_t NewItemRoom::TakenAndPromised(const Catalogue& catalogue) const {
  while (true) {
    const size_t taken = catalogue.size();
    const auto promised = absl::c_count_if(promises_, [&catalogue](const auto& promise) {
      return !catalogue.Find(promise.first).has_value();
    });
    // An item that was added meanwhile may be in both or in neither.
    if (catalogue.size() == taken) return taken + static_cast<size_t>(promised);
  }
}

void NewItemRoom::Settle(const std::string& item_id, Offset offset) {
  MutexLock lock(mutex_);
  const auto at = promises_.find(item_id);
  if (at == promises_.end()) return;
  --at->second.unsettled;
  at->second.last = std::max(at->second.last, offset);
}

void NewItemRoom::Forget(Offset applied) {
  absl::erase_if(promises_, [applied](const auto& promise) {
    return promise.second.unsettled == 0 && promise.second.last <= applied;
  });
  forget_at_ = std::max<size_t>(1'024, 2 * promises_.size());
}

}  // namespace groundswell
