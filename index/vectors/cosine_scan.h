// The items nearest to a vector by the cosine of the angle between them:
//
//   cosine(a, b) = sum_k a_k b_k / (|a| |b|)
//
// An index of inner products does not answer this of vectors of different lengths, so every
// admitted item is looked at: the time is that of one inner product and one length per item.
#ifndef GROUNDSWELL_INDEX_VECTORS_COSINE_SCAN_H_
#define GROUNDSWELL_INDEX_VECTORS_COSINE_SCAN_H_

#include <cstddef>
#include <vector>

#include "index/candidate_source.h"
#include "index/vectors/embedding_index.h"

namespace groundswell {

// How near two items are by their vectors.
enum class Similarity { kInnerProduct, kCosine };

// Of the items below `items` that the filter admits, the best `query.count`, best first, ties by
// item, tagged kFromEmbedding. Items without a vector, or with one that is 0, are none. Any thread.
// REQUIRES: query.vector is not 0 and as long as the items'.
std::vector<Candidate> NearestByCosine(const EmbeddingIndex::View& vectors, size_t items,
                                       const CandidateQuery& query);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_COSINE_SCAN_H_
