// The encoders of tokens written once more, in double, every token of every layer: what golden
// vectors and property tests compare with.
#ifndef GROUNDSWELL_TESTS_SUPPORT_TRANSFORMER_ORACLE_H_
#define GROUNDSWELL_TESTS_SUPPORT_TRANSFORMER_ORACLE_H_

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/support/encoder_oracle.h"

namespace groundswell {

// A checkpoint's tensors by name, matrices as rows; vectors are one row.
using OracleTensors = std::map<std::string, OracleTable>;

struct TransformerOracle {
  size_t heads = 1;
  bool is_pre_norm = false, is_relu = false, is_causal = false;
  OracleTensors tensors;

  static double Gelu(double x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }

  OracleVector Dense(const std::string& name, const OracleVector& x) const {
    OracleVector y = OracleProduct(tensors.at(name + ".weight"), x);
    for (size_t k = 0; k < y.size(); ++k) y[k] += tensors.at(name + ".bias")[0][k];
    return y;
  }

  OracleVector Norm(const std::string& name, const OracleVector& x) const {
    const auto count = static_cast<double>(x.size());
    double mean = 0, variance = 0;
    for (const double number : x) mean += number / count;
    for (const double number : x) variance += (number - mean) * (number - mean) / count;
    OracleVector y;
    for (size_t k = 0; k < x.size(); ++k) {
      y.push_back((x[k] - mean) / std::sqrt(variance + 1e-5) * tensors.at(name + ".weight")[0][k] +
                  tensors.at(name + ".bias")[0][k]);
    }
    return y;
  }

  static void AddTo(const OracleVector& y, OracleVector& x) {
    for (size_t k = 0; k < x.size(); ++k) x[k] += y[k];
  }

  OracleTable Attend(const std::string& name, const OracleTable& x) const {
    OracleTable projected;
    for (const OracleVector& row : x) {
      projected.push_back(OracleProduct(tensors.at(name + ".in_proj_weight"), row));
      AddTo(tensors.at(name + ".in_proj_bias")[0], projected.back());
    }
    const size_t width = x[0].size(), of_head = width / heads;
    OracleTable out;
    for (size_t t = 0; t < x.size(); ++t) {
      OracleVector attended(width);
      for (size_t head = 0; head < heads; ++head) {
        OracleVector weight(x.size());
        double sum = 0;
        for (size_t j = is_causal ? t : 0; j < x.size(); ++j) {
          double score = 0;
          for (size_t k = head * of_head; k < (head + 1) * of_head; ++k) {
            score += projected[t][k] * projected[j][width + k];
          }
          weight[j] = std::exp(score / std::sqrt(static_cast<double>(of_head)));
          sum += weight[j];
        }
        for (size_t j = 0; j < x.size(); ++j) {
          for (size_t k = head * of_head; k < (head + 1) * of_head; ++k) {
            attended[k] += weight[j] / sum * projected[j][2 * width + k];
          }
        }
      }
      out.push_back(Dense(name + ".out_proj", attended));
    }
    return out;
  }

  OracleVector Mlp(const std::string& name, const OracleVector& x) const {
    OracleVector hidden = Dense(name + ".linear1", x);
    for (double& number : hidden) number = is_relu ? std::max(number, 0.0) : Gelu(number);
    return Dense(name + ".linear2", hidden);
  }

  // All of PREFIXlayers.0, PREFIXlayers.1, ..
  OracleTable Layers(const std::string& prefix, OracleTable x) const {
    for (size_t l = 0;; ++l) {
      const std::string name = prefix + "layers." + std::to_string(l);
      if (!tensors.contains(name + ".self_attn.in_proj_weight")) return x;
      OracleTable read = x;
      for (OracleVector& row : read) row = is_pre_norm ? Norm(name + ".norm1", row) : row;
      const OracleTable attended = Attend(name + ".self_attn", read);
      for (size_t t = 0; t < x.size(); ++t) {
        AddTo(attended[t], x[t]);
        if (!is_pre_norm) x[t] = Norm(name + ".norm1", x[t]);
        AddTo(Mlp(name, is_pre_norm ? Norm(name + ".norm2", x[t]) : x[t]), x[t]);
        if (!is_pre_norm) x[t] = Norm(name + ".norm2", x[t]);
      }
    }
  }

