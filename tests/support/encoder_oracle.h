// Encoders written once more, in double and without a thought for time: what golden vectors and
// property tests compare with. Ids of rows that are kNoRow are of nodes that nobody trained.
#ifndef GROUNDSWELL_TESTS_SUPPORT_ENCODER_ORACLE_H_
#define GROUNDSWELL_TESTS_SUPPORT_ENCODER_ORACLE_H_

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "models/encoder.h"

namespace groundswell {

using OracleVector = std::vector<double>;
using OracleTable = std::vector<OracleVector>;  // by row

struct OracleNeighbor {
  uint32_t row = kNoRow;
  double degree = 1;
};

// A bipartite graph, from either side: for each node of it the nodes of the other.
struct OracleGraph {
  std::vector<std::vector<uint32_t>> of_users, of_items;

  const std::vector<std::vector<uint32_t>>& Of(EncoderSide side) const {
    return side == EncoderSide::kUser ? of_users : of_items;
  }
  // The neighbours of a node, with their degrees.
  std::vector<OracleNeighbor> NeighborsOf(EncoderSide side, size_t node) const {
    std::vector<OracleNeighbor> neighbors;
    const auto& others = Of(side == EncoderSide::kUser ? EncoderSide::kItem : EncoderSide::kUser);
    for (const uint32_t other : Of(side)[node]) {
      neighbors.push_back({other, static_cast<double>(others[other].size())});
    }
    return neighbors;
  }
};

inline OracleGraph GraphOfLists(std::vector<std::vector<uint32_t>> items_of_users, size_t items) {
  OracleGraph graph{.of_users = std::move(items_of_users), .of_items = {}};
  graph.of_items.resize(items);
  for (uint32_t user = 0; user < graph.of_users.size(); ++user) {
    for (const uint32_t item : graph.of_users[user]) graph.of_items[item].push_back(user);
  }
  return graph;
}

inline OracleTable TableOf(const std::vector<double>& values, size_t width) {
  OracleTable table;
  for (size_t begin = 0; begin < values.size(); begin += width) {
    table.emplace_back(values.begin() + static_cast<ptrdiff_t>(begin),
                       values.begin() + static_cast<ptrdiff_t>(begin + width));
  }
  return table;
}

inline double OracleLength(const OracleVector& x) {
  return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
}

// W x of a weight (out, in).
inline OracleVector OracleProduct(const OracleTable& weight, const OracleVector& x) {
  OracleVector y;
  for (const OracleVector& row : weight) {
    y.push_back(std::inner_product(x.begin(), x.end(), row.begin(), 0.0));
  }
  return y;
}

// Both sides' tables of one layer.
struct OracleLayer {
  OracleTable user, item;
  OracleTable& Of(EncoderSide side) { return side == EncoderSide::kUser ? user : item; }
  const OracleTable& Of(EncoderSide side) const { return side == EncoderSide::kUser ? user : item; }
  const OracleTable& Other(EncoderSide side) const {
    return side == EncoderSide::kUser ? item : user;
  }
};

// A propagation of fixed powers: layers 0 to L, and what the fold-in needs of them.
struct LinearOracle {
  double r = 0.5;
  std::vector<double> alpha;        // L + 1
  std::vector<OracleLayer> layers;  // L + 1

  LinearOracle(double exponent, std::vector<double> weights, OracleLayer base,
               const OracleGraph& graph)
      : r(exponent), alpha(std::move(weights)), layers{std::move(base)} {
    while (layers.size() < alpha.size()) {
      OracleLayer next = layers.back();
      for (const EncoderSide side : {EncoderSide::kUser, EncoderSide::kItem}) {
        for (size_t node = 0; node < next.Of(side).size(); ++node) {
          next.Of(side)[node] = Sum(graph.NeighborsOf(side, node), layers.back().Other(side));
        }
      }
      layers.push_back(std::move(next));
    }
  }

  OracleVector Sum(const std::vector<OracleNeighbor>& neighbors, const OracleTable& table) const {
    OracleVector sum(layers[0].item[0].size());
    for (const auto& [row, degree] : neighbors) {
      if (row == kNoRow) continue;
      const double p =
          std::pow(static_cast<double>(neighbors.size()), -r) * std::pow(degree, r - 1);
      for (size_t k = 0; k < sum.size(); ++k) sum[k] += p * table[row][k];
    }
    return sum;
  }

