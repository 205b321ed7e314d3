// RandomWalk: which items one meets on random walks from a few of them, over the live graph.
//
// Pixie (Eksombatchai et al., WWW 2018, arXiv 1711.07601). One step goes from an item to a user who
// took it, and from there to an item that this user took; its visit is counted, and with
// probability alpha the walk begins again at its start (so that its length is geometric, with mean
// 1 / alpha). From every start q there are walks of N_q steps together (eq. 1 and 2):
//
//   s_q = |E(q)| (C - log |E(q)|),  C = max_p |E(p)|       N_q = N w_q s_q / sum_r w_r s_r
//
// with |E(q)| the users of q and w_q its weight. They end early once more than n_p N_q / N items
// have n_v visits each. Items that are met from several starts count for more (eq. 3):
//
//   V[p] = (sum_q sqrt(V_q[p]))^2
//
// The paper's PersonalizedNeighbor is a choice by time and weight here: of n neighbours, the k-th
// newest (from 0) is proposed with probability ((k+1)/n)^(1/b) - (k/n)^(1/b), b = recency_bias, and
// taken with probability w / w_max, where w_max is the highest weight of the n. So it is chosen
// with a probability proportional to the product; but the kProposalsMax-th proposal is taken as it
// is.
//
// Memory is what a step waits for: four reads, each of which says where the next one is. So many
// walks from one start go in step, and what the next round reads is fetched while the others go on.
//
// The same graph, start, N_q and seed give the same visits, whatever the other starts; the clock
// alone can cut them off.
#ifndef GROUNDSWELL_INDEX_WALKS_RANDOM_WALK_H_
#define GROUNDSWELL_INDEX_WALKS_RANDOM_WALK_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/fold/interaction_adjacency.h"
#include "graph/ids.h"
#include "index/item_table.h"
#include "index/walks/walk_starts.h"

namespace groundswell {

struct WalkOptions {
  size_t steps = 1'000;      // N: of all starts together
  double restart = 0.5;      // alpha, above 0, at most 1
  size_t goal_items = 200;   // n_p; 0: no early end
  uint32_t goal_visits = 4;  // n_v
  int recency_bias = 4;      // b, 1 to 8; 1: the same for old and new
  // Above 0: no more of a node's newest neighbours than these are drawn from, whatever weights they
  // have where a node has more, and C is this. So the visits do not depend on how many old ones of
  // a node with very many are still in memory.
  size_t newest_max = 0;
};

// Proposals of a neighbour until one is taken whatever its weight.
inline constexpr int kProposalsMax = 4;

struct VisitedItem {
  ItemIndex item{};
  float score = 0;  // V[p]
};

// What became of the walks of one call.
struct WalkSummary {
  size_t steps = 0;
  size_t ended_early = 0;  // starts whose goal was reached
  bool cut_off = false;    // by the deadline
};

// N_q for each start, from the degrees |E(q)| and the weights w_q (of the same length), with
// `degree_max` = C: rounded to the nearest, so that the sum is about `steps`. A start without
// users, or of weight 0, has none.
void AllocateSteps(std::span<const size_t> degrees, std::span<const double> weights,
                   size_t degree_max, size_t steps, std::vector<size_t>& out);

// Memory of one call at a time; grown by the first calls, then reused.
struct WalkScratch {
  std::vector<size_t> degrees;
  std::vector<double> weights;
  std::vector<size_t> steps;
  ItemTable<uint32_t> visits;  // V_q
  ItemTable<float> roots;      // sum_q sqrt(V_q)
  std::vector<VisitedItem> visited;
};

// Thread-safe, each call with a scratch of its own.
class RandomWalk {
 public:
  // `adjacency` must outlive it.
  RandomWalk(const InteractionAdjacency& adjacency, const WalkOptions& options);

  // The items that were visited, in no particular order, in `scratch.visited`. The starts are among
  // them, as the walks return there.
  WalkSummary Run(std::span<const WalkStart> starts, uint64_t seed,
                  std::chrono::steady_clock::time_point deadline, WalkScratch& scratch) const;

 private:
  class Walkers;

  // Counts the visits of walks from one start, of `budget` steps together.
  void WalkFrom(ItemIndex start, size_t budget, uint64_t seed,
                std::chrono::steady_clock::time_point deadline, ItemTable<uint32_t>& visits,
                WalkSummary& summary) const;

  const InteractionAdjacency& adjacency_;
  const WalkOptions options_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_WALKS_RANDOM_WALK_H_