  // l2( output.2 GELU( output.0 x ) )
  OracleVector Output(const OracleVector& x) const {
    OracleVector hidden = Dense("output.0", x);
    for (double& number : hidden) number = Gelu(number);
    OracleVector out = Dense("output.2", hidden);
    const double length = std::max(OracleLength(out), 1e-12);
    for (double& number : out) number /= length;
    return out;
  }
};

struct OracleEvent {
  OracleVector vector;  // empty: none
  double count = 1;
  double time_s = 0;
};

// PinnerFormer. `first`, unless it is null, is what x_0 is before the layers.
inline OracleVector OraclePinnerformer(const TransformerOracle& model, size_t max_history,
                                       const std::vector<OracleEvent>& newest,
                                       OracleVector* first = nullptr) {
  std::vector<OracleEvent> events;
  for (const OracleEvent& event : newest) {
    if (!event.vector.empty() && events.size() < max_history) events.push_back(event);
  }
  const size_t dim = model.tensors.at("output.2.weight").size();
  if (events.empty()) return OracleVector(dim);
  OracleTable x;
  for (size_t j = 0; j < events.size(); ++j) {
    OracleVector token = events[j].vector;
    token.push_back(std::log(1 + events[j].count));
    const double gap = j + 1 < events.size() ? events[j].time_s - events[j + 1].time_s : 0;
    const std::pair<const char*, double> times[] = {
        {"absolute", events[j].time_s}, {"age", events[0].time_s - events[j].time_s}, {"gap", gap}};
    for (const auto& [name, seconds] : times) {
      const OracleVector& periods = model.tensors.at(std::string("time.") + name + ".period")[0];
      const OracleTable& phase = model.tensors.at(std::string("time.") + name + ".phase");
      for (const size_t part : {0, 1}) {
        for (size_t p = 0; p < periods.size(); ++p) {
          const double turns = seconds / periods[p] - std::floor(seconds / periods[p]);
          const double angle = 2 * std::acos(-1.0) * turns + phase[part][p];
          token.push_back(part == 0 ? std::cos(angle) : std::sin(angle));
        }
      }
      token.push_back(std::log(1 + seconds));
    }
    x.push_back(model.Dense("input", token));
    TransformerOracle::AddTo(model.tensors.at("position.weight")[j], x.back());
  }
  if (first != nullptr) *first = x[0];
  return model.Output(model.Norm("output.norm", model.Layers("", x)[0]));
}

struct OracleRelation {
  std::string name;
  bool is_of_items = true;
  size_t neighbors = 0;  // at most
};

struct OracleRelated {
  OracleVector features;  // of an item
  size_t entity = 0;      // row of an entity; beyond the table: unknown
  double weight = 1;
};

inline OracleVector OracleHeteroMlp(const TransformerOracle& model, const std::string& name,
                                    const OracleVector& x) {
  OracleVector hidden = model.Dense(name + ".0", x);
  for (double& number : hidden) number = std::max(number, 0.0);
  return model.Dense(name + ".2", hidden);
}

// OmniSage's "one" or MultiBiSage's "per_graph", of one target with these neighbours by relation.
inline OracleVector OracleHetero(const TransformerOracle& model, bool is_per_graph,
                                 const std::vector<OracleRelation>& relations,
                                 const OracleVector& features,
                                 const std::vector<std::vector<OracleRelated>>& related) {
  const OracleVector self = OracleHeteroMlp(model, "self", features);
  const auto at = [&](OracleVector x, const std::string& table, size_t slot) {
    TransformerOracle::AddTo(model.tensors.at(table)[slot], x);
    return x;
  };
  OracleTable tokens{at(model.tensors.at("cls")[0], "position.weight", 0)};
  if (!is_per_graph) tokens.push_back(at(self, "position.weight", 1));
  size_t slot = 2;
  for (size_t r = 0; r < relations.size(); ++r) {
    const std::string& name = relations[r].name;
    OracleTable neighbors;
    for (const OracleRelated& one : related[r]) {
      if (neighbors.size() == relations[r].neighbors) break;
      OracleVector token;
      if (relations[r].is_of_items) {
        token = OracleHeteroMlp(model, name + ".mlp", one.features);
      } else {
        const OracleTable& embed = model.tensors.at(name + ".embed.weight");
        token = embed[one.entity < embed.size() ? one.entity : 0];
      }
      for (size_t k = 0; k < token.size(); ++k) {
        token[k] *= model.tensors.at(name + ".gate.weight")[k][0] * std::log(1 + one.weight) +
                    model.tensors.at(name + ".gate.bias")[0][k];
      }
      neighbors.push_back(token);
    }
    if (is_per_graph) {
      const std::string position = name + ".position.weight";
      OracleTable of_graph{at(model.tensors.at(name + ".cls")[0], position, 0),
                           at(self, position, 1)};
      for (const OracleVector& token : neighbors) {
        of_graph.push_back(at(token, position, of_graph.size()));
      }
      tokens.push_back(at(model.Layers(name + ".", of_graph)[0], "position.weight", r + 1));
    } else {
      for (size_t i = 0; i < neighbors.size(); ++i) {
        tokens.push_back(at(neighbors[i], "position.weight", slot + i));
      }
      slot += relations[r].neighbors;
    }
  }
  return model.Output(model.Layers("", tokens)[0]);
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_TRANSFORMER_ORACLE_H_
