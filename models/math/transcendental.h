// exp, log, sigmoid, tanh and Dice of rows, in plain arithmetic that the compiler vectorises.
// Unlike in elementwise.cc, an element has the same bits at every place of a row: equal items of a
// history stay equal, which SURGE's pooling compares. So this file is compiled without -ffast-math.
//
// Accuracy over all finite floats (tested): exp within 2e-7 of the exact value relative to it,
// sigmoid within 2e-7, tanh within 3e-7. Infinities give the limits. A NaN gives any value, but
// changes no other element: checkpoints are refused that hold one.
#ifndef GROUNDSWELL_MODELS_MATH_TRANSCENDENTAL_H_
#define GROUNDSWELL_MODELS_MATH_TRANSCENDENTAL_H_

#include <cstdint>
#include <span>

namespace groundswell {

// x = exp(x - shift); what is below exp(-87), 1.7e-38, comes out as 0.
// REQUIRES: no x above shift.
void ExpMinus(float shift, std::span<float> x);

// x = sigmoid(x + y)
void AddSigmoid(std::span<const float> y, std::span<float> x);

// x = tanh(x + y)
void AddTanh(std::span<const float> y, std::span<float> x);

// out = scale log(count + 1), log relatively within 2e-7: a float holds any count within 6e-8.
// REQUIRES: counts >= 0.
void LogOfCounts(std::span<const int64_t> counts, float scale, std::span<float> out);

// Dice (DIN, arXiv 1706.06978, eq. 3) with frozen statistics, as MacGNN's checkpoints compute it,
// of a sum that is kept as z:
//   z = x + y,   g = sigmoid((z - mean) / std + 1e-8),   out = z g + alpha z (1 - g)
//
// Within 5e-7 |z| (1 + |alpha|) for |z| from 1e-37 to 1e38 where (z - mean) / std itself was exact.
struct DiceLayer {
  std::span<const float> mean;
  std::span<const float> inverse_std;
  float alpha = 0;
};
// `z` may be `x`; otherwise nothing overlaps.
void AddDice(std::span<const float> x, std::span<const float> y, const DiceLayer& dice,
             std::span<float> z, std::span<float> out);

// The same of z = x + y + w.
void AddDice(std::span<const float> x, std::span<const float> y, std::span<const float> w,
             const DiceLayer& dice, std::span<float> z, std::span<float> out);

// Dice as DIN's and DIEN's checkpoints compute it, each channel with a slope of its own and nothing
// added inside the sigmoid:
//   z = x + y,   p = sigmoid((z - mean) / std),   x = p z + alpha (1 - p) z
// Within the same bound.
struct DiceOfChannels {
  std::span<const float> mean;
  std::span<const float> inverse_std;
  std::span<const float> alpha;
};
void AddDiceOfChannels(std::span<const float> y, const DiceOfChannels& dice, std::span<float> x);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_MATH_TRANSCENDENTAL_H_
