#include "server/pipeline/list_order.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "index/merge.h"

namespace groundswell {
namespace {

// A score that is not finite sinks below every one that is.
bool IsHigher(float a, float b) { return std::isfinite(a) && (!std::isfinite(b) || a > b); }

void MultiplyByBoosts(const ListBoosts& boosts, std::span<const Candidate> items,
                      std::span<float> votes) {
  if (boosts.factors.empty()) return;
  for (size_t i = 0; i < items.size(); ++i) {
    votes[i] *= boosts.factors.Of(items[i].item, boosts.category_of_item);
  }
}

// By scratch.votes of their present places; equal ones stay in their order.
void OrderByVotes(ListOrderScratch& scratch, std::vector<Candidate>& items) {
  const std::vector<float>& votes = scratch.votes;
  scratch.order.resize(items.size());
  std::iota(scratch.order.begin(), scratch.order.end(), 0);
  std::sort(scratch.order.begin(), scratch.order.end(), [&](uint32_t a, uint32_t b) {
    return votes[a] != votes[b] ? votes[a] > votes[b] : a < b;
  });
  std::vector<Candidate> ordered;
  ordered.reserve(items.size());
  for (const uint32_t at : scratch.order) ordered.push_back(items[at]);
  items = std::move(ordered);
}

}  // namespace

void OrderByScore(std::vector<Candidate>& items) {
  std::sort(items.begin(), items.end(), [](const Candidate& a, const Candidate& b) {
    if (IsHigher(a.score, b.score)) return true;
    return !IsHigher(b.score, a.score) && a.item < b.item;
  });
}

void OrderByScoreAndStanding(float standing_weight, const ListBoosts& boosts,
                             ListOrderScratch& scratch, std::vector<Candidate>& items) {
  scratch.order.resize(items.size());
  std::iota(scratch.order.begin(), scratch.order.end(), 0);
  std::sort(scratch.order.begin(), scratch.order.end(), [&](uint32_t a, uint32_t b) {
    if (IsHigher(items[a].score, items[b].score)) return true;
    return !IsHigher(items[b].score, items[a].score) && a < b;
  });
  scratch.votes.resize(items.size());
  for (size_t place = 0; place < items.size(); ++place) {
    const uint32_t at = scratch.order[place];
    scratch.votes[at] = RankVote(place, 1) + RankVote(at, standing_weight);
  }
  MultiplyByBoosts(boosts, items, scratch.votes);
  OrderByVotes(scratch, items);
}

void OrderByBoosts(const ListBoosts& boosts, ListOrderScratch& scratch,
                   std::vector<Candidate>& items) {
  if (boosts.factors.empty()) return;
  scratch.votes.resize(items.size());
  for (size_t place = 0; place < items.size(); ++place) scratch.votes[place] = RankVote(place, 1);
  MultiplyByBoosts(boosts, items, scratch.votes);
  OrderByVotes(scratch, items);
}

}  // namespace groundswell
