#include "tests/property/surge_oracle.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace groundswell {
namespace {

using Vector = std::vector<double>;
using Table = std::vector<Vector>;

// Scores closer to their threshold than this are left undecided; f32 softmaxes err by less.
constexpr double kUndecided = 3e-7;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double Relu(double x) { return x > 0 ? x : 0; }
double Leaky(double x) { return x > 0 ? x : 0.2 * x; }

Table TableOf(const CheckpointTensor& tensor) {
  const size_t columns = tensor.shape.back();
  Table table(tensor.shape[0], Vector(columns));
  for (size_t i = 0; i < table.size(); ++i) {
    for (size_t j = 0; j < columns; ++j) table[i][j] = tensor.values[i * columns + j];
  }
  return table;
}

Vector Concat(const std::vector<Vector>& parts) {
  Vector whole;
  for (const Vector& part : parts) whole.insert(whole.end(), part.begin(), part.end());
  return whole;
}

Vector Product(const Vector& a, const Vector& b) {
  Vector c(a.size());
  for (size_t k = 0; k < a.size(); ++k) c[k] = a[k] * b[k];
  return c;
}

Vector Difference(const Vector& a, const Vector& b) {
  Vector c(a.size());
  for (size_t k = 0; k < a.size(); ++k) c[k] = a[k] - b[k];
  return c;
}

// sum_j weights_j rows_j
Vector Mixture(const Vector& weights, const Table& rows) {
  Vector sum(rows[0].size());
  for (size_t j = 0; j < weights.size(); ++j) {
    for (size_t k = 0; k < sum.size(); ++k) sum[k] += weights[j] * rows[j][k];
  }
  return sum;
}

// Softmax over the elements whose mask is 1; 0 elsewhere. All 0 when none is.
Vector MaskedSoftmax(const Vector& x, const Vector& mask) {
  double largest = -1e300;
  for (size_t j = 0; j < x.size(); ++j) {
    if (mask[j] > 0) largest = std::max(largest, x[j]);
  }
  Vector out(x.size());
  double sum = 0;
  for (size_t j = 0; j < x.size(); ++j) {
    if (mask[j] > 0) sum += out[j] = std::exp(x[j] - largest);
  }
  for (double& value : out) value = sum > 0 ? value / sum : 0;
  return out;
}

Vector Softmax(const Vector& x) { return MaskedSoftmax(x, Vector(x.size(), 1)); }

// One request of one candidate.
class Forward {
 public:
  Forward(const SurgeOracle& oracle, const std::vector<uint32_t>& newest_first, uint32_t candidate)
      : oracle_(oracle), n_(std::min(newest_first.size(), oracle.max_history)) {
    for (size_t i = n_; i-- > 0;) x_.push_back(Embed(newest_first[i]));
    target_ = Embed(candidate);
  }

  SurgeOracle::Result Score() {
    const double logit = oracle_.variant == "authors" ? Authors() : Paper();
    return {logit, is_decided_};
  }

 private:
  Vector Embed(uint32_t item) const {
    return Concat({TableOf(oracle_.tensors.at("item_embed.weight"))[item],
                   TableOf(oracle_.tensors.at("cate_embed.weight"))[oracle_.categories[item]]});
  }

  // W x, and + b where the layer has one.
  Vector Layer(const std::string& name, const Vector& x) const {
    const Table weight = TableOf(oracle_.tensors.at(name + ".weight"));
    Vector out(weight.size());
    const auto bias = oracle_.tensors.find(name + ".bias");
    for (size_t i = 0; i < out.size(); ++i) {
      if (bias != oracle_.tensors.end()) out[i] = bias->second.values[i];
      for (size_t j = 0; j < x.size(); ++j) out[i] += weight[i][j] * x[j];
    }
    return out;
  }

  // Layers NAME.0, NAME.2, ... with the activation between them, to one number.
  double Mlp(const std::string& name, Vector x, double (*activation)(double)) const {
    for (int layer = 0;; layer += 2) {
      x = Layer(name + "." + std::to_string(layer), x);
      if (!oracle_.tensors.contains(name + "." + std::to_string(layer + 2) + ".weight"))
        return x[0];
      for (double& value : x) value = activation(value);
    }
  }

