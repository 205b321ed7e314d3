#include "server/pipeline/list_order.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

namespace groundswell {
namespace {

constexpr float kPlaceConstant = 60;

// A score that is not finite sinks below every one that is.
float Finite(float score) {
  return std::isfinite(score) ? score : -std::numeric_limits<float>::infinity();
}

// The items in the order of scratch.order, which has their present places.
void Rearrange(ListOrderScratch& scratch, std::vector<Candidate>& items) {
  scratch.ordered.clear();
  for (const uint32_t at : scratch.order) scratch.ordered.push_back(items[at]);
  std::swap(scratch.ordered, items);
}

}  // namespace

void OrderByScores(std::span<const float> scores, const ListBoosts& boosts,
                   ListOrderScratch& scratch, std::vector<Candidate>& items) {
  scratch.votes.assign(scores.begin(), scores.end());
  if (!boosts.factors.empty()) {
    for (size_t i = 0; i < items.size(); ++i) {
      scratch.votes[i] += std::log(boosts.factors.Of(items[i].item, boosts.category_of_item));
    }
  }
  scratch.keyed.clear();
  for (size_t at = 0; at < items.size(); ++at) {
    scratch.keyed.push_back(
        {ScoreKey(Finite(scratch.votes[at]), items[at].item), static_cast<uint32_t>(at)});
  }
  std::ranges::sort(scratch.keyed, {}, &KeyedRow::key);
  scratch.order.clear();
  for (const KeyedRow& one : scratch.keyed) scratch.order.push_back(one.row);
  Rearrange(scratch, items);
}

void OrderByBoosts(const ListBoosts& boosts, ListOrderScratch& scratch,
                   std::vector<Candidate>& items) {
  if (boosts.factors.empty()) return;
  scratch.votes.resize(items.size());
  for (size_t at = 0; at < items.size(); ++at) {
    scratch.votes[at] = boosts.factors.Of(items[at].item, boosts.category_of_item) /
                        (kPlaceConstant + 1 + static_cast<float>(at));
  }
  scratch.order.resize(items.size());
  std::iota(scratch.order.begin(), scratch.order.end(), 0);
  std::ranges::sort(scratch.order, [&](uint32_t a, uint32_t b) {
    return scratch.votes[a] != scratch.votes[b] ? scratch.votes[a] > scratch.votes[b] : a < b;
  });
  Rearrange(scratch, items);
}

}  // namespace groundswell
