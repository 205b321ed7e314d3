#include "models/encoders/als_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace groundswell {
namespace {

constexpr double kAlsAlphaMax = 1e9;
constexpr double kAlsLambdaLeast = 1e-9;
constexpr double kAlsLambdaMax = 1e12;
constexpr size_t kAlsNeighborsMax = 1'000'000;

struct AlsWeights {
  std::vector<double> gram;  // d x d, of the neighbours
  double alpha = 1;
  double lambda = 1;
  bool is_weighted = false;
  size_t neighbors = kAllNeighbors;
};

// Of a symmetric system; only the lower triangle of the matrix is used.
struct AlsScratch final : EncoderScratch {
  explicit AlsScratch(size_t dim) : matrix(dim * dim), vector(dim) {}

  std::vector<double> matrix;
  std::vector<double> vector;
};

// Solves matrix x = vector in place. False, and nothing of use, unless it is positive definite.
bool SolveByCholesky(std::span<double> matrix, std::span<double> vector) {
  const size_t n = vector.size();
  for (size_t row = 0; row < n; ++row) {
    double* const of_row = matrix.data() + row * n;
    for (size_t column = 0; column <= row; ++column) {
      const double* const of_column = matrix.data() + column * n;
      double sum = of_row[column];
      for (size_t k = 0; k < column; ++k) sum -= of_row[k] * of_column[k];
      if (column < row) {
        of_row[column] = sum / of_column[column];
        continue;
      }
      if (!(sum > 0)) return false;
      of_row[row] = std::sqrt(sum);
    }
  }
  for (size_t row = 0; row < n; ++row) {
    for (size_t k = 0; k < row; ++k) vector[row] -= matrix[row * n + k] * vector[k];
    vector[row] /= matrix[row * n + row];
  }
  for (size_t row = n; row-- > 0;) {
    for (size_t k = row + 1; k < n; ++k) vector[row] -= matrix[k * n + row] * vector[k];
    vector[row] /= matrix[row * n + row];
  }
  return true;
}

class AlsEncoder final : public TargetEncoder {
 public:
  AlsEncoder(const Manifest::Encoder& encoder, size_t dim, AlsWeights weights)
      : TargetEncoder(encoder, dim), weights_(std::move(weights)) {}

  EncoderShape shape() const override {
    return {.dim = dim(), .neighbors = weights_.neighbors, .counts = true, .vectors = true};
  }
  std::unique_ptr<EncoderScratch> NewScratch() const override {
    return std::make_unique<AlsScratch>(dim());
  }

 private:
  void EncodeTarget(const EncoderInput& input, const EncoderTarget& target,
                    EncoderScratch& of_thread, std::span<float> out) const override {
    auto& scratch = static_cast<AlsScratch&>(of_thread);
    std::copy(weights_.gram.begin(), weights_.gram.end(), scratch.matrix.begin());
    std::fill(scratch.vector.begin(), scratch.vector.end(), 0.0);
    size_t used = 0;
    for (size_t at = target.begin; at < target.end; ++at) {
      const std::span<const float> y = input.neighbors.vector[at];
      if (y.empty()) continue;
      ++used;
      const double more = weights_.alpha * static_cast<double>(input.neighbors.count[at]);
      for (size_t row = 0; row < dim(); ++row) {
        scratch.vector[row] += (1 + more) * double{y[row]};
        double* const of_row = scratch.matrix.data() + row * dim();
        const double scaled = more * double{y[row]};
        for (size_t column = 0; column <= row; ++column) of_row[column] += scaled * y[column];
      }
    }
    if (used == 0) return;
    const double lambda = weights_.lambda * (weights_.is_weighted ? static_cast<double>(used) : 1);
    for (size_t k = 0; k < dim(); ++k) scratch.matrix[k * dim() + k] += lambda;
    if (!SolveByCholesky(scratch.matrix, scratch.vector)) return;
    for (size_t k = 0; k < dim(); ++k) out[k] = static_cast<float>(scratch.vector[k]);
  }

  const AlsWeights weights_;
};

// Y'Y is symmetric, and with lambda on its diagonal positive definite.
void CheckGram(const std::string& name, double lambda, size_t d, std::vector<double> gram,
               CheckpointReader& reader) {
  for (size_t row = 0; row < d; ++row) {
    for (size_t column = 0; column < row; ++column) {
      const double a = gram[row * d + column], b = gram[column * d + row];
      if (std::abs(a - b) <= 1e-5 * (1 + std::abs(a))) continue;
      reader.Refuse(
          fmt::format("tensor \"{}\": elements [{}, {}] and [{}, {}] are {} and {}; it must be "
                      "Y'Y, the products of the trained vectors' columns, which is symmetric",
                      name, row, column, column, row, a, b));
      return;
    }
    gram[row * d + row] += lambda;
  }
  std::vector<double> vector(d, 1);
  if (SolveByCholesky(gram, vector)) return;
  reader.Refuse(
      fmt::format("tensor \"{}\" is not Y'Y of any vectors: with lambda, {}, on the "
                  "diagonal it is not positive definite; write it in F64, or use a "
                  "larger lambda",
                  name, lambda));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Encoder>> MakeAlsEncoder(const Manifest::Encoder& encoder,
                                                        const SafetensorsFile& file,
                                                        const TrainedVectors& trained) {
  AlsWeights weights{.gram = {}};
  OptionReader option("als", encoder.options);
  weights.alpha = option.PositiveNumberOr("alpha", 1, 0, kAlsAlphaMax);
  weights.lambda = option.PositiveNumberOr("lambda", 1, kAlsLambdaLeast, kAlsLambdaMax);
  weights.is_weighted = option.ChoiceOrFirst("regularisation", {"plain", "weighted"}) == 1;
  weights.neighbors = option.SizeOr("neighbors", kAllNeighbors, kAlsNeighborsMax);
  if (absl::Status s = option.Finish(); !s.ok()) return s;

  const size_t d = trained.dim;
  CheckpointReader reader(file);
  if (d > kAlsDimMax) {
    reader.Refuse(fmt::format("embedding_dim is {}; ALS is solved for vectors of up to {} numbers",
                              d, kAlsDimMax));
  }
  for (const EncoderSide side : {EncoderSide::kUser, EncoderSide::kItem}) {
    const std::string name = std::string(NameOf(side)) + "_gram";
    const bool is_needed = side != encoder.side;
    if (!is_needed && !reader.Has(name)) continue;
    std::vector<double> gram = reader.ReadDoubles(name, {d, d});
    if (!reader.ok()) break;
    CheckGram(name, weights.lambda, d, gram, reader);
    if (is_needed) weights.gram = std::move(gram);
  }
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  return std::unique_ptr<Encoder>(new AlsEncoder(encoder, d, std::move(weights)));
}

}  // namespace groundswell