  // Cosines of the rows weighed by each head; normalised row by row, if so.
  Table Similarity(const Table& rows, bool normalise) const {
    const Table metric = TableOf(oracle_.tensors.at("metric.weight"));
    Table mean(rows.size(), Vector(rows.size()));
    for (const Vector& head : metric) {
      Table unit;
      for (const Vector& row : rows) {
        Vector y = Product(row, head);
        double squares = 0;
        for (const double value : y) squares += value * value;
        for (double& value : y) value /= std::sqrt(std::max(squares, 1e-12));
        unit.push_back(y);
      }
      for (size_t i = 0; i < rows.size(); ++i) {
        Vector cosines(rows.size());
        for (size_t j = 0; j < rows.size(); ++j) {
          for (size_t k = 0; k < unit[i].size(); ++k) cosines[j] += unit[i][k] * unit[j][k];
        }
        const double least = *std::min_element(cosines.begin(), cosines.end());
        const double most = *std::max_element(cosines.begin(), cosines.end());
        for (size_t j = 0; j < rows.size(); ++j) {
          double value = cosines[j];
          if (normalise) value = most - least > 1e-10 ? (value - least) / (most - least) : 0;
          mean[i][j] += value / static_cast<double>(metric.size());
        }
      }
    }
    return mean;
  }

  Table AuthorsAdjacency() const {
    Table padded = x_;
    padded.resize(oracle_.max_history, Embed(0));
    Table s = Similarity(padded, /*normalise=*/true);
    Vector all;
    size_t nonzero = 0;
    for (size_t i = 0; i < s.size(); ++i) {
      for (size_t j = 0; j < s.size(); ++j) {
        if (i >= n_ || j >= n_ || s[i][j] < 1e-6) s[i][j] = 0;
        nonzero += s[i][j] != 0 ? 1 : 0;
        all.push_back(s[i][j]);
      }
    }
    std::sort(all.begin(), all.end(), std::greater<>());
    const double threshold = all.at((nonzero + 1) / 2) + kEqual;
    Table a(n_, Vector(n_));
    for (size_t i = 0; i < n_; ++i) {
      for (size_t j = 0; j < n_; ++j) a[i][j] = i == j || s[i][j] > threshold ? 1 : 0;
    }
    return a;
  }

  Table PaperAdjacency() const {
    const Table m = Similarity(x_, /*normalise=*/false);
    Vector all;
    for (const Vector& row : m) all.insert(all.end(), row.begin(), row.end());
    std::sort(all.begin(), all.end(), std::greater<>());
    const double threshold = all[(n_ * n_ + 1) / 2 - 1] - kEqual;
    Table a(n_, Vector(n_));
    for (size_t i = 0; i < n_; ++i) {
      for (size_t j = 0; j < n_; ++j) a[i][j] = m[i][j] >= threshold ? 1 : 0;
    }
    return a;
  }

  // softmax over the rows x of MLP([a, q, a - q, a * q]), one query per row.
  Vector Attend(const std::string& name, const Table& queries, const Table& x) const {
    Vector out;
    for (size_t i = 0; i < x.size(); ++i) {
      const Vector a = Layer(name + ".attention", x[i]);
      const Vector& q = queries[i];
      out.push_back(Mlp(name + ".mlp", Concat({a, q, Difference(a, q), Product(a, q)}), Relu));
    }
    return Softmax(out);
  }

  // An An x
  static Table Propagated(const Table& a, Table x) {
    Vector degree;
    for (const Vector& row : a) {
      double sum = 0;
      for (const double value : row) sum += value;
      degree.push_back(std::sqrt(sum) + 1e-7);
    }
    for (int hop = 0; hop < 2; ++hop) {
      Table next;
      for (size_t i = 0; i < a.size(); ++i) {
        Vector weights = a[i];
        for (size_t j = 0; j < a.size(); ++j) weights[j] /= degree[i] * degree[j];
        next.push_back(Mixture(weights, x));
      }
      x = next;
    }
    return x;
  }

  // Row i: LeakyReLU(W_f sum_j E_ij x_j + x_i)
  Table Fused(const Table& e) const {
    Table fused;
    for (size_t i = 0; i < n_; ++i) {
      Vector row = Layer("fusion.dense", Mixture(e[i], x_));
      for (size_t k = 0; k < row.size(); ++k) row[k] = Leaky(row[k] + x_[i][k]);
      fused.push_back(row);
    }
    return fused;
  }

  Vector Augru(const Table& rows, const Vector& attention) const {
    Vector state(oracle_.tensors.at("augru.candidate.weight").shape[0]);
    const size_t h = state.size();
    for (size_t step = 0; step < rows.size(); ++step) {
      Vector gates = Layer("augru.gates", Concat({rows[step], state}));
      for (double& gate : gates) gate = Sigmoid(gate);
      const Vector reset(gates.begin(), gates.begin() + static_cast<ptrdiff_t>(h));
      const Vector c = Layer("augru.candidate", Concat({rows[step], Product(reset, state)}));
      for (size_t k = 0; k < h; ++k) {
        const double update = (1 - attention[step]) * gates[h + k];
        state[k] = update * state[k] + (1 - update) * std::tanh(c[k]);
      }
    }
    return state;
  }

