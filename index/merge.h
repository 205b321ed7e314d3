// MergeCandidates: several sources' proposals as one list.
#ifndef GROUNDSWELL_INDEX_MERGE_H_
#define GROUNDSWELL_INDEX_MERGE_H_

#include <cstddef>
#include <span>
#include <vector>

#include "index/candidate_source.h"

namespace groundswell {

// What one source proposes, best first, without duplicates.
struct ProposedList {
  std::vector<Candidate> items;
  float weight = 1;  // above 0
};

// The paper's.
inline constexpr float kRankConstant = 60;

// The union without duplicates, at most `count` items, by reciprocal rank fusion (Cormack, Clarke,
// Buettcher, SIGIR 2009), which needs no scores of a common scale:
//
//   score(item) = sum over the lists that have it of weight / (rank_constant + its place, from 1)
//
// The smaller the constant, the more the first places count beside the others. Best first, ties by
// ascending item. An item carries the source bits of all its proposers. A list that is alone keeps
// its order and its own scores.
std::vector<Candidate> MergeCandidates(std::span<const ProposedList> lists, size_t count,
                                       float rank_constant = kRankConstant);

// One vote for the item at `place` (from 0) of a list.
inline float RankVote(size_t place, float weight, float rank_constant = kRankConstant) {
  return weight / (rank_constant + 1 + static_cast<float>(place));
}

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_MERGE_H_
