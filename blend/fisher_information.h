// FisherInformation: how much was told of a context's weights, direction by direction.
//
// The log likelihood of one taken candidate has, for the model of blend/model.h, the Fisher
// information
//
//   F = sum over the candidates of P(c) (x_c - m)(x_c - m)'      m = sum of P(c) x_c
//
// the covariance of the features as the model believes them to be taken. Summed over the lists it
// is how sharply they determine the weights, and the natural gradient (Amari, "Natural gradient
// works efficiently in learning", Neural Computation 1998) divides by it:
//
//   I = kKept I + F        step = (I + kPrior)^-1 g
//
// So directions of which little is known move far, those of which much is known little, and
// features that say the same (a place, a score and a share of one list) are not paid thrice. With
// kKept = 1 it would be the online Newton step, which for a log that does not change needs no rate;
// kKept below 1 forgets what is older than some 1 / (1 - kKept) lists, for tastes change.
//
// All sums are in a fixed order (eight by the candidate's number modulo eight, then theirs), so
// that every machine has the same bits.
#ifndef GROUNDSWELL_BLEND_FISHER_INFORMATION_H_
#define GROUNDSWELL_BLEND_FISHER_INFORMATION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "blend/features.h"

namespace groundswell {

// One of a model's contexts. Plain numbers, so that it is stored as it is.
class FisherInformation {
 public:
  // What is known before anything was learned: weights are within 2 of what they begin with.
  static constexpr float kPrior = .3f;
  static constexpr float kKept = .9999f;
  // No entry is beyond: features are within 1, so of one list none has more than 1.
  static constexpr float kMax = 10'100;
  // Entries: of features a >= b, at a (a + 1) / 2 + b.
  static constexpr size_t kEntries = kBlendFeatures * (kBlendFeatures + 1) / 2;

  // Memory of one call at a time, grown by the first ones.
  struct Scratch {
    std::vector<float> weighted;  // P(c) (x_c - m) of one feature
    std::array<uint16_t, kBlendFeatures> present{};
    std::array<double, kEntries> factor{};
  };

  // Adds what one list tells. `chances`: P; `expected`: m, by feature. A feature that no candidate
  // has is told nothing of.
  void Add(const BlendFeatures& features, std::span<const double> chances,
           std::span<const double, kBlendFeatures> expected, Scratch& scratch);

  // (I + kPrior)^-1 gradient, in place of the gradient.
  void Divide(std::span<double, kBlendFeatures> gradient, Scratch& scratch) const;

  std::span<const float, kEntries> entries() const { return entries_; }
  std::span<float, kEntries> entries() { return entries_; }

 private:
  std::array<float, kEntries> entries_{};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_BLEND_FISHER_INFORMATION_H_
