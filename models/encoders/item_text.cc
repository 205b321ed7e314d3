#include "models/encoders/item_text.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "models/encoders/target_encoder.h"

namespace groundswell {
namespace {

uint64_t HashItemToken(std::string_view bytes) {
  uint64_t hash = 14'695'981'039'346'656'037u;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 1'099'511'628'211u;
  }
  return hash;
}

// The first number of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) from this seed.
uint64_t MixItemToken(uint64_t seed) {
  uint64_t z = seed + 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

char LoweredAscii(char byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
}

bool IsOfWord(char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
         static_cast<unsigned char>(byte) >= 0x80;
}

// The word's token and those of its code points, as long as there is room.
void AddWordTokens(std::string_view word, std::vector<uint64_t>& tokens) {
  const auto add = [&](const std::string& token) {
    if (tokens.size() < kItemTokensMax) tokens.push_back(HashItemToken(token));
  };
  add("t:" + std::string(word));
  const std::string marked = "<" + std::string(word) + ">";
  std::vector<size_t> begins;  // of code points, and the end
  for (size_t i = 0; i < marked.size(); ++i) {
    if ((static_cast<unsigned char>(marked[i]) & 0xC0) != 0x80) begins.push_back(i);
  }
  begins.push_back(marked.size());
  for (size_t i = 0; i + 3 < begins.size() && tokens.size() < kItemTokensMax; ++i) {
    add("g:" + marked.substr(begins[i], begins[i + 3] - begins[i]));
  }
}

}  // namespace

std::vector<uint64_t> ItemTokens(std::string_view title, std::string_view category) {
  std::vector<uint64_t> tokens;
  if (!category.empty()) tokens.push_back(HashItemToken("c:" + std::string(category)));
  std::string word;
  for (size_t i = 0; i <= title.size() && tokens.size() < kItemTokensMax; ++i) {
    const char byte = i < title.size() ? LoweredAscii(title[i]) : ' ';
    if (IsOfWord(byte)) {
      word += byte;
    } else if (!word.empty()) {
      AddWordTokens(word, tokens);
      word.clear();
    }
  }
  return tokens;
}

std::array<size_t, 2> ItemTokenRows(uint64_t token, size_t rows) {
  return {MixItemToken(token) % rows, MixItemToken(token + 1) % rows};
}

void EmbedItemTokens(std::span<const uint64_t> tokens, std::span<const float> table,
                     std::span<float> out) {
  const size_t rows = table.size() / out.size();
  for (size_t k = 0; k < out.size(); ++k) out[k] = 0;
  if (tokens.empty()) return;
  std::vector<double> sum(out.size());
  for (const uint64_t token : tokens) {
    for (const size_t row : ItemTokenRows(token, rows)) {
      const std::span<const float> numbers = VectorRow(table, out.size(), row);
      for (size_t k = 0; k < sum.size(); ++k) sum[k] += double{numbers[k]};
    }
  }
  for (size_t k = 0; k < sum.size(); ++k) {
    out[k] = static_cast<float>(sum[k] / static_cast<double>(tokens.size()));
  }
}

void JoinItemFeatures(std::span<const float> dense, std::span<const float> text, uint64_t degree,
                      std::span<float> out) {
  const auto behind = std::copy(dense.begin(), dense.end(), out.begin());
  const auto last = std::copy(text.begin(), text.end(), behind);
  last[0] = static_cast<float>(std::log1p(static_cast<double>(degree)));
  const bool has_dense =
      std::any_of(dense.begin(), dense.end(), [](float number) { return number != 0; });
  last[1] = has_dense ? 1.0f : 0.0f;
}

}  // namespace groundswell
