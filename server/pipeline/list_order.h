// The order of a list: by a ranker's scores, or by votes for places times the operator's boosts.
#ifndef GROUNDSWELL_SERVER_PIPELINE_LIST_ORDER_H_
#define GROUNDSWELL_SERVER_PIPELINE_LIST_ORDER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "index/candidate_source.h"
#include "server/pipeline/applied_rules.h"

namespace groundswell {

// The boosts of a request, and the categories by item that they look into.
struct ListBoosts {
  const Boosts& factors;
  std::span<const uint32_t> category_of_item;
};

// Memory of one call at a time; grown by the first calls, then reused.
struct ListOrderScratch {
  std::vector<float> votes;
  std::vector<uint32_t> order;
};

// By score, highest first, ties by item; a score that is not finite comes after all that are.
void OrderByScore(std::vector<Candidate>& items);

// Reciprocal rank fusion of two orders: by score, whose weight is 1, and as the items stand, of
// weight `standing_weight`. Each item's vote is multiplied by its boost.
void OrderByScoreAndStanding(float standing_weight, const ListBoosts& boosts,
                             ListOrderScratch& scratch, std::vector<Candidate>& items);

// As they stand, each one's vote multiplied by its boost.
void OrderByBoosts(const ListBoosts& boosts, ListOrderScratch& scratch,
                   std::vector<Candidate>& items);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_LIST_ORDER_H_
