// The interest graph of SURGE (eq. 1-3): which items of a history belong together. Its entries hang
// on comparisons, so it is made in double precision: what is equal or apart in exact arithmetic is
// so here, unless values lie within 1e-12 of each other. Once per user.
#ifndef GROUNDSWELL_MODELS_SURGE_INTEREST_GRAPH_H_
#define GROUNDSWELL_MODELS_SURGE_INTEREST_GRAPH_H_

#include <cstddef>
#include <span>
#include <vector>

#include "models/surge/weights.h"

namespace groundswell {

struct InterestGraph {
  InterestGraph(const SurgeShape& shape);

  // n x n with a stride of L: 1 where an edge is, else 0. As many rows as Multiply needs.
  std::vector<float> adjacency;
  std::vector<float> row_sums;  // n: edges of a position

  // Working memory.
  std::vector<double> unit;        // d x (L + 1): the columns are the weighed items, of length 1
  std::vector<double> similarity;  // L x (L + 1)
  std::vector<double> cosines;     // L + 1: one row of one head
  std::vector<double> ranked;      // L x L
};

// `history` holds L rows of d: the n items, oldest first, then rows of the padding item.
// REQUIRES: 1 <= n <= L.

// Cosines of the weighed items, each row min-max normalised over all L columns, the mean over the
// heads; an edge wherever it exceeds the entry at index ceil(non-zero entries / 2) of all L x L in
// descending order, and from every position to itself.
void BuildAuthorsGraph(const SurgeWeights& weights, std::span<const float> history, size_t n,
                       InterestGraph& graph);

// Cosines of the weighed items, the mean over the heads; an edge wherever it is at least the
// ceil(n^2 / 2)-th largest. A position of length 0 has no edge, not even to itself, where the
// threshold is positive.
void BuildPaperGraph(const SurgeWeights& weights, std::span<const float> history, size_t n,
                     InterestGraph& graph);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SURGE_INTEREST_GRAPH_H_