  double Head(const Vector& state, const Vector& readout) const {
    return Mlp("head", Concat({state, readout, target_, Product(readout, target_)}), Relu);
  }

  double Authors() {
    const Table a = AuthorsAdjacency();
    // Fusion, with the query's attention that the served one leaves out, since it cancels.
    const Vector f1 = Attend("f1", Propagated(a, x_), x_);
    const Vector f2 = Attend("f2", Table(n_, target_), x_);
    Table e;
    for (size_t i = 0; i < n_; ++i) {
      Vector sum = f1;
      for (double& value : sum) value += f2[i];
      e.push_back(MaskedSoftmax(sum, a[i]));
    }
    const Table fused = Fused(e);
    const Vector own = Attend("f1", Propagated(a, fused), fused);
    Vector score = Attend("f2", Table(n_, target_), fused);
    for (size_t i = 0; i < n_; ++i) score[i] += own[i];
    score = Softmax(score);
    double threshold = 1e-7;
    if (n_ > oracle_.pool_length) {
      Vector ranked = score;
      std::sort(ranked.begin(), ranked.end(), std::greater<>());
      threshold += ranked[oracle_.pool_length];
    }
    Table kept;
    Vector kept_score;
    for (size_t i = 0; i < n_; ++i) {
      // Not only those around the threshold, but equal ones are decided: equal items are.
      const double distance = std::abs(score[i] - threshold);
      if (distance < kUndecided && std::abs(distance - 1e-7) > 1e-15) is_decided_ = false;
      if (score[i] > threshold) {
        kept.push_back(fused[i]);
        kept_score.push_back(score[i]);
      }
    }
    if (kept.empty()) return Head(Augru({}, {}), Vector(target_.size()));
    const Vector attention = Attend("augru_attention", Table(kept.size(), target_), kept);
    return Head(Augru(kept, attention), Mixture(kept_score, kept));
  }

  // MLP([W x, y, W x * y]) of every row x, y_i per row.
  Vector Transformed(const std::string& name, const Table& y) const {
    Vector out;
    for (size_t i = 0; i < n_; ++i) {
      const Vector a = Layer(name + ".transform", x_[i]);
      out.push_back(Mlp(name + ".mlp", Concat({a, y[i], Product(a, y[i])}), Leaky));
    }
    return out;
  }

  double Paper() {
    const Table a = PaperAdjacency();
    Table neighbours;  // hc
    for (const Vector& row : a) {
      double sum = 0;
      for (const double value : row) sum += value;
      Vector mean = Mixture(row, x_);
      for (double& value : mean) value /= std::max(sum, 1.0);
      neighbours.push_back(mean);
    }
    const Vector alpha = Transformed("cluster", neighbours);
    const Vector beta = Transformed("query", Table(n_, target_));
    Table e;
    for (size_t i = 0; i < n_; ++i) {
      Vector sum = beta;
      for (double& value : sum) value += alpha[i];
      e.push_back(MaskedSoftmax(sum, a[i]));
    }
    const Table fused = Fused(e);
    Table s;
    for (const Vector& row : a) s.push_back(Softmax(Layer("pool", Mixture(row, fused))));
    const Vector gamma = Softmax(beta);
    Table clusters;
    Vector cluster_gamma;
    for (size_t c = 0; c < s[0].size(); ++c) {
      Vector weights;
      for (size_t i = 0; i < n_; ++i) weights.push_back(s[i][c]);
      clusters.push_back(Mixture(weights, fused));
      double sum = 0;
      for (size_t i = 0; i < n_; ++i) sum += weights[i] * gamma[i];
      cluster_gamma.push_back(sum);
    }
    return Head(Augru(clusters, cluster_gamma), Mixture(gamma, fused));
  }

  // Similarities that differ by less are the same one.
  static constexpr double kEqual = 1e-11;

  const SurgeOracle& oracle_;
  const size_t n_;
  Table x_;
  Vector target_;
  bool is_decided_ = true;
};

}  // namespace

SurgeOracle::Result SurgeOracle::Score(const std::vector<uint32_t>& newest_first,
                                       uint32_t candidate) const {
  return Forward(*this, newest_first, candidate).Score();
}

}  // namespace groundswell
