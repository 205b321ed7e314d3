#include "models/math/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

namespace groundswell {
namespace {

struct ProductShape {
  size_t rows, columns, inner;
};

class KernelsTest : public testing::Test {
 protected:
  std::vector<float> Random(size_t size) {
    std::vector<float> values(size);
    for (float& value : values) value = normal_(random_);
    return values;
  }

  std::mt19937_64 random_{5};
  std::normal_distribution<float> normal_;
};

TEST_F(KernelsTest, ProductsAgreeWithLoopsOnOddShapes) {
  for (const ProductShape s : {ProductShape{1, 1, 1}, ProductShape{3, 5, 7},
                               ProductShape{17, 200, 70}, ProductShape{33, 80, 201}}) {
    const std::vector<float> a = Random(PaddedRows(s.rows) * s.inner);
    const std::vector<float> b = Random(s.columns * s.inner);
    std::vector<float> c(PaddedRows(s.rows) * s.columns, 1.0f);
    std::vector<float> d(PaddedRows(s.rows) * s.columns);
    MultiplyTransposed({a.data(), s.inner}, {b.data(), s.inner}, {c.data(), s.columns}, s.rows,
                       s.columns, s.inner, /*accumulate=*/true);
    Multiply({a.data(), s.inner}, {b.data(), s.columns}, {d.data(), s.columns}, s.rows, s.columns,
             s.inner);
    for (size_t i = 0; i < s.rows; ++i) {
      for (size_t j = 0; j < s.columns; ++j) {
        double transposed = 1;
        double plain = 0;
        for (size_t k = 0; k < s.inner; ++k) {
          transposed += double{a[i * s.inner + k]} * double{b[j * s.inner + k]};
          plain += double{a[i * s.inner + k]} * double{b[k * s.columns + j]};
        }
        ASSERT_NEAR(c[i * s.columns + j], transposed, 1e-5 * static_cast<double>(s.inner) + 1e-5);
        ASSERT_NEAR(d[i * s.columns + j], plain, 1e-5 * static_cast<double>(s.inner) + 1e-5);
      }
    }
  }
}

TEST_F(KernelsTest, AWholeProductWritesItsRowsOnlyAndTheSameBitsAnywhere) {
  for (const size_t rows : {1, 2, 11, 31, 100}) {
    constexpr size_t kColumns = 40;
    constexpr size_t kInner = 13;
    const std::vector<float> a = Random(rows * kInner);
    const std::vector<float> b = Random(kColumns * kInner);
    std::vector<float> expected(rows * kColumns);
    MultiplyWhole({a.data(), kInner}, {b.data(), kColumns}, {expected.data(), kColumns}, rows,
                  kColumns, kInner);
    for (size_t i = 0; i < expected.size(); ++i) {
      double sum = 0;
      for (size_t k = 0; k < kInner; ++k) {
        sum += double{a[i / kColumns * kInner + k]} * double{b[k * kColumns + i % kColumns]};
      }
      ASSERT_NEAR(expected[i], sum, 1e-4) << rows;
    }
    for (size_t offset = 0; offset < 16; ++offset) {
      std::vector<float> moved(offset);
      moved.insert(moved.end(), a.begin(), a.end());
      std::vector<float> c(offset + expected.size() + 1, 7.0f);
      MultiplyWhole({moved.data() + offset, kInner}, {b.data(), kColumns},
                    {c.data() + offset, kColumns}, rows, kColumns, kInner);
      ASSERT_EQ(std::memcmp(c.data() + offset, expected.data(), expected.size() * sizeof(float)),
                0);
      ASSERT_EQ(c.back(), 7.0f);
    }
  }
}

// What makes a score independent of its batch.
TEST_F(KernelsTest, ARowIsTheSameBitsWhateverTheBatch) {
  constexpr size_t kColumns = 200;
  constexpr size_t kInner = 70;
  constexpr size_t kRows = 10 * kRowGranularity;
  const std::vector<float> a = Random(kRows * kInner);
  const std::vector<float> b = Random(kColumns * kInner);
  std::vector<float> whole(kRows * kColumns);
  MultiplyTransposed({a.data(), kInner}, {b.data(), kInner}, {whole.data(), kColumns}, kRows,
                     kColumns, kInner, false);
  std::vector<float> part(kRows * kColumns);
  for (size_t rows = 1; rows <= 100; ++rows) {
    for (const size_t from : {size_t{0}, size_t{7}, size_t{48}}) {
      MultiplyTransposed({a.data() + from * kInner, kInner}, {b.data(), kInner},
                         {part.data(), kColumns}, rows, kColumns, kInner, false);
      ASSERT_EQ(
          std::memcmp(part.data(), whole.data() + from * kColumns, rows * kColumns * sizeof(float)),
          0)
          << rows << " rows from " << from;
    }
  }
}

}  // namespace
}  // namespace groundswell
