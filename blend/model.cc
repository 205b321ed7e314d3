#include "blend/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "blend/arithmetic.h"

namespace groundswell {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr size_t kLanes = 8;
constexpr uint32_t kStateVersion = 2;

struct StateHeader {
  uint32_t version = kStateVersion;
  uint32_t features = kBlendFeatures;
  uint32_t rows = BlendWeights::kRows;
  uint32_t zero = 0;
  uint64_t steps = 0;
  uint64_t missed = 0;
  std::array<uint64_t, kBlendContexts.size()> of_context{};
};
static_assert(sizeof(StateHeader) == 56);
constexpr size_t kStateBytes = sizeof(StateHeader) + 2 * sizeof(BlendWeights);

size_t RowOf(BlendContext context) { return 1 + static_cast<size_t>(context); }

float WeightIn(const BlendWeights& weights, BlendContext context, size_t feature) {
  return weights.rows[0][feature] + weights.rows[RowOf(context)][feature];
}

void AddFeatures(const BlendWeights& weights, const BlendFeatures& features, BlendContext context,
                 size_t begin, size_t end, std::span<float> scores) {
  for (size_t feature = begin; feature < end; ++feature) {
    const float weight = WeightIn(weights, context, feature);
    const std::span<const float> values = features.Feature(feature);
    for (size_t i = 0; i < scores.size(); ++i) scores[i] += weight * values[i];
  }
}

// Eight sums, then theirs.
template <typename Term>
double Sum(size_t count, const Term& term) {
  std::array<double, kLanes> lanes{};
  size_t at = 0;
  for (; at + kLanes <= count; at += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(at + lane);
  }
  for (size_t lane = 0; at + lane < count; ++lane) lanes[lane] += term(at + lane);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

// Scores to probabilities.
void Softmax(std::span<const float> scores, std::span<double> chances) {
  const double highest = *std::ranges::max_element(scores);
  for (size_t i = 0; i < scores.size(); ++i) {
    chances[i] = blend_arithmetic::ExpOfNegative(double{scores[i]} - highest);
  }
  const double sum = Sum(chances.size(), [&](size_t i) { return chances[i]; });
  for (double& chance : chances) chance /= sum;
}

bool AllWithin(const BlendWeights& weights, float least, float most) {
  return std::ranges::all_of(weights.rows, [&](const BlendWeights::Row& row) {
    return std::ranges::all_of(row, [&](float x) { return x >= least && x <= most; });
  });
}

}  // namespace

BlendModel::BlendModel(Options options, const BlendWeights& start) : options_(options) {
  Reset(start);
}

void BlendModel::Reset(const BlendWeights& start) {
  weights_ = start;
  for (BlendWeights::Row& row : squares_.rows) row.fill(options_.first_square);
  learned_ = {};
}

void BlendModel::Learn(const BlendFeatures& features, BlendContext context,
                       std::optional<size_t> taken, Scratch& scratch) {
  ++learned_.of_context[static_cast<size_t>(context)];
  if (!taken.has_value() || *taken >= features.count()) {
    ++learned_.missed;
    return;
  }
  ++learned_.steps;
  scratch.scores.resize(features.count());
  scratch.chances.resize(features.count());
  ScoreBlend(weights_, features, context, scratch.scores);
  Softmax(scratch.scores, scratch.chances);
  const std::span<const double> chances = scratch.chances;
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    const std::span<const float> values = features.Feature(feature);
    const double expected = Sum(chances.size(), [&](size_t i) { return chances[i] * values[i]; });
    const auto gradient = static_cast<float>(expected - double{values[*taken]});
    if (gradient == 0) continue;
    for (const size_t row : {size_t{0}, RowOf(context)}) {
      float& square = squares_.rows[row][feature];
      float& weight = weights_.rows[row][feature];
      square += gradient * gradient;
      const float moved = weight - options_.rate * gradient / std::sqrt(square);
      weight = std::clamp(moved, -BlendWeights::kMax, BlendWeights::kMax);
    }
  }
}

std::string BlendModel::EncodeState() const {
  const StateHeader header{
      .steps = learned_.steps, .missed = learned_.missed, .of_context = learned_.of_context};
  std::string state(kStateBytes, '\0');
  std::memcpy(state.data(), &header, sizeof(header));
  std::memcpy(state.data() + sizeof(header), &weights_, sizeof(weights_));
  std::memcpy(state.data() + sizeof(header) + sizeof(weights_), &squares_, sizeof(squares_));
  return state;
}

absl::Status BlendModel::DecodeState(std::string_view state) {
  if (state.size() != kStateBytes) {
    return absl::DataLossError(
        fmt::format("the blend's state has {} bytes instead of {}", state.size(), kStateBytes));
  }
  StateHeader header;
  BlendWeights weights;
  BlendWeights squares;
  std::memcpy(&header, state.data(), sizeof(header));
  std::memcpy(&weights, state.data() + sizeof(header), sizeof(weights));
  std::memcpy(&squares, state.data() + sizeof(header) + sizeof(weights), sizeof(squares));
  const StateHeader expected;
  if (header.version != expected.version || header.features != expected.features ||
      header.rows != expected.rows || header.zero != 0) {
    return absl::DataLossError(fmt::format(
        "the blend's state is of version {} with {} features in {} rows instead of {}, {} and {}",
        header.version, header.features, header.rows, expected.version, expected.features,
        expected.rows));
  }
  if (!AllWithin(weights, -BlendWeights::kMax, BlendWeights::kMax) ||
      !AllWithin(squares, 0, std::numeric_limits<float>::max())) {
    return absl::DataLossError(
        fmt::format("the blend's state holds a weight beyond {} or a sum of squares that is none",
                    BlendWeights::kMax));
  }
  weights_ = weights;
  squares_ = squares;
  learned_ = {.steps = header.steps, .missed = header.missed, .of_context = header.of_context};
  return absl::OkStatus();
}

void ScoreBlend(const BlendWeights& weights, const BlendFeatures& features, BlendContext context,
                std::span<float> scores) {
  std::ranges::fill(scores, 0.0f);
  AddFeatures(weights, features, context, 0, kBlendFeatures, scores);
}

void AddRankerToBlend(const BlendWeights& weights, const BlendFeatures& features,
                      BlendContext context, std::span<float> scores) {
  AddFeatures(weights, features, context, kBlendRankerBegin, kBlendFeatures, scores);
}

float BlendTerm(const BlendWeights& weights, const BlendFeatures& features, BlendContext context,
                size_t feature, size_t candidate) {
  return WeightIn(weights, context, feature) * features.Feature(feature)[candidate];
}

}  // namespace groundswell