  // sum_k weight[k] e^(k), from layer 0.
  OracleTable Combined(EncoderSide side, const std::vector<double>& weight) const {
    OracleTable table = layers[0].Of(side);
    for (size_t node = 0; node < table.size(); ++node) {
      std::fill(table[node].begin(), table[node].end(), 0.0);
      for (size_t layer = 0; layer < weight.size(); ++layer) {
        for (size_t k = 0; k < table[node].size(); ++k) {
          table[node][k] += weight[layer] * layers[layer].Of(side)[node][k];
        }
      }
    }
    return table;
  }
  OracleTable Final(EncoderSide side) const { return Combined(side, alpha); }
  OracleTable Context(EncoderSide side) const {
    return Combined(side, {alpha.begin() + 1, alpha.end()});
  }

  OracleVector Fold(EncoderSide side, uint32_t row,
                    const std::vector<OracleNeighbor>& neighbors) const {
    OracleVector out = Sum(
        neighbors, Context(side == EncoderSide::kUser ? EncoderSide::kItem : EncoderSide::kUser));
    if (row == kNoRow) return out;
    for (size_t k = 0; k < out.size(); ++k) out[k] += alpha[0] * layers[0].Of(side)[row][k];
    return out;
  }
};

struct NgcfOracleLayer {
  OracleTable w1, w2;
  OracleVector b1, b2;  // of the authors' variant
};

struct NgcfOracle {
  bool is_authors = false;
  std::string adjacency;
  double slope = 0.2;
  std::vector<NgcfOracleLayer> weights;
  std::vector<OracleLayer> layers;  // before l2

  // REQUIRES: all above but `layers`, whose first is given.
  void Propagate(const OracleGraph& graph) {
    for (size_t l = 0; l < weights.size(); ++l) {
      OracleLayer next = layers[l];
      for (const EncoderSide side : {EncoderSide::kUser, EncoderSide::kItem}) {
        for (size_t node = 0; node < next.Of(side).size(); ++node) {
          next.Of(side)[node] =
              Step(l, layers[l].Of(side)[node], graph.NeighborsOf(side, node), side);
        }
      }
      layers.push_back(std::move(next));
    }
  }

  double Activate(double x) const { return x > 0 ? x : slope * x; }

  // e^(l+1) of a node with this e^(l) and these neighbours, who have theirs of layer l.
  OracleVector Step(size_t l, const OracleVector& e, const std::vector<OracleNeighbor>& neighbors,
                    EncoderSide side) const {
    const auto degree = static_cast<double>(neighbors.size());
    OracleVector s(e.size());
    double own = 0;
    for (const auto& [row, other] : neighbors) {
      double p = 1;
      if (!is_authors) p = 1 / std::sqrt(degree * other);
      if (adjacency == "norm") p = 1 / (degree + 1);
      if (adjacency == "ngcf" || adjacency == "mean") p = 1 / degree;
      if (row == kNoRow) continue;
      for (size_t k = 0; k < s.size(); ++k) s[k] += p * layers[l].Other(side)[row][k];
    }
    if (adjacency == "norm") own = 1 / (degree + 1);
    if (adjacency == "ngcf") own = 1;
    OracleVector x1 = s, x2 = s;
    for (size_t k = 0; k < s.size(); ++k) {
      x1[k] = is_authors ? s[k] + own * e[k] : s[k] + e[k];
      x2[k] = (is_authors ? s[k] + own * e[k] : s[k]) * e[k];
    }
    OracleVector y1 = OracleProduct(weights[l].w1, x1);
    const OracleVector y2 = OracleProduct(weights[l].w2, x2);
    for (size_t k = 0; k < y1.size(); ++k) {
      y1[k] = is_authors ? Activate(y1[k] + weights[l].b1[k]) + Activate(y2[k] + weights[l].b2[k])
                         : Activate(y1[k] + y2[k]);
    }
    return y1;
  }

  void Append(const OracleVector& e, bool is_first, OracleVector& out) const {
    const double length = is_authors && !is_first ? std::max(OracleLength(e), 1e-12) : 1;
    for (const double number : e) out.push_back(number / length);
  }

