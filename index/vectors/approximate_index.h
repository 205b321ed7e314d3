// ApproximateIndex: what a search by inner product asks first, of whichever kind it is.
#ifndef GROUNDSWELL_INDEX_VECTORS_APPROXIMATE_INDEX_H_
#define GROUNDSWELL_INDEX_VECTORS_APPROXIMATE_INDEX_H_

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "index/item_filter.h"
#include "index/vectors/vector_changes.h"

namespace groundswell {

// Of which items a search wants to hear: those that the filter admits and whose vector is not
// among the first `n` changes.
struct AdmittedItems {
  bool operator()(ItemIndex item) const {
    return changes.LeavesAsItWas(item, n) && filter.Admits(item);
  }

  const ItemFilter& filter;
  const VectorChanges& changes;
  size_t n = 0;
};

// Told by who builds an index how many of the items are in, from the building thread; false ends
// the building.
using IndexProgress = std::function<bool(size_t done, size_t total)>;

// Immutable once built; use from any thread.
class ApproximateIndex {
 public:
  struct Hit {
    ItemIndex item{};
    float score = 0;  // the inner product with the exact vector
  };

  virtual ~ApproximateIndex() = default;

  // Puts into `hits`, in no order, the items that are best by the index's own scores: `fetch` of
  // them, fewer where it meets fewer, and more where it has their exact scores anyway. With
  // `admitted`, only such, asked for inside the search; that needs filters() != kOutside.
  // `widening` >= 1 visits that many times more lists, where share_visited() is not 0. Internal
  // when the index itself fails.
  virtual absl::Status Search(std::span<const float> query, size_t fetch,
                              const AdmittedItems* admitted, double widening,
                              std::vector<Hit>& hits) const = 0;

  // How a search goes about a filter that it is given.
  enum class Filters {
    kOutside,    // it takes none
    kEveryRow,   // it is asked about every row that is visited
    kBestFirst,  // it is asked about the best until there are enough: it costs no more than to ask
                 // it about hits
  };
  virtual Filters filters() const = 0;
  // Whether what is best by its own scores need not be best, so that a search should fetch more
  // than it wants.
  virtual bool compresses() const = 0;
  // The share of its lists that a search visits; 0 of kinds that have none, or whose searches
  // cannot be widened.
  virtual double share_visited() const = 0;

  // As the setting retrieval.factory names it.
  virtual const std::string& kind() const = 0;
  // Items in it.
  virtual size_t size() const = 0;
  // Bytes beside the exact vectors.
  virtual size_t bytes() const = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_APPROXIMATE_INDEX_H_
