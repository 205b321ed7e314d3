#include "models/math/weight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace groundswell {
namespace {

struct WeightShape {
  size_t in, out;
};

class WeightTest : public testing::TestWithParam<Precision> {
 protected:
  std::vector<float> Random(size_t size) {
    std::vector<float> values(size);
    for (float& value : values) value = normal_(random_);
    return values;
  }

  Weight Make(const std::vector<float>& values, size_t in, size_t out) {
    auto weight = MakeWeight(values, in, out, GetParam());
    EXPECT_TRUE(weight.ok()) << weight.status();
    return *std::move(weight);
  }

  // Of a sum of products to the exact one, relative to the sum of their sizes.
  double bound() const {
    return GetParam() == Precision::kBf16 ? 0x1p-7 * (1 + 0x1p-9) + 1e-6 : 1e-6;
  }

  std::mt19937_64 random_{5};
  std::normal_distribution<float> normal_;
};

TEST_P(WeightTest, ProductsAreWithinTheBoundOnOddShapes) {
  for (const WeightShape s : {WeightShape{1, 1}, WeightShape{7, 5}, WeightShape{70, 200},
                              WeightShape{201, 81}, WeightShape{40, 1}}) {
    const std::vector<float> values = Random(s.in * s.out);
    const Weight weight = Make(values, s.in, s.out);
    for (const size_t rows : {1, 24, 25, 100, 130, 250}) {
      const size_t stride = s.in + 3;
      const std::vector<float> x = Random(PaddedRows(rows) * stride);
      std::vector<float> out(PaddedRows(rows) * s.out, std::nanf(""));
      Bf16Scratch scratch;
      MultiplyByWeight({x.data(), stride}, weight, rows, out.data(), scratch);
      for (size_t i = 0; i < rows * s.out; ++i) {
        double sum = 0, size = 0;
        for (size_t k = 0; k < s.in; ++k) {
          const double product =
              double{x[i / s.out * stride + k]} * double{values[k * s.out + i % s.out]};
          sum += product;
          size += std::abs(product);
        }
        ASSERT_NEAR(out[i], sum, bound() * size) << s.in << " x " << s.out << ", " << rows;
      }
    }
  }
}

// What makes a score independent of its batch.
TEST_P(WeightTest, ARowIsTheSameBitsWhateverTheBatch) {
  for (const WeightShape s : {WeightShape{1, 2}, WeightShape{13, 7}, WeightShape{24, 8},
                              WeightShape{40, 80}, WeightShape{70, 200}, WeightShape{200, 80}}) {
    constexpr size_t kRows = 264;
    const Weight weight = Make(Random(s.in * s.out), s.in, s.out);
    const std::vector<float> x = Random(kRows * s.in);
    std::vector<float> whole(kRows * s.out);
    Bf16Scratch scratch;
    MultiplyByWeight({x.data(), s.in}, weight, kRows, whole.data(), scratch);
    std::vector<float> part(kRows * s.out);
    for (size_t rows = 1; rows <= 200; rows += 1 + rows / 8) {
      for (const size_t from : {size_t{0}, size_t{7}, size_t{48}}) {
        MultiplyByWeight({x.data() + from * s.in, s.in}, weight, rows, part.data(), scratch);
        ASSERT_EQ(
            std::memcmp(part.data(), whole.data() + from * s.out, rows * s.out * sizeof(float)), 0)
            << s.in << " x " << s.out << ", " << rows << " rows from " << from;
      }
    }
  }
}

TEST_P(WeightTest, OneScratchServesManyWeights) {
  const Weight narrow = Make(Random(8 * 16), 8, 16);
  const Weight wide = Make(Random(300 * 16), 300, 16);
  const std::vector<float> x = Random(24 * 300);
  std::vector<float> first(24 * 16), again(24 * 16), other(24 * 16);
  Bf16Scratch scratch;
  MultiplyByWeight({x.data(), 300}, narrow, 24, first.data(), scratch);
  MultiplyByWeight({x.data(), 300}, wide, 24, other.data(), scratch);
  MultiplyByWeight({x.data(), 300}, narrow, 24, again.data(), scratch);
  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
}

// A thread that serves is not the one that loaded.
TEST_P(WeightTest, ThreadsShareAWeight) {
  constexpr WeightShape kShape{.in = 70, .out = 200};
  const Weight weight = Make(Random(kShape.in * kShape.out), kShape.in, kShape.out);
  const std::vector<float> x = Random(240 * kShape.in);
  const auto product = [&] {
    std::vector<float> out(240 * kShape.out);
    Bf16Scratch scratch;
    for (const size_t rows : {1, 100, 240}) {
      MultiplyByWeight({x.data(), kShape.in}, weight, rows, out.data(), scratch);
    }
    return out;
  };
  const std::vector<float> expected = product();
  std::vector<std::vector<float>> products(4);
  std::vector<std::thread> threads;
  for (auto& of_thread : products) threads.emplace_back([&] { of_thread = product(); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& of_thread : products) EXPECT_EQ(of_thread, expected);
}

INSTANTIATE_TEST_SUITE_P(Precisions, WeightTest, testing::Values(Precision::kF32, Precision::kBf16),
                         [](const auto& named) {
                           return named.param == Precision::kF32 ? "f32" : "bf16";
                         });

TEST(PrecisionTest, IsF32UnlessTheOptionsSayOtherwise) {
  EXPECT_EQ(PrecisionOf({}), Precision::kF32);
  EXPECT_EQ(PrecisionOf({{"precision", "f32"}}), Precision::kF32);
  EXPECT_EQ(PrecisionOf({{"precision", "bf16"}}), Precision::kBf16);
  EXPECT_EQ(PrecisionOf({{"precision", "fp16"}}), std::nullopt);
  EXPECT_EQ(PrecisionOf({{"precision", ""}}), std::nullopt);
}

TEST(PrecisionTest, SaysWhatIsComputedIn) {
  EXPECT_EQ(ArithmeticOf(Precision::kF32), "f32");
  // A weight is packed exactly where bf16 is what is computed in.
  const auto weight = MakeWeight(std::vector<float>(12, 1.0f), 3, 4, Precision::kBf16);
  ASSERT_TRUE(weight.ok()) << weight.status();
  EXPECT_EQ(weight->bf16 != nullptr, ArithmeticOf(Precision::kBf16).starts_with("bf16"));
}

}  // namespace
}  // namespace groundswell
