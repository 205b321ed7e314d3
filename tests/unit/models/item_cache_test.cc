#include "models/item_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

namespace groundswell {
namespace {

constexpr size_t kWidth = 20;
constexpr size_t kSlotBytes = 128;  // 16 and 4 * kWidth, in whole cache lines

std::vector<float> Filled(float value) { return std::vector<float>(kWidth, value); }

// Positions that are missing; `out` has the others.
std::vector<uint32_t> Read(const ItemCache& cache, std::vector<uint32_t> items,
                           std::vector<int64_t> versions, std::vector<float>& out) {
  out.assign(items.size() * kWidth, -1);
  std::vector<uint32_t> missing;
  cache.Read(items, versions, out, missing);
  return missing;
}

TEST(ItemCacheTest, WithoutMemoryNothingIsKept) {
  for (const size_t bytes : {size_t{0}, kSlotBytes - 1}) {
    ItemCache cache(10, kWidth, bytes);
    cache.Write(3, 1, Filled(2));
    std::vector<float> out;
    EXPECT_EQ(Read(cache, {3, 4}, {1, 1}, out), (std::vector<uint32_t>{0, 1}));
  }
}

TEST(ItemCacheTest, AnItemThatWasNeverWrittenIsMissingAlsoAtVersionZero) {
  const ItemCache cache(10, kWidth, 1 << 20);
  std::vector<float> out;
  EXPECT_EQ(Read(cache, {0, 9}, {0, 0}, out), (std::vector<uint32_t>{0, 1}));
}

TEST(ItemCacheTest, OnlyTheVersionThatWasWrittenIsThere) {
  ItemCache cache(10, kWidth, 1 << 20);
  cache.Write(3, 7, Filled(2));
  cache.Write(9, 0, Filled(5));
  std::vector<float> out;
  EXPECT_EQ(Read(cache, {3, 9, 3, 3}, {7, 0, 6, 8}, out), (std::vector<uint32_t>{2, 3}));
  EXPECT_TRUE(std::all_of(out.begin(), out.begin() + kWidth, [](float x) { return x == 2; }));
  EXPECT_TRUE(
      std::all_of(out.begin() + kWidth, out.begin() + 2 * kWidth, [](float x) { return x == 5; }));
  EXPECT_EQ(out.back(), -1);
}

TEST(ItemCacheTest, WhatIsTouchedHoldsNothingYetAndThenWhatIsWritten) {
  for (const size_t touched : {0, 4, 10, 1'000}) {
    ItemCache cache(10, 1'000, 1 << 20);
    cache.Touch(touched);
    std::vector<uint32_t> missing;
    std::vector<float> out(1'000);
    for (uint32_t item = 0; item < 10; ++item) {
      cache.Read(std::vector{item}, std::vector<int64_t>{0}, out, missing);
    }
    EXPECT_EQ(missing.size(), 10u);
    cache.Write(9, 1, std::vector<float>(1'000, 2.5f));
    missing.clear();
    cache.Read(std::vector<uint32_t>{9}, std::vector<int64_t>{1}, out, missing);
    EXPECT_TRUE(missing.empty());
    EXPECT_EQ(out.back(), 2.5f);
  }
}

TEST(ItemCacheTest, ItemsThatShareASlotTakeTurns) {
  ItemCache cache(10, kWidth, 3 * kSlotBytes);
  cache.Write(1, 1, Filled(1));
  cache.Write(4, 1, Filled(4));
  std::vector<float> out;
  EXPECT_EQ(Read(cache, {1, 4}, {1, 1}, out), (std::vector<uint32_t>{0}));
  EXPECT_EQ(out[kWidth], 4);
}

TEST(ItemCacheTest, AReaderNeverGetsPartsOfTwoVectors) {
  ItemCache cache(1, kWidth, 1 << 20);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; i < 20'000; ++i) cache.Write(0, 1, Filled(static_cast<float>(i)));
    done = true;
  });
  std::vector<float> out;
  while (!done) {
    if (Read(cache, {0}, {1}, out).empty()) {
      ASSERT_EQ(out.front(), out.back());
    }
  }
  writer.join();
  EXPECT_TRUE(Read(cache, {0}, {1}, out).empty());
}

}  // namespace
}  // namespace groundswell
