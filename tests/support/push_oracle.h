// Personalised PageRank by its definition, of a small graph.
#ifndef GROUNDSWELL_TESTS_SUPPORT_PUSH_ORACLE_H_
#define GROUNDSWELL_TESTS_SUPPORT_PUSH_ORACLE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "models/encoders/forward_push.h"

namespace groundswell {

struct PushArrays {
  std::vector<uint64_t> begin{0};
  std::vector<uint32_t> neighbor;
  std::vector<double> weight;

  PushGraph Graph() const { return {.begin = begin, .neighbor = neighbor, .weight = weight}; }
};

struct PushOracle {
  explicit PushOracle(size_t nodes) : edges(nodes) {}

  // In both directions.
  void AddEdge(uint32_t a, uint32_t b, double weight) {
    edges[a].emplace_back(b, weight);
    if (a != b) edges[b].emplace_back(a, weight);
  }

  double Degree(size_t v) const {
    double sum = 0;
    for (const auto& edge : edges[v]) sum += edge.second;
    return sum;
  }

  PushArrays Arrays() const {
    PushArrays arrays;
    for (const auto& list : edges) {
      for (const auto& [neighbor, weight] : list) {
        arrays.neighbor.push_back(neighbor);
        arrays.weight.push_back(weight);
      }
      arrays.begin.push_back(arrays.neighbor.size());
    }
    return arrays;
  }

  // The sum over all lengths of walks: what still walks is told step by step until nothing is left.
  std::vector<double> PageRank(std::vector<double> walking, double alpha) const {
    std::vector<double> rank(walking.size());
    for (double left = 1; left > 1e-18; left *= 1 - alpha) {
      std::vector<double> next(walking.size());
      for (size_t v = 0; v < walking.size(); ++v) {
        rank[v] += alpha * walking[v];
        for (const auto& [neighbor, weight] : edges[v]) {
          next[neighbor] += (1 - alpha) * walking[v] * weight / Degree(v);
        }
      }
      walking = next;
    }
    return rank;
  }

  std::vector<std::vector<std::pair<uint32_t, double>>> edges;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_PUSH_ORACLE_H_
