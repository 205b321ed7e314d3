#include "blend/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "blend/arithmetic.h"

namespace groundswell {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr size_t kLanes = 8;
constexpr uint32_t kStateVersion = 3;

struct StateHeader {
  uint32_t version = kStateVersion;
  uint32_t features = kBlendFeatures;
  uint32_t rows = BlendWeights::kRows;
  uint32_t zero = 0;
  uint64_t steps = 0;
  uint64_t missed = 0;
  std::array<uint64_t, kBlendContexts.size()> of_context{};
};
static_assert(sizeof(StateHeader) == 64);
constexpr size_t kInformationBytes = FisherInformation::kEntries * sizeof(float);
constexpr size_t kStateBytes =
    sizeof(StateHeader) + sizeof(BlendWeights) + BlendWeights::kRows * kInformationBytes;

void AddFeatures(const BlendWeights& weights, const BlendFeatures& features, BlendContext context,
                 size_t begin, size_t end, std::span<float> scores) {
  for (size_t feature = begin; feature < end; ++feature) {
    const float weight = weights.Of(context)[feature];
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

bool AllWithin(std::span<const float> values, float most) {
  return std::ranges::all_of(values, [&](float x) { return x >= -most && x <= most; });
}

}  // namespace

BlendModel::BlendModel(const BlendWeights& start) { Reset(start); }

void BlendModel::Reset(const BlendWeights& start) {
  weights_ = start;
  information_ = {};
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
  std::array<double, kBlendFeatures> expected;
  std::array<double, kBlendFeatures> step;  // the gradient at first
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    const std::span<const float> values = features.Feature(feature);
    expected[feature] = Sum(chances.size(), [&](size_t i) { return chances[i] * values[i]; });
    step[feature] = expected[feature] - double{values[*taken]};
  }
  FisherInformation& information = information_[static_cast<size_t>(context)];
  information.Add(features, chances, expected, scratch.of_information);
  information.Divide(step, scratch.of_information);
  Move(context, step);
}

void BlendModel::Move(BlendContext context, std::span<const double, kBlendFeatures> step) {
  double farthest = kStepMax;
  for (const double part : step) {
    if (!std::isfinite(part)) return;  // only a damaged state's information gives such
    farthest = std::max(farthest, std::abs(part));
  }
  BlendWeights::Row& row = weights_.Of(context);
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    const auto moved = static_cast<float>(row[feature] - step[feature] * (kStepMax / farthest));
    row[feature] = blend_arithmetic::Bounded(moved, BlendWeights::kMax);
  }
}

std::string BlendModel::EncodeState() const {
  const StateHeader header{
      .steps = learned_.steps, .missed = learned_.missed, .of_context = learned_.of_context};
  std::string state(kStateBytes, '\0');
  std::memcpy(state.data(), &header, sizeof(header));
  char* at = state.data() + sizeof(header);
  std::memcpy(at, &weights_, sizeof(weights_));
  at += sizeof(weights_);
  for (const FisherInformation& information : information_) {
    std::memcpy(at, information.entries().data(), kInformationBytes);
    at += kInformationBytes;
  }
  return state;
}

absl::Status BlendModel::DecodeState(std::string_view state) {
  if (state.size() != kStateBytes) {
    return absl::DataLossError(
        fmt::format("the blend's state has {} bytes instead of {}", state.size(), kStateBytes));
  }
  StateHeader header;
  BlendWeights weights;
  Information information;
  std::memcpy(&header, state.data(), sizeof(header));
  const char* at = state.data() + sizeof(header);
  std::memcpy(&weights, at, sizeof(weights));
  at += sizeof(weights);
  for (FisherInformation& of_context : information) {
    std::memcpy(of_context.entries().data(), at, kInformationBytes);
    at += kInformationBytes;
  }
  const StateHeader expected;
  if (header.version != expected.version || header.features != expected.features ||
      header.rows != expected.rows || header.zero != 0) {
    return absl::DataLossError(
        fmt::format("the blend's state is of version {} with {} features in {} contexts instead of "
                    "{}, {} and {}",
                    header.version, header.features, header.rows, expected.version,
                    expected.features, expected.rows));
  }
  const bool usable =
      std::ranges::all_of(weights.rows,
                          [](const auto& row) { return AllWithin(row, BlendWeights::kMax); }) &&
      std::ranges::all_of(information, [](const FisherInformation& of_context) {
        return AllWithin(of_context.entries(), FisherInformation::kMax);
      });
  if (!usable) {
    return absl::DataLossError(
        fmt::format("the blend's state holds a weight beyond {} or an information beyond {}",
                    BlendWeights::kMax, FisherInformation::kMax));
  }
  weights_ = weights;
  information_ = information;
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
  return weights.Of(context)[feature] * features.Feature(feature)[candidate];
}

}  // namespace groundswell
