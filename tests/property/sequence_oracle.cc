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

OracleVector Minus(const OracleVector& a, const OracleVector& b) {
  OracleVector difference;
  for (size_t k = 0; k < a.size(); ++k) difference.push_back(a.at(k) - b.at(k));
  return difference;
}

// sum_i weight_i rows_i
OracleVector WeightedSum(const OracleVector& weights, const std::vector<OracleVector>& rows) {
  OracleVector sum(rows.at(0).size(), 0.0);
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t k = 0; k < sum.size(); ++k) sum[k] += weights.at(i) * rows[i].at(k);
  }
  return sum;
}

OracleVector OracleSoftmax(const OracleVector& x) {
  const double largest = *std::max_element(x.begin(), x.end());
  double sum = 0;
  OracleVector y;
  for (const double value : x) {
    y.push_back(std::exp(value - largest));
    sum += y.back();
  }
  for (double& value : y) value /= sum;
  return y;
}

}  // namespace

OracleVector SequenceOracle::Row(const std::string& table, size_t row) const {
  const CheckpointTensor& tensor = tensors.at(table);
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
  const CheckpointTensor& weight = tensors.at(name + ".weight");
  const auto bias = tensors.find(name + ".bias");
  Vector y(weight.shape[0], 0.0);
  if (weight.shape[1] != x.size()) throw std::logic_error("the inputs of " + name);
  for (size_t row = 0; row < y.size(); ++row) {
    const float* const w = weight.values.data() + row * x.size();
    for (size_t k = 0; k < x.size(); ++k) y[row] += double{w[k]} * x[k];
    if (bias != tensors.end()) y[row] += double{bias->second.values.at(row)};
  }
  return y;
}

