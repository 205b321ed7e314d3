#include "blend/fisher_information.h"

#include <algorithm>
#include <cmath>

namespace groundswell {
namespace {

constexpr size_t kLanes = 8;
// Products of so many columns with one are summed side by side: one sum alone would wait for its
// own last addition.
constexpr size_t kColumns = 4;

constexpr size_t RowBegin(size_t feature) { return feature * (feature + 1) / 2; }

// The products' sums of `weighted` with each of the columns.
template <size_t kCount>
std::array<float, kCount> ProductsWith(std::span<const float> weighted,
                                       const std::array<const float*, kCount>& columns) {
  std::array<std::array<float, kLanes>, kCount> lanes{};
  const size_t count = weighted.size();
  size_t at = 0;
  for (; at + kLanes <= count; at += kLanes) {
    for (size_t column = 0; column < kCount; ++column) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        lanes[column][lane] += weighted[at + lane] * columns[column][at + lane];
      }
    }
  }
  std::array<float, kCount> sums{};
  for (size_t column = 0; column < kCount; ++column) {
    for (size_t lane = 0; at + lane < count; ++lane) {
      lanes[column][lane] += weighted[at + lane] * columns[column][at + lane];
    }
    for (const float lane : lanes[column]) sums[column] += lane;
  }
  return sums;
}

bool IsPresent(std::span<const float> values) {
  bool any = false;
  for (const float value : values) any |= value != 0;
  return any;
}

}  // namespace

void FisherInformation::Add(const BlendFeatures& features, std::span<const double> chances,
                            std::span<const double, kBlendFeatures> expected, Scratch& scratch) {
  for (float& entry : entries_) entry *= kKept;
  size_t present = 0;
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    if (IsPresent(features.Feature(feature))) {
      scratch.present[present++] = static_cast<uint16_t>(feature);
    }
  }
  scratch.weighted.resize(features.count());
  for (size_t row = 0; row < present; ++row) {
    const size_t a = scratch.present[row];
    const std::span<const float> values = features.Feature(a);
    for (size_t i = 0; i < values.size(); ++i) {
      scratch.weighted[i] = static_cast<float>(chances[i] * (double{values[i]} - expected[a]));
    }
    const auto add = [&]<size_t kCount>(size_t begin) {
      std::array<const float*, kCount> columns;
      for (size_t i = 0; i < kCount; ++i) {
        columns[i] = features.Feature(scratch.present[begin + i]).data();
      }
      const std::array<float, kCount> sums = ProductsWith(scratch.weighted, columns);
      for (size_t i = 0; i < kCount; ++i) {
        float& entry = entries_[RowBegin(a) + scratch.present[begin + i]];
        entry = std::clamp(entry + sums[i], -kMax, kMax);
      }
    };
    size_t column = 0;
    for (; column + kColumns <= row + 1; column += kColumns) {
      add.template operator()<kColumns>(column);
    }
    for (; column <= row; ++column) add.template operator()<1>(column);
  }
}

// By the square-root-free Cholesky factors. Every pivot of a sum of covariances and the prior is at
// least the prior; one that rounding, or a damaged state, made less counts as that much.
void FisherInformation::Divide(std::span<double, kBlendFeatures> gradient, Scratch& scratch) const {
  std::array<double, kEntries>& factor = scratch.factor;
  std::array<double, kBlendFeatures> pivot{};
  for (size_t a = 0; a < kBlendFeatures; ++a) {
    double* const row = factor.data() + RowBegin(a);
    double rest = double{entries_[RowBegin(a) + a]} + double{kPrior};
    for (size_t b = 0; b < a; ++b) {
      const double* const other = factor.data() + RowBegin(b);
      double sum = entries_[RowBegin(a) + b];
      for (size_t k = 0; k < b; ++k) sum -= row[k] * other[k];  // row[k]: still times its pivot
      row[b] = sum;
    }
    for (size_t b = 0; b < a; ++b) {
      const double scaled = row[b] / pivot[b];
      rest -= row[b] * scaled;
      row[b] = scaled;
    }
    pivot[a] = std::max(rest, double{kPrior});
  }
  for (size_t a = 0; a < kBlendFeatures; ++a) {
    for (size_t b = 0; b < a; ++b) gradient[a] -= factor[RowBegin(a) + b] * gradient[b];
  }
  for (size_t a = 0; a < kBlendFeatures; ++a) gradient[a] /= pivot[a];
  for (size_t a = kBlendFeatures; a-- > 0;) {
    for (size_t b = 0; b < a; ++b) gradient[b] -= factor[RowBegin(a) + b] * gradient[a];
  }
}

}  // namespace groundswell
