// MergeCandidates: several lists of one source as one.
#ifndef GROUNDSWELL_INDEX_MERGE_H_
#define GROUNDSWELL_INDEX_MERGE_H_

#include <cstddef>
#include <span>
#include <vector>

#include "index/candidate_source.h"

namespace groundswell {

// The union without duplicates, at most `count` items, by reciprocal rank fusion (Cormack, Clarke,
// Buettcher, SIGIR 2009), which needs no scores of a common scale:
//
//   score(item) = sum over the lists that have it of 1 / (10 + its place, from 1)
//
// Best first, ties by ascending item. An item carries the source bits of all its proposers. A list
// that is alone keeps its order and its own scores.
std::vector<Candidate> MergeCandidates(std::span<const std::vector<Candidate>> lists, size_t count);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_MERGE_H_
