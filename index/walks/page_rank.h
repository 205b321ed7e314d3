// PageRank: personalised PageRank of a few items, on the live graph of users and items.
//
// Forward push (Andersen, Chung, Lang, FOCS 2006): where walks sample, it computes, so that its
// result has neither noise nor ties.
//
//   p = 0, r = the starts' weights, which sum to 1; while some r_v > epsilon n_v:
//     p_v += alpha r_v;  r_j += (1 - alpha) r_v P_v(j) for v's neighbours j;  r_v = 0
//
// with n_v the number of v's neighbours that are kept and alpha the chance of a restart at every
// node. P_v is how the random walks choose (random_walk.h): the k-th newest of n neighbours, of
// weight w, with a probability proportional to w (((k+1)/n)^(1/b) - (k/n)^(1/b)), b = recency_bias.
// A walk that begins again after whole steps, from item to item, with probability a orders items as
// alpha = 1 - sqrt(1 - a) does. pi = p + PageRank(r) holds at every moment, and PageRank(r)_v is at
// least alpha r_v: so p_v + alpha r_v is what an item has for certain, and its score. (By p alone a
// node that is met and never pushed would have none, and hubs, whose n_v is large, rarely are.)
// With b > 1, or with hubs, the bound of the method on
// edges that are touched, 1 / (alpha epsilon), does not hold: edges_max is the one that does.
//
// Nodes are pushed first in, first out, so the result is a function of the graph, the starts and
// the options; the clock alone can cut it off.
#ifndef GROUNDSWELL_INDEX_WALKS_PAGE_RANK_H_
#define GROUNDSWELL_INDEX_WALKS_PAGE_RANK_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "graph/fold/interaction_adjacency.h"
#include "graph/ids.h"
#include "index/candidate_source.h"
#include "index/walks/walk_starts.h"

namespace groundswell {

struct PageRankOptions {
  double restart = 0.2;        // alpha, above 0, at most 1
  double epsilon = 3e-5;       // above 0
  int recency_bias = 4;        // b, 1 to 8; 1: the same for old and new
  size_t edges_max = 100'000;  // touched; pushing ends before the node that would exceed it
};

struct RankedItem {
  ItemIndex item{};
  float score = 0;  // p + alpha r, above 0
};

enum class PageRankEnd {
  kEpsilon,   // nothing is left to push
  kEdgesMax,  // the next node would have exceeded it
  kDeadline,
};

struct PageRankSummary {
  size_t pushes = 0;
  size_t edges = 0;  // touched
  PageRankEnd end = PageRankEnd::kEpsilon;
};

// Memory of one call at a time; grown by the first calls, then reused. There are never more nodes
// than starts and edges_max together.
struct PageRankScratch {
  struct Node {
    uint32_t code = 0;       // 2 index, and 1 more for a user
    uint32_t neighbors = 0;  // n_v, as it was when the node was met
    double rank = 0;         // p_v
    double residual = 0;     // r_v
    bool is_queued = false;
  };
  std::vector<Node> nodes;
  std::vector<uint64_t> slots;  // open addressing: code, and place in nodes from 1; 0: vacant
  std::vector<uint32_t> queue;  // places in nodes
  std::vector<Neighbor> neighbors;
  std::vector<double> chances;
  std::vector<RankedItem> ranked;
};

// Thread-safe, each call with a scratch of its own.
class PageRank {
 public:
  // `adjacency` must outlive it.
  PageRank(const InteractionAdjacency& adjacency, const PageRankOptions& options);

  // The items that were met, in no particular order, in `scratch.ranked`, the starts among them.
  // REQUIRES: no item twice among the starts.
  PageRankSummary Run(std::span<const WalkStart> starts,
                      std::chrono::steady_clock::time_point deadline,
                      PageRankScratch& scratch) const;

 private:
  class Pushing;

  const InteractionAdjacency& adjacency_;
  const PageRankOptions options_;
  const std::vector<double> shares_;  // (k+1)^(1/b) - k^(1/b)
};

// The items of highest rank from the user's newest items. Thread-safe, each call with a scratch of
// its own.
class PageRankSource {
 public:
  struct Options {
    PageRankOptions page_rank;
    size_t starts_max = 20;  // as RandomWalkSource's
    std::chrono::seconds half_life = std::chrono::hours(6);
    // Told of every call; from the calling threads.
    std::function<void(const PageRankSummary&)> on_end;
  };
  struct Scratch {
    std::vector<WalkStart> starts;
    PageRankScratch page_rank;
  };

  // `adjacency` must outlive it.
  PageRankSource(const InteractionAdjacency& adjacency, Options options);

  // Uses the filter, the count, the recent items and the deadline of the query. Score: p + alpha r,
  // ties in ascending order of item. Nothing for a user without items.
  std::vector<Candidate> Retrieve(const CandidateQuery& query, Scratch& scratch) const;

 private:
  const Options options_;
  const PageRank page_rank_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_WALKS_PAGE_RANK_H_
