// RandomRows: a row-major matrix of normally distributed floats, the same for the same seed.
#ifndef GROUNDSWELL_TESTS_SUPPORT_RANDOM_ROWS_H_
#define GROUNDSWELL_TESTS_SUPPORT_RANDOM_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace groundswell {

inline std::vector<float> RandomRows(size_t rows, size_t dim, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(rows * dim);
  for (float& value : values) value = normal(random);
  return values;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_RANDOM_ROWS_H_
