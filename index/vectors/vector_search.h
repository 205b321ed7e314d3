// SearchVectors: one search by inner product over an index, the exact vectors behind it, and what
// changed since.
#ifndef GROUNDSWELL_INDEX_VECTORS_VECTOR_SEARCH_H_
#define GROUNDSWELL_INDEX_VECTORS_VECTOR_SEARCH_H_

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "index/candidate_source.h"
#include "index/vectors/approximate_index.h"
#include "index/vectors/item_vectors.h"
#include "index/vectors/vector_changes.h"

namespace groundswell {

struct SearchedVectors {
  const ItemVectors& vectors;
  const ApproximateIndex* index = nullptr;  // of exactly `vectors`; null: they are scanned
  const VectorChanges& changes;
  size_t n = 0;               // changes that the search sees
  size_t rescore_factor = 1;  // see EmbeddingIndex::Options
};

// How a search of the index goes about a filter: by the share of the items that it admits, from a
// sample. The index fetches as many more candidates, and visits as many more lists, as should leave
// enough. (Asking the filter about every row that is visited costs more: two waits for memory per
// row.) If they do not leave enough, the filter is asked inside the search, and at last the
// admitted items are scanned; at once where the index would visit a good part of them.
struct SearchPlan {
  bool scan = false;
  bool filter_inside = false;
  size_t fetch = 0;
  double widening = 1;  // times more lists, of kinds that have any
};
SearchPlan PlanSearch(const SearchedVectors& searched, const CandidateQuery& query);

// Best first, ties by item; as many as asked for if there are so many that the filter admits.
// REQUIRES: query.vector has vectors.dim() finite numbers.
absl::StatusOr<std::vector<Candidate>> SearchVectors(const SearchedVectors& searched,
                                                     const CandidateQuery& query);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_VECTOR_SEARCH_H_
