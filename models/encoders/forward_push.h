// Personalised PageRank by forward push (Andersen, Chung, Lang, FOCS 2006): where walks sample, it
// computes, so that its result has neither noise nor ties.
//
//   p = 0, r = seed; while some r_v > epsilon D_v:
//     p_v += alpha r_v;  r_j += (1 - alpha) r_v w_vj / D_v for v's neighbours j;  r_v = 0
//
// D_v is the sum of the weights of v's edges, alpha the probability of a restart at every node. A
// node without edges keeps alpha r_v and drops the rest. With pi the PageRank of the seed,
// pi = p + PageRank(r) holds exactly at every moment, and, where every edge has its like in the
// other direction and pushing ended by itself, 0 <= pi_v - p_v <= epsilon D_v.
#ifndef GROUNDSWELL_MODELS_ENCODERS_FORWARD_PUSH_H_
#define GROUNDSWELL_MODELS_ENCODERS_FORWARD_PUSH_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace groundswell {

// The edges of node v are the positions begin[v] to begin[v + 1].
struct PushGraph {
  std::span<const uint64_t> begin;     // nodes + 1
  std::span<const uint32_t> neighbor;  // nodes
  std::span<const double> weight;      // above 0, finite
};

struct PushOptions {
  double alpha = 0.2;     // above 0, at most 1
  double epsilon = 1e-5;  // above 0
  size_t edges_max = 0;  // touched; pushing ends before the node that would exceed it. 0: no limit,
                         // which is 1 / (alpha epsilon) where all weights are at least 1
};

// Of all nodes.
struct PushResult {
  std::vector<double> p;
  std::vector<double> residual;
  size_t pushes = 0;
  size_t edges = 0;      // touched
  bool is_done = false;  // else edges_max ended it
};

// Nodes are pushed first in, first out, those of the seed by index, so that the result is a
// function of the arguments alone.
// REQUIRES: seed has a number of at least 0 for every node.
PushResult ForwardPush(const PushGraph& graph, std::span<const double> seed,
                       const PushOptions& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_FORWARD_PUSH_H_
