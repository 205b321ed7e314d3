#include "tests/property/sequence_oracle.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <stdexcept>

namespace groundswell {
namespace {

using OracleVector = SequenceOracle::Vector;

constexpr double kOracleUnknown = -std::numeric_limits<double>::infinity();

double OracleSigmoid(double x) { return 1 / (1 + std::exp(-x)); }

OracleVector Concat(std::initializer_list<OracleVector> parts) {
  OracleVector whole;
  for (const OracleVector& part : parts) whole.insert(whole.end(), part.begin(), part.end());
  return whole;
}

double OracleDot(const OracleVector& a, const OracleVector& b) {
  double sum = 0;
  for (size_t k = 0; k < a.size(); ++k) sum += a.at(k) * b.at(k);
  return sum;
}

OracleVector Times(const OracleVector& a, const OracleVector& b) {
  OracleVector product;
  for (size_t k = 0; k < a.size(); ++k) product.push_back(a.at(k) * b.at(k));
  return product;
}

}  // namespace

OracleVector SequenceOracle::Row(const std::string& table, size_t row) const {
  const SequenceTensor& tensor = tensors.at(table);
  const size_t width = tensor.shape.size() == 1 ? 1 : tensor.shape[1];
  OracleVector values;
  for (size_t k = 0; k < width; ++k) values.push_back(tensor.values.at(row * width + k));
  return values;
}

OracleVector SequenceOracle::Embed(uint32_t item) const {
  OracleVector e = Row("item_embed.weight", item);
  if (tensors.contains("cate_embed.weight")) {
    e = Concat({e, Row("cate_embed.weight", static_cast<size_t>(categories.at(item)))});
  }
  return e;
}

OracleVector SequenceOracle::Layer(const std::string& name, const Vector& x) const {
  const SequenceTensor& weight = tensors.at(name + ".weight");
  Vector y;
  for (size_t row = 0; row < weight.shape[0]; ++row) {
    y.push_back(OracleDot(Row(name + ".weight", row), x));
    if (tensors.contains(name + ".bias")) y.back() += Row(name + ".bias", row)[0];
  }
  return y;
}

void SequenceOracle::Activate(const std::string& activation, const std::string& name,
                              Vector& x) const {
  for (size_t k = 0; k < x.size(); ++k) {
    const double z = x[k];
    if (activation == "relu") {
      x[k] = std::max(z, 0.0);
    } else if (activation == "sigmoid") {
      x[k] = OracleSigmoid(z);
    } else {
      const double p = OracleSigmoid((z - Row(name + ".mean", k)[0]) / Row(name + ".std", k)[0]);
      x[k] = p * z + Row(name + ".alpha", k)[0] * (1 - p) * z;
    }
  }
}

double SequenceOracle::Mlp(const std::string& name, const Vector& x,
                           const std::string& activation) const {
  Vector z = Layer(name + ".0", x);
  Activate(activation, name + ".1", z);
  z = Layer(name + ".2", z);
  Activate(activation, name + ".3", z);
  return Layer(name + ".4", z)[0];
}

std::vector<uint32_t> SequenceOracle::History(const User& user) const {
  const size_t n = std::min(user.newest_first.size(), max_history);
  std::vector<uint32_t> items(user.newest_first.begin(), user.newest_first.begin() + n);
  std::reverse(items.begin(), items.end());
  return items;
}

std::vector<OracleVector> SequenceOracle::Embedded(const User& user) const {
  std::vector<Vector> embedded;
  for (const uint32_t item : History(user)) embedded.push_back(Embed(item));
  return embedded;
}

std::vector<OracleVector> SequenceOracle::GruStates(const std::string& name,
                                                    const std::vector<Vector>& x,
                                                    bool resets_after) const {
  const size_t h = tensors.at(name + ".candidate.weight").shape[0];
  Vector s(h, 0.0);
  std::vector<Vector> states;
  for (const Vector& input : x) {
    Vector gates = Layer(name + ".gates", Concat({input, s}));
    for (double& gate : gates) gate = OracleSigmoid(gate);
    const Vector r(gates.begin(), gates.begin() + h);
    Vector c;
    if (resets_after) {
      const Vector of_input = Layer(name + ".candidate", Concat({input, Vector(h, 0.0)}));
      const Vector all = Layer(name + ".candidate", Concat({input, s}));
      for (size_t k = 0; k < h; ++k) {
        const double of_state = all[k] - of_input[k] + Row(name + ".candidate.state_bias", k)[0];
        c.push_back(std::tanh(of_input[k] + r[k] * of_state));
      }
    } else {
      c = Layer(name + ".candidate", Concat({input, Times(r, s)}));
      for (double& value : c) value = std::tanh(value);
    }
    for (size_t k = 0; k < h; ++k) s[k] = gates[h + k] * s[k] + (1 - gates[h + k]) * c[k];
    states.push_back(s);
  }
  return states;
}

double SequenceOracle::ScoreNcf(const User& user, uint32_t candidate) const {
  if (candidate == 0) return kOracleUnknown;
  Vector z = Concat({Row("user_mlp.weight", user.row), Row("item_mlp.weight", candidate)});
  for (size_t layer = 0; tensors.contains("mlp." + std::to_string(layer) + ".weight"); layer += 2) {
    z = Layer("mlp." + std::to_string(layer), z);
    Activate("relu", "", z);
  }
  const Vector gmf = Times(Row("user_gmf.weight", user.row), Row("item_gmf.weight", candidate));
  return Layer("output", Concat({gmf, z}))[0];
}

double SequenceOracle::ScoreGru4rec(const User& user, uint32_t candidate) const {
  const bool resets_after = model.Option("reset", "before") == "after";
  const Vector s = GruStates("gru", Embedded(user), resets_after).back();
  if (!model.IsOriginal()) return Mlp("head", Concat({s, Embed(candidate)}), "relu");
  if (candidate == 0) return kOracleUnknown;
  return OracleDot(Row("output.weight", candidate), s) + Row("output.bias", candidate)[0];
}

double SequenceOracle::Score(const User& user, uint32_t candidate) const {
  if (model.kind == "ncf") return ScoreNcf(user, candidate);
  if (model.kind == "gru4rec") return ScoreGru4rec(user, candidate);
  throw std::logic_error("no oracle of " + model.kind);
}

}  // namespace groundswell
