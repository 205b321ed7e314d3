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
