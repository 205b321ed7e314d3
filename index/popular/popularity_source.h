// PopularitySource: the items with the most interactions in the live graph, the fading count of
// each (FadingCounts) first, for users of whom nothing is known and for requests without time for
// more.
#ifndef GROUNDSWELL_INDEX_POPULAR_POPULARITY_SOURCE_H_
#define GROUNDSWELL_INDEX_POPULAR_POPULARITY_SOURCE_H_

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "graph/ids.h"
#include "graph/mutex.h"
#include "index/candidate_source.h"

namespace groundswell {

// Thread-safe: Update may run beside any number of readers, which see one whole order each.
class PopularitySource {
 public:
  // One state of affairs, immutable.
  struct Order {
    // Every item: highest fading count first, ties by the highest total, then by ascending item.
    std::vector<ItemIndex> items;
    std::vector<float> score_of_item;  // fading count / the highest, 0 to 1, by item
  };

  // No items until the first Update.
  PopularitySource();

  // Publishes the order of the items by their fading counts and, where those have faded to the
  // same, the totals of their interactions; both by item. O(n log n): called from a background
  // thread, now and then.
  void Update(std::span<const float> fading, std::span<const Count> totals)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // At most `count` admitted items, best first. Items that nobody ever took come last rather than
  // not at all, so that a page is filled.
  std::vector<Candidate> Retrieve(const ItemFilter& filter, size_t count) const;

  // Never null.
  std::shared_ptr<const Order> order() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const Order> order_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_POPULAR_POPULARITY_SOURCE_H_
