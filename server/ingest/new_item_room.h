// NewItemRoom: room in the catalogue for items that are on their way through the log. What the log
// has taken must be folded: so an item is only let in when there is a place for it, whatever else
// is on its way.
#ifndef GROUNDSWELL_SERVER_INGEST_NEW_ITEM_ROOM_H_
#define GROUNDSWELL_SERVER_INGEST_NEW_ITEM_ROOM_H_

#include <cstddef>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "graph/ids.h"
#include "graph/mutex.h"
#include "server/serving/serving_state.h"

namespace groundswell {

// Thread-safe. Keeps an id for as long as its entries are not applied.
class NewItemRoom {
 public:
  // Before an entry that may create the item goes to the log. FailedPrecondition, reason
  // CATALOGUE_FULL, when there is no place for it (graph.new_items_max).
  absl::Status Take(const std::string& item_id, const ServingState& state)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Once for every Take that was OK: the entry is in the log at `offset`, or, with 0, is not.
  void Settle(const std::string& item_id, Offset offset) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Promise {
    size_t unsettled = 0;
    Offset last = 0;  // of its entries in the log
  };
  // Places in use and promised ones, where an item that is applied, and not forgotten here yet, is
  // one place.
  size_t TakenAndPromised(const Catalogue& catalogue) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Forgets what is applied: the catalogue has it, or it was not to be.
  void Forget(Offset applied) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  absl::flat_hash_map<std::string, Promise> promises_ ABSL_GUARDED_BY(mutex_);
  size_t forget_at_ ABSL_GUARDED_BY(mutex_) = 1'024;  // promises
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_INGEST_NEW_ITEM_ROOM_H_
