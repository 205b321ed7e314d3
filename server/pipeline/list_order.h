// The order of a list: by scores, or as it stands, with the operator's boosts.
#ifndef GROUNDSWELL_SERVER_PIPELINE_LIST_ORDER_H_
#define GROUNDSWELL_SERVER_PIPELINE_LIST_ORDER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "index/candidate_source.h"
#include "index/score_key.h"
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
  std::vector<KeyedRow> keyed;
  std::vector<Candidate> ordered;
};

// By `scores`, one per item, highest first, ties by item; a score that is not finite comes after
// all that are. Scores are logarithms of odds, so that a boost, which multiplies the odds, adds its
// logarithm.
void OrderByScores(std::span<const float> scores, const ListBoosts& boosts,
                   ListOrderScratch& scratch, std::vector<Candidate>& items);

// As they stand, for scores of any scale: an item at place p, from 1, has the vote 1 / (60 + p),
// multiplied by its boost.
void OrderByBoosts(const ListBoosts& boosts, ListOrderScratch& scratch,
                   std::vector<Candidate>& items);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_LIST_ORDER_H_
