#include "models/math/vector_length.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace groundswell {

double VectorLength(std::span<const float> x) {
  double squares = 0;
  for (const float number : x) squares += double{number} * double{number};
  return std::sqrt(squares);
}

float MedianLength(std::span<const float> rows, size_t width) {
  if (rows.empty()) return 0;
  std::vector<float> lengths;
  lengths.reserve(rows.size() / width);
  for (size_t begin = 0; begin < rows.size(); begin += width) {
    lengths.push_back(static_cast<float>(VectorLength(rows.subspan(begin, width))));
  }
  const auto middle = lengths.begin() + static_cast<ptrdiff_t>(lengths.size() / 2);
  std::nth_element(lengths.begin(), middle, lengths.end());
  return *middle;
}

}  // namespace groundswell
