// PopularitySource: the items with the most interactions in the live graph, the fading count of
// each (FadingCounts) first, for users of whom nothing is known and for requests without time for
// more.
#ifndef GROUNDSWELL_INDEX_POPULAR_POPULARITY_SOURCE_H_
#define GROUNDSWELL_INDEX_POPULAR_POPULARITY_SOURCE_H_

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/mutex.h"
#include "index/candidate_source.h"

namespace groundswell {

// Thread-safe: Update may run beside any number of readers, which see one whole order each.
class PopularitySource final : public CandidateSource {
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

  std::string_view name() const override { return "popular"; }

  // Uses the filter and the count of the query; its vector is ignored. Items that nobody ever took
  // come last rather than not at all, so that a page is filled.
  absl::StatusOr<std::vector<Candidate>> Retrieve(const CandidateQuery& query) const override;

  // Never null.
  std::shared_ptr<const Order> order() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const Order> order_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_POPULAR_POPULARITY_SOURCE_H_
