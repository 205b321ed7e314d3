// What an item's features are made of: of its text, which needs nobody's model, its row of dense
// features, if any, and how many neighbours it has now.
//
//   x_v = [ dense | t_v | log(1 + |N_v|) | 1 if it has a dense row, else 0 ]
//   t_v = the sum of two rows of a table per token / the number of tokens; 0 without tokens
#ifndef GROUNDSWELL_MODELS_ENCODERS_ITEM_TEXT_H_
#define GROUNDSWELL_MODELS_ENCODERS_ITEM_TEXT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace groundswell {

inline constexpr size_t kItemTokensMax = 256;

// The ids of an item's tokens, in order, the first kItemTokensMax of them: "c:" and its category as
// it is, if it has one; then for each word of the title "t:" and the word, and "g:" and any three
// code points in a row of "<word>". Words are the longest runs of a-z, 0-9 and bytes from 0x80;
// A-Z are lowered before, and nothing else, so that it is the same everywhere. A byte that does
// not continue a code point begins one, whatever the bytes. An id is FNV-1a 64 of the bytes.
std::vector<uint64_t> ItemTokens(std::string_view title, std::string_view category);

// The rows of a table of so many that a token has: SplitMix64 of the id and of the id + 1.
// REQUIRES: rows > 0.
std::array<size_t, 2> ItemTokenRows(uint64_t token, size_t rows);

// out = t_v, from a row-major table of rows as wide as `out`.
void EmbedItemTokens(std::span<const uint64_t> tokens, std::span<const float> table,
                     std::span<float> out);

// out = x_v. Without a dense row `dense` is as wide all the same, and 0.
// REQUIRES: out is as wide as `dense` and `text` and two numbers more.
void JoinItemFeatures(std::span<const float> dense, std::span<const float> text, uint64_t degree,
                      std::span<float> out);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_ENCODERS_ITEM_TEXT_H_