void SequenceOracle::Activate(const std::string& activation, const std::string& name,
                              Vector& x) const {
  if (activation == "relu") {
    for (double& z : x) z = std::max(z, 0.0);
  } else if (activation == "sigmoid") {
    for (double& z : x) z = OracleSigmoid(z);
  } else {
    const std::vector<float>& mean = tensors.at(name + ".mean").values;
    const std::vector<float>& std = tensors.at(name + ".std").values;
    const std::vector<float>& alpha = tensors.at(name + ".alpha").values;
    for (size_t k = 0; k < x.size(); ++k) {
      const double z = x[k];
      const double p = OracleSigmoid((z - double{mean.at(k)}) / double{std.at(k)});
      x[k] = p * z + double{alpha.at(k)} * (1 - p) * z;
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

OracleVector SequenceOracle::Attention(const Vector& t, const std::vector<Vector>& keys,
                                       const std::string& activation) const {
  Vector q = t;
  if (tensors.contains("target.query.weight")) {
    q = Layer("target.query", t);
    for (size_t k = 0; k < q.size(); ++k) {
      q[k] = std::max(q[k], 0.0) + Row("target.query.alpha", k)[0] * std::min(q[k], 0.0);
    }
  }
  Vector scores;
  for (const Vector& key : keys) {
    const Vector a =
        tensors.contains("target.attention.weight") ? Layer("target.attention", key) : key;
    scores.push_back(Mlp("target.mlp", Concat({a, q, Minus(a, q), Times(a, q)}), activation));
  }
  return OracleSoftmax(scores);
}

double SequenceOracle::ScoreDin(const User& user, uint32_t candidate) const {
  const std::vector<Vector> x = Embedded(user);
  const Vector t = Embed(candidate);
  const Vector pooled = WeightedSum(Attention(t, x, model.IsOriginal() ? "sigmoid" : "relu"), x);
  if (!model.IsOriginal()) {
    return Mlp("head", Concat({t, WeightedSum(Vector(x.size(), 1.0), x), pooled}), "relu");
  }
  const Vector u = Layer("user", pooled);
  return Mlp("head", Concat({u, t, Times(u, t)}), model.Option("activation", "sigmoid")) +
         Row("item_bias", candidate)[0];
}

double SequenceOracle::ScoreDien(const User& user, uint32_t candidate) const {
  const std::vector<Vector> x = Embedded(user);
  const bool has_gru = model.Option("first_layer", "gru") == "gru";
  const std::vector<Vector> interests =
      has_gru ? GruStates("gru", x, model.Option("reset", "before") == "after") : x;
  const Vector t = Embed(candidate);
  const std::string activation = model.Option("activation", "dice");
  const Vector att = Attention(t, interests, model.IsOriginal() ? "sigmoid" : activation);
  const size_t g = tensors.at("augru.candidate.bias").values.size();
  Vector s(g, 0.0);
  for (size_t i = 0; i < interests.size(); ++i) {
    Vector gates = Layer("augru.gates", Concat({interests[i], s}));
    Activate("sigmoid", "", gates);
    const Vector r(gates.begin(), gates.begin() + static_cast<ptrdiff_t>(g));
    const Vector c = Layer("augru.candidate", Concat({interests[i], Times(r, s)}));
    for (size_t k = 0; k < g; ++k) {
      const double u = gates[g + k];
      const bool is_paper = model.Option("augru", "code") == "paper";
      const double kept = is_paper ? 1 - att[i] * (1 - u) : (1 - att[i]) * u;
      s[k] = kept * s[k] + (1 - kept) * std::tanh(c[k]);
    }
  }
  const Vector sum = WeightedSum(Vector(x.size(), 1.0), x);
  if (!model.IsOriginal()) return Mlp("head", Concat({t, s, sum, Times(t, sum)}), activation);
  return Mlp("head", Concat({Row("user_embed.weight", user.row), t, sum, Times(t, sum), s}),
             "dice");
}

double SequenceOracle::TimeFeature(int64_t time_us) const {
  const double unit_us = std::stod(model.Option("time_unit_s", "86400")) * 1e6;
  return std::log(std::max(static_cast<double>(time_us) / unit_us, 0.5));
}

OracleVector SequenceOracle::SlirecLongTerm(const std::vector<Vector>& x) const {
  std::vector<Vector> rows = x;
  if (model.Option("padding", "included") == "included") rows.resize(max_history, Embed(0));
  Vector query;
  for (size_t k = 0; k < x[0].size(); ++k) query.push_back(Row("long.query", k)[0]);
  Vector scores;
  for (const Vector& row : rows) scores.push_back(OracleDot(query, row));
  return WeightedSum(OracleSoftmax(scores), rows);
}

std::vector<OracleVector> SequenceOracle::SlirecStates(const User& user,
                                                       const Vector& to_now) const {
  const std::vector<uint32_t> items = History(user);
  const bool is_first_action = model.Option("time_last", "first_action") == "first_action";
  const auto time_layer = [&](const std::string& name, double time) {
    Vector x;
    for (size_t k = 0; k < tensors.at(name + ".input.bias").values.size(); ++k) {
      x.push_back(
          std::tanh(time * Row(name + ".input.weight", k)[0] + Row(name + ".input.bias", k)[0]));
    }
    return x;
  };
  const size_t h = tensors.at("lstm.now.bias").values.size();
  Vector m(h, 0.0), c(h, 0.0);
  std::vector<Vector> states;
  for (size_t position = 0; position < items.size(); ++position) {
    const size_t at = items.size() - 1 - position;  // newest first
    double last = 0;
    if (is_first_action) {
      last = TimeFeature((at == 0 ? user.now_us : user.times_us[at - 1]) - user.first_time_us);
    } else if (at + 1 < user.times_us.size()) {
      last = TimeFeature(user.times_us[at] - user.times_us[at + 1]);
    }
    const Vector y = Row("item_embed.weight", items[position]);
    const Vector tn = time_layer("lstm.now", to_now[position]);
    const Vector tl = time_layer("lstm.last", last);
    Vector now_gate = Layer("lstm.now", Concat({y, tn}));
    Vector last_gate = Layer("lstm.last", Concat({y, tl}));
    const Vector gates = Layer("lstm.gates", Concat({y, m}));
    const Vector of_times = Layer("lstm.output.time", Concat({tn, tl}));
    for (size_t k = 0; k < h; ++k) {
      c[k] = OracleSigmoid(gates[2 * h + k]) * OracleSigmoid(last_gate[k]) * c[k] +
             OracleSigmoid(gates[k]) * OracleSigmoid(now_gate[k]) * std::tanh(gates[h + k]);
      m[k] = OracleSigmoid(gates[3 * h + k] + of_times[k]) * std::tanh(c[k]);
    }
    states.push_back(m);
  }
  return states;
}

double SequenceOracle::ScoreSlirec(const User& user, uint32_t candidate) const {
  const std::vector<Vector> x = Embedded(user);
  Vector to_now;
  for (size_t at = x.size(); at-- > 0;) {
    to_now.push_back(TimeFeature(user.now_us - user.times_us[at]));
  }
  const std::vector<Vector> states = SlirecStates(user, to_now);
  const Vector long_term = SlirecLongTerm(x);
  const Vector t = Embed(candidate);
  const Vector short_term = WeightedSum(Attention(t, states, "relu"), states);
  const bool has_tau = x.size() == max_history || model.Option("padding", "included") == "masked";
  const Vector tau{has_tau ? to_now.back() : 0.0};
  const double a = OracleSigmoid(Mlp("alpha", Concat({t, long_term, short_term, tau}), "relu"));
  return Mlp("head", Concat({WeightedSum({a, 1 - a}, {long_term, short_term}), t}), "relu");
}

OracleVector SequenceOracle::Horizontal(const std::string& prefix,
                                        const std::vector<Vector>& picture) const {
  Vector features;
  for (size_t k = 1; tensors.contains(prefix + std::to_string(k) + ".weight"); ++k) {
    const std::string name = prefix + std::to_string(k);
    Vector largest(tensors.at(name + ".bias").values.size(), 0.0);
    for (size_t begin = 0; begin + k <= picture.size(); ++begin) {
      Vector window;
      for (size_t at = begin; at < begin + k; ++at) window = Concat({window, picture[at]});
      const Vector filtered = Layer(name, window);
      for (size_t i = 0; i < largest.size(); ++i) largest[i] = std::max(largest[i], filtered[i]);
    }
    features = Concat({features, largest});
  }
  return features;
}

OracleVector SequenceOracle::CaserPart(const std::string& prefix, const std::string& table,
                                       bool is_category, const User& user) const {
  std::vector<Vector> picture;
  const auto add = [&](uint32_t item) {
    picture.push_back(
        Row(table, is_category ? static_cast<size_t>(categories.at(item)) : size_t{item}));
  };
  for (const uint32_t item : History(user)) add(item);
  const bool is_masked = model.Option("padding", "included") == "masked";
  const size_t n = picture.size();
  while (picture.size() < max_history) add(0);
  Vector flat;
  for (size_t at = 0; at < picture.size(); ++at) {
    const bool counts = at < n || !is_masked;
    flat = Concat({flat, counts ? picture[at] : Vector(picture[at].size(), 0.0)});
  }
  Vector vertical = Layer(prefix + "vertical", flat);
  Activate("relu", "", vertical);
  if (is_masked) picture.resize(n);
  return Concat({vertical, Horizontal(prefix + "horizontal.", picture)});
}

double SequenceOracle::ScoreCaser(const User& user, uint32_t candidate) const {
  if (!model.IsOriginal()) {
    return Mlp("head",
               Concat({CaserPart("item.", "item_embed.weight", false, user),
                       CaserPart("cate.", "cate_embed.weight", true, user), Embed(candidate)}),
               "relu");
  }
  if (candidate == 0) return kOracleUnknown;
  std::vector<Vector> picture = Embedded(user);
  while (picture.size() < max_history) picture.insert(picture.begin(), Embed(0));
  Vector features;
  for (size_t filter = 0; filter < tensors.at("vertical.bias").values.size(); ++filter) {
    Vector sum = WeightedSum(Row("vertical.weight", filter), picture);
    for (double& value : sum) value += Row("vertical.bias", filter)[0];
    features = Concat({features, sum});
  }
  Vector z = Layer("fc", Concat({features, Horizontal("horizontal.", picture)}));
  Activate("relu", "", z);
  return OracleDot(Row("output.weight", candidate),
                   Concat({z, Row("user_embed.weight", user.row)})) +
         Row("output.bias", candidate)[0];
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
  if (model.kind == "din") return ScoreDin(user, candidate);
  if (model.kind == "caser") return ScoreCaser(user, candidate);
  if (model.kind == "dien") return ScoreDien(user, candidate);
  if (model.kind == "slirec") return ScoreSlirec(user, candidate);
  throw std::logic_error("no oracle of " + model.kind);
}

}  // namespace groundswell
