// The encoders over blocks written once more, in double and for every node of every layer; and the
// blocks of some targets, as whoever gathers neighbourhoods makes them.
#ifndef GROUNDSWELL_TESTS_SUPPORT_LAYERED_ORACLE_H_
#define GROUNDSWELL_TESTS_SUPPORT_LAYERED_ORACLE_H_

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/encoder_oracle.h"
#include "tests/support/transformer_oracle.h"

namespace groundswell {

struct LayeredNeighbor {
  uint32_t node = 0;
  float weight = 1;
};

// A graph of nodes of two sides, of whose nodes each layer reads other neighbours.
struct LayeredGraph {
  std::vector<EncoderSide> side;
  std::vector<std::vector<float>> features;
  std::vector<std::vector<std::vector<LayeredNeighbor>>> neighbors;  // by layer and node

  OracleTable Features() const {
    OracleTable table;
    for (const auto& row : features) table.emplace_back(row.begin(), row.end());
    return table;
  }
};

inline OracleVector OracleNormalized(OracleVector x) {
  const double length = std::max(OracleLength(x), 1e-12);
  for (double& number : x) number /= length;
  return x;
}

inline OracleVector OracleRelu(OracleVector x) {
  for (double& number : x) number = std::max(number, 0.0);
  return x;
}

// The vectors of all nodes.
inline OracleTable OracleGraphsage(const LayeredGraph& graph, const OracleTensors& tensors,
                                   bool is_paper) {
  OracleTable h = graph.Features();
  for (size_t k = 0; k < graph.neighbors.size(); ++k) {
    OracleTable next;
    for (size_t v = 0; v < h.size(); ++v) {
      const bool is_user = graph.side[v] == EncoderSide::kUser;
      const std::string name = "layers." + std::to_string(k) + (is_user ? ".user." : ".item.");
      OracleVector mean(tensors.at(name + "neighbor.weight")[0].size());
      const auto& list = graph.neighbors[k][v];
      for (const LayeredNeighbor& neighbor : list) {
        for (size_t i = 0; i < mean.size(); ++i) {
          mean[i] += h[neighbor.node][i] / static_cast<double>(list.size());
        }
      }
      OracleVector made = OracleProduct(tensors.at(name + "self.weight"), h[v]);
      const OracleVector of_neighbors = OracleProduct(tensors.at(name + "neighbor.weight"), mean);
      if (is_paper) {
        for (size_t i = 0; i < made.size(); ++i) made[i] += of_neighbors[i];
        made = OracleNormalized(OracleRelu(made));
      } else {
        made.insert(made.end(), of_neighbors.begin(), of_neighbors.end());
        if (k + 1 < graph.neighbors.size()) made = OracleRelu(made);
      }
      next.push_back(made);
    }
    h = next;
  }
  for (OracleVector& row : h) row = OracleNormalized(row);
  return h;
}

// The vectors of all nodes; is_normalized: l2'd.
inline OracleTable OracleGat(const LayeredGraph& graph, const OracleTensors& tensors, size_t heads,
                             bool is_normalized) {
  OracleTable h = graph.Features();
  for (size_t k = 0; k < graph.neighbors.size(); ++k) {
    const std::string name = "convs." + std::to_string(k);
    const bool is_last = k + 1 == graph.neighbors.size();
    const OracleTable& att_src = tensors.at(name + ".att_src");  // by head
    const OracleTable& att_dst = tensors.at(name + ".att_dst");
    const size_t width = att_src[0].size();
    OracleTable z, next;
    for (const OracleVector& row : h)
      z.push_back(OracleProduct(tensors.at(name + ".lin.weight"), row));
    const auto logit = [&](const OracleVector& attention, size_t node, size_t head) {
      double sum = 0;
      for (size_t i = 0; i < width; ++i) sum += attention[i] * z[node][head * width + i];
      return sum;
    };
    for (uint32_t v = 0; v < h.size(); ++v) {
      std::vector<uint32_t> nodes{v};
      for (const LayeredNeighbor& neighbor : graph.neighbors[k][v]) {
        if (neighbor.node != v) nodes.push_back(neighbor.node);
      }
      OracleVector made = tensors.at(name + ".bias")[0];
      for (size_t head = 0; head < heads; ++head) {
        OracleVector weight;
        double sum = 0;
        for (const uint32_t node : nodes) {
          double x = logit(att_dst[head], v, head) + logit(att_src[head], node, head);
          if (tensors.contains(name + ".att_bias")) x += tensors.at(name + ".att_bias")[0][head];
          weight.push_back(std::exp(x > 0 ? x : 0.2 * x));
          sum += weight.back();
        }
        for (size_t i = 0; i < nodes.size(); ++i) {
          for (size_t n = 0; n < width; ++n) {
            made[is_last ? n : head * width + n] += weight[i] / sum *
                                                    z[nodes[i]][head * width + n] /
                                                    (is_last ? static_cast<double>(heads) : 1);
          }
        }
      }
      for (double& number : made) number = is_last || number > 0 ? number : std::expm1(number);
      next.push_back(is_last && is_normalized ? OracleNormalized(made) : made);
    }
    h = next;
  }
  return h;
}

// The vectors of all nodes; is_normalized: l2'd.
inline OracleTable OraclePinsage(const LayeredGraph& graph, const OracleTensors& tensors,
                                 bool is_normalized) {
  const TransformerOracle dense{.tensors = tensors};
  OracleTable h = graph.Features();
  for (size_t k = 0; k < graph.neighbors.size(); ++k) {
    const std::string name = "convs." + std::to_string(k);
    OracleTable next;
    for (size_t v = 0; v < h.size(); ++v) {
      OracleVector mean(tensors.at(name + ".Q.bias")[0].size());
      double sum = 0;
      for (const LayeredNeighbor& neighbor : graph.neighbors[k][v]) sum += neighbor.weight;
      for (const LayeredNeighbor& neighbor : graph.neighbors[k][v]) {
        if (sum == 0) continue;
        const OracleVector made = OracleRelu(dense.Dense(name + ".Q", h[neighbor.node]));
        for (size_t i = 0; i < mean.size(); ++i) mean[i] += neighbor.weight * made[i] / sum;
      }
      OracleVector both = h[v];
      both.insert(both.end(), mean.begin(), mean.end());
      next.push_back(OracleNormalized(OracleRelu(dense.Dense(name + ".W", both))));
    }
    h = next;
  }
  for (OracleVector& row : h) {
    row = OracleProduct(tensors.at("G2.weight"), OracleRelu(dense.Dense("G1", row)));
    if (is_normalized) row = OracleNormalized(row);
  }
  return h;
}

// The blocks of some targets, whose lists are in the order that `random` draws.
struct LayeredBlocks {
  struct Layer {
    std::vector<uint32_t> nodes;
    std::vector<EncoderSide> side;
    std::vector<uint32_t> self;
    std::vector<uint64_t> begin{0};
    std::vector<uint32_t> neighbor;
    std::vector<float> weight;
  };

