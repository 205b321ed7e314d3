// MergeCandidates: several sources' proposals as one list.
#ifndef GROUNDSWELL_INDEX_MERGE_H_
#define GROUNDSWELL_INDEX_MERGE_H_

#include <cstddef>
#include <span>
#include <vector>

#include "index/candidate_source.h"

namespace groundswell {

// The union without duplicates, at most `count` items: the first list in its order, then what the
// second adds, and so on. An item proposed more than once keeps its first place and score and
// carries the source bits of all its proposers, also of those behind the `count`-th item.
std::vector<Candidate> MergeCandidates(std::span<const std::vector<Candidate>> lists, size_t count);

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_MERGE_H_