  // [e^(0) | block 1 | ..] of trained nodes, and the lengths that l2 took away.
  OracleTable Final(EncoderSide side) const {
    OracleTable table(layers[0].Of(side).size());
    for (size_t l = 0; l < layers.size(); ++l) {
      for (size_t node = 0; node < table.size(); ++node) {
        Append(layers[l].Of(side)[node], l == 0, table[node]);
      }
    }
    return table;
  }
  OracleTable Scales(EncoderSide side) const {
    OracleTable table(layers[0].Of(side).size());
    for (size_t l = 1; l < layers.size(); ++l) {
      for (size_t node = 0; node < table.size(); ++node) {
        table[node].push_back(OracleLength(layers[l].Of(side)[node]));
      }
    }
    return table;
  }

  OracleVector Fold(EncoderSide side, uint32_t row,
                    const std::vector<OracleNeighbor>& neighbors) const {
    OracleVector e(layers[0].item[0].size());
    if (row != kNoRow) e = layers[0].Of(side)[row];
    OracleVector out;
    Append(e, true, out);
    for (size_t l = 0; l < weights.size(); ++l) {
      e = Step(l, e, neighbors, side);
      Append(e, false, out);
    }
    return out;
  }
};

// Gauss-Jordan with pivots.
inline OracleVector OracleSolve(OracleTable matrix, OracleVector x) {
  for (size_t column = 0; column < x.size(); ++column) {
    size_t pivot = column;
    for (size_t row = column; row < x.size(); ++row) {
      if (std::abs(matrix[row][column]) > std::abs(matrix[pivot][column])) pivot = row;
    }
    std::swap(matrix[column], matrix[pivot]);
    std::swap(x[column], x[pivot]);
    for (size_t row = 0; row < x.size(); ++row) {
      if (row == column) continue;
      const double factor = matrix[row][column] / matrix[column][column];
      for (size_t k = column; k < x.size(); ++k) matrix[row][k] -= factor * matrix[column][k];
      x[row] -= factor * x[column];
    }
  }
  for (size_t row = 0; row < x.size(); ++row) x[row] /= matrix[row][row];
  return x;
}

struct AlsOracle {
  double alpha = 1, lambda = 1;
  bool is_weighted = false;
  OracleTable vectors;  // of the trained neighbours

  OracleTable Gram() const {
    const size_t d = vectors[0].size();
    OracleTable gram(d, OracleVector(d));
    for (const OracleVector& y : vectors) {
      for (size_t a = 0; a < d; ++a) {
        for (size_t b = 0; b < d; ++b) gram[a][b] += y[a] * y[b];
      }
    }
    return gram;
  }

  OracleVector Fold(const std::vector<uint32_t>& rows, const std::vector<double>& counts) const {
    OracleTable matrix = Gram();
    OracleVector x(matrix.size());
    double used = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i] == kNoRow) continue;
      ++used;
      const OracleVector& y = vectors[rows[i]];
      for (size_t a = 0; a < x.size(); ++a) {
        x[a] += (1 + alpha * counts[i]) * y[a];
        for (size_t b = 0; b < x.size(); ++b) matrix[a][b] += alpha * counts[i] * y[a] * y[b];
      }
    }
    if (used == 0) return OracleVector(x.size());
    for (size_t a = 0; a < x.size(); ++a) matrix[a][a] += lambda * (is_weighted ? used : 1);
    return OracleSolve(matrix, x);
  }
};

// P by cluster.
inline OracleVector OracleMixture(const std::vector<int64_t>& counts, size_t clusters_max) {
  std::vector<size_t> order(counts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return counts[a] > counts[b]; });
  order.resize(std::min(order.size(), clusters_max));
  double sum = 0;
  for (const size_t cluster : order) sum += static_cast<double>(counts[cluster]);
  OracleVector share(counts.size());
  for (const size_t cluster : order) {
    if (sum > 0) share[cluster] = static_cast<double>(counts[cluster]) / sum;
  }
  return share;
}

// half 0: no weight falls.
inline OracleVector OracleNewest(const std::vector<uint32_t>& newest, const OracleTable& vectors,
                                 size_t neighbors, double half) {
  OracleVector out(vectors[0].size());
  size_t k = 0;
  for (const uint32_t row : newest) {
    if (row == kNoRow || k == neighbors) continue;
    const double weight = half > 0 ? std::pow(0.5, static_cast<double>(k) / half) : 1;
    for (size_t i = 0; i < out.size(); ++i) out[i] += weight * vectors[row][i];
    ++k;
  }
  return out;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_ENCODER_ORACLE_H_
