// Floats of all sizes, for tests of accuracy over the whole range.
#ifndef GROUNDSWELL_TESTS_SUPPORT_EVERY_FLOAT_H_
#define GROUNDSWELL_TESTS_SUPPORT_EVERY_FLOAT_H_

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace groundswell {

// Every 1,021st of the 2^32 bit patterns that is a finite float (a prime, so that all bits vary),
// and the edges: both zeros, the smallest and largest denormals and normals.
inline std::vector<float> FloatsOfEverySize() {
  using Limits = std::numeric_limits<float>;
  std::vector<float> values;
  for (const float edge : {0.0f, Limits::denorm_min(), std::nextafter(Limits::min(), 0.0f),
                           Limits::min(), 1.0f, Limits::max()}) {
    values.push_back(edge);
    values.push_back(-edge);
  }
  for (uint64_t bits = 0; bits <= std::numeric_limits<uint32_t>::max(); bits += 1'021) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (std::isfinite(value)) values.push_back(value);
  }
  return values;
}

// The largest of many errors, and where it was made.
struct Worst {
  double error = 0;
  double at = 0;

  // A NaN is larger than any error.
  void Note(double new_error, double where) {
    if (new_error <= error) return;
    error = std::isnan(new_error) ? std::numeric_limits<double>::infinity() : new_error;
    at = where;
  }
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_EVERY_FLOAT_H_
