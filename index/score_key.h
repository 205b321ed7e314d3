// ScoreKey: a scored item as one number, so that the order of many is that of numbers.
//
// Ascending keys are descending scores, ties by ascending item: what every list of candidates is
// ordered by. Comparing them takes one instruction without a branch, and no two items share one.
#ifndef GROUNDSWELL_INDEX_SCORE_KEY_H_
#define GROUNDSWELL_INDEX_SCORE_KEY_H_

#include <bit>
#include <cstdint>

#include "graph/ids.h"

namespace groundswell {

// REQUIRES: a score that is a number.
inline uint64_t ScoreKey(float score, ItemIndex item) {
  constexpr uint32_t kSign = uint32_t{1} << 31;
  const auto bits = std::bit_cast<uint32_t>(score + 0.0f);  // no -0: it is as good as 0
  // Floats of one sign ascend as their bits do, and below 0 the other way round.
  const uint32_t ascending = (bits & kSign) != 0 ? ~bits : bits | kSign;
  return uint64_t{~ascending} << 32 | ToInt(item);
}

inline ItemIndex ItemOfKey(uint64_t key) { return ItemIndex{static_cast<uint32_t>(key)}; }

// What the key was made of, 0 for -0.
inline float ScoreOfKey(uint64_t key) {
  constexpr uint32_t kSign = uint32_t{1} << 31;
  const auto ascending = ~static_cast<uint32_t>(key >> 32);
  return std::bit_cast<float>((ascending & kSign) != 0 ? ascending & ~kSign : ~ascending);
}

// A key, and which of the items it belongs to.
struct KeyedRow {
  uint64_t key = 0;
  uint32_t row = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_SCORE_KEY_H_