  LayeredBlocks(const LayeredGraph& graph, const std::vector<uint32_t>& targets,
                std::mt19937_64& random)
      : layers(graph.neighbors.size() + 1) {
    layers.back().nodes = targets;
    for (size_t k = graph.neighbors.size(); k > 0; --k) {
      Layer& layer = layers[k];
      std::map<uint32_t, uint32_t> place;
      for (const uint32_t node : layer.nodes) {
        place[node] = 0;
        for (const LayeredNeighbor& neighbor : graph.neighbors[k - 1][node]) {
          place[neighbor.node] = 0;
        }
      }
      std::vector<uint32_t>& below = layers[k - 1].nodes;
      for (const auto& entry : place) below.push_back(entry.first);
      std::shuffle(below.begin(), below.end(), random);
      for (uint32_t i = 0; i < below.size(); ++i) place[below[i]] = i;
      for (const uint32_t node : layer.nodes) {
        layer.self.push_back(place[node]);
        for (const LayeredNeighbor& neighbor : graph.neighbors[k - 1][node]) {
          layer.neighbor.push_back(place[neighbor.node]);
          layer.weight.push_back(neighbor.weight);
        }
        layer.begin.push_back(layer.neighbor.size());
      }
    }
    for (Layer& layer : layers) {
      for (const uint32_t node : layer.nodes) layer.side.push_back(graph.side[node]);
    }
    for (const uint32_t node : layers[0].nodes) features.push_back(graph.features[node]);
    for (size_t k = 1; k < layers.size(); ++k) {
      blocks.push_back({.side = layers[k].side,
                        .self = layers[k].self,
                        .begin = layers[k].begin,
                        .neighbor = layers[k].neighbor,
                        .weight = layers[k].weight});
    }
  }

  EncoderInput Input() const {
    return {.targets = layers.back().nodes.size(),
            .row = {},
            .neighbors = {},
            .clusters = {},
            .features = {},
            .relations = {},
            .blocks = {.side = layers[0].side, .features = features, .layers = blocks}};
  }

  std::vector<Layer> layers;
  std::vector<std::span<const float>> features;
  std::vector<EncoderBlock> blocks;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_LAYERED_ORACLE_H_
