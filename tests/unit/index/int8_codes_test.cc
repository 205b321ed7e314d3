#include "index/vectors/int8_codes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "models/embedding_range.h"
#include "tests/support/random_rows.h"

namespace groundswell {
namespace {

// A number that scores must not have been left as.
constexpr float kUnwritten = -12345;

std::vector<float> ScoresOf(const Int8Codes& codes, Int8Kernel kernel, std::span<const float> query,
                            float offset = 0) {
  Int8Query encoded;
  encoded.Set(query);
  std::vector<float> scores(codes.blocks() * Int8Codes::kBlock, kUnwritten);
  codes.Score(kernel, encoded, offset, 0, codes.blocks(), scores.data());
  return scores;
}

Int8Codes CodesOf(std::span<const float> rows, size_t dim) {
  Int8Codes codes(dim);
  codes.Reserve(Int8Codes::BlocksOf(rows.size() / dim));
  codes.Append(rows, dim);
  return codes;
}

TEST(Int8CodesTest, EveryKernelGivesTheBitsOfThePlainOne) {
  for (size_t dim = 1; dim <= 67; ++dim) {
    std::vector<float> rows = RandomRows(50, dim, 1);
    // A vector of nothing, one of the largest numbers and one of nearly none.
    std::fill_n(rows.begin(), dim, 0.f);
    std::fill_n(rows.begin() + static_cast<ptrdiff_t>(dim), dim, -kEmbeddingNumberMax);
    for (size_t d = 0; d < dim; ++d) rows[2 * dim + d] *= 1e-38f;
    const Int8Codes codes = CodesOf(rows, dim);
    for (uint32_t seed = 2; seed < 5; ++seed) {
      const std::vector<float> query = RandomRows(1, dim, seed);
      const std::vector<float> plain = ScoresOf(codes, Int8Kernel::kPlain, query, 1.5f);
      for (const Int8Kernel kernel : RunnableKernels()) {
        const std::vector<float> scores = ScoresOf(codes, kernel, query, 1.5f);
        EXPECT_EQ(std::memcmp(scores.data(), plain.data(), plain.size() * sizeof(float)), 0)
            << std::string(NameOf(kernel)) << ", dim " << dim;
      }
    }
  }
}

TEST(Int8CodesTest, LongVectorsOfTheLargestCodesDoNotOverflow) {
  constexpr size_t kLongDim = 4'096;
  for (const float sign : {1.f, -1.f}) {
    const Int8Codes codes = CodesOf(std::vector<float>(kLongDim, sign * 127), kLongDim);
    const std::vector<float> query(kLongDim, 127.f);
    for (const Int8Kernel kernel : RunnableKernels()) {
      EXPECT_EQ(ScoresOf(codes, kernel, query)[0], sign * 127.f * 127.f * kLongDim)
          << std::string(NameOf(kernel));
    }
  }
}

TEST(Int8CodesTest, WholeNumbersUpToTheLargestCodeAreKeptExactly) {
  const std::vector<float> row = {127, -127, 3, 0, -58};
  const std::vector<float> query = {-127, 100, 7, 99, 1};
  const float exact = -127.f * 127 - 127.f * 100 + 3.f * 7 - 58.f;
  for (const Int8Kernel kernel : RunnableKernels()) {
    EXPECT_EQ(ScoresOf(CodesOf(row, 5), kernel, query, 10)[0], exact + 10);
  }
}

TEST(Int8CodesTest, TheErrorOfAScoreIsWithinThatOfTheCodes) {
  constexpr size_t kDim = 63;
  constexpr size_t kRows = 200;
  const std::vector<float> rows = RandomRows(kRows, kDim, 7);
  const std::vector<float> query = RandomRows(1, kDim, 8);
  const std::vector<float> scores = ScoresOf(CodesOf(rows, kDim), RunnableKernels().back(), query);
  const auto largest = [](std::span<const float> numbers) {
    float most = 0;
    for (const float number : numbers) most = std::max(most, std::abs(number));
    return double{most};
  };
  const double query_error = largest(query) / 127 / 2;
  for (size_t i = 0; i < kRows; ++i) {
    const std::span<const float> row = std::span(rows).subspan(i * kDim, kDim);
    const double row_error = largest(row) / 127 / 2;
    double exact = 0;
    double most = 1e-4;  // of the two roundings
    for (size_t d = 0; d < kDim; ++d) {
      exact += double{query[d]} * row[d];
      most += std::abs(query[d]) * row_error + (std::abs(row[d]) + row_error) * query_error;
    }
    EXPECT_NEAR(scores[i], exact, most) << i;
    EXPECT_NE(scores[i], kUnwritten);
  }
}

TEST(Int8CodesTest, AQueryOfNothingScoresTheOffset) {
  const std::vector<float> rows = RandomRows(20, 9, 1);
  for (const Int8Kernel kernel : RunnableKernels()) {
    const std::vector<float> scores =
        ScoresOf(CodesOf(rows, 9), kernel, std::vector<float>(9), 2.5f);
    EXPECT_TRUE(std::ranges::all_of(scores, [](float score) { return score == 2.5f; }));
  }
}

TEST(Int8CodesTest, WhatIsAppendedBeginsABlockOfItsOwn) {
  constexpr size_t kDim = 12;
  const std::vector<float> rows = RandomRows(40, kDim, 3);
  const std::vector<float> query = RandomRows(1, kDim, 4);
  const std::vector<float> whole = ScoresOf(CodesOf(rows, kDim), Int8Kernel::kPlain, query);
  Int8Codes codes(kDim);
  codes.Append(std::span(rows).first(5 * kDim), kDim);
  codes.Append({}, kDim);
  EXPECT_EQ(codes.blocks(), 1u);
  codes.Append(std::span(rows).subspan(5 * kDim), kDim);
  EXPECT_EQ(codes.blocks(), 4u);
  Int8Query encoded;
  encoded.Set(query);
  std::vector<float> scores(3 * Int8Codes::kBlock);
  codes.Score(encoded, 0, 1, 3, scores.data());
  EXPECT_TRUE(std::equal(whole.begin() + 5, whole.begin() + 40, scores.begin()));
}

TEST(Int8QueryTest, SetAgainItIsAsNew) {
  Int8Query reused;
  reused.Set(RandomRows(1, 30, 1));
  const std::vector<float> query = RandomRows(1, 9, 2);
  reused.Set(query);
  Int8Query fresh;
  fresh.Set(query);
  EXPECT_EQ(reused.scale(), fresh.scale());
  EXPECT_EQ(reused.start(), fresh.start());
  EXPECT_TRUE(std::ranges::equal(reused.words(), fresh.words()));
  EXPECT_TRUE(std::ranges::equal(reused.even_pairs(), fresh.even_pairs()));
  EXPECT_TRUE(std::ranges::equal(reused.odd_pairs(), fresh.odd_pairs()));
}

TEST(Int8KernelTest, EveryProcessorRunsThePlainOneAndAllHaveNames) {
  EXPECT_EQ(RunnableKernels().front(), Int8Kernel::kPlain);
  for (const Int8Kernel kernel : RunnableKernels()) EXPECT_FALSE(NameOf(kernel).empty());
}

}  // namespace
}  // namespace groundswell
