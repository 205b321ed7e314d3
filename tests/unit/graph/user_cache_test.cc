#include "graph/fold/user_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace groundswell {
namespace {

UserState UserOf(uint32_t index, size_t edges) {
  UserState user{.index = UserIndex{index}, .cluster = 3, .changed_at = 9, .edges = {}};
  for (size_t i = 0; i < edges; ++i) {
    user.edges.push_back({.item = ItemIndex{static_cast<uint32_t>(i)}, .count = index + 1});
  }
  return user;
}

TEST(UserCacheTest, WhatWasPutIsTakenOnce) {
  UserCache cache(1 << 20);
  EXPECT_FALSE(cache.Take("u1").has_value());
  cache.Put("u1", UserOf(1, 5));
  EXPECT_GE(cache.bytes(), 5 * sizeof(Edge));
  const auto user = cache.Take("u1");
  ASSERT_TRUE(user.has_value());
  EXPECT_EQ(user->index, UserIndex{1});
  EXPECT_EQ(user->cluster, 3u);
  EXPECT_EQ(user->changed_at, 9);
  EXPECT_EQ(user->edges, UserOf(1, 5).edges);
  EXPECT_FALSE(cache.Take("u1").has_value());
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(UserCacheTest, TheNewestOfASlotStays) {
  UserCache cache(1024);  // one slot
  cache.Put("u1", UserOf(1, 2));
  cache.Put("u2", UserOf(2, 2));
  EXPECT_FALSE(cache.Take("u1").has_value());
  EXPECT_TRUE(cache.Take("u2").has_value());
}

TEST(UserCacheTest, MemoryIsBoundedWhateverTheUsersSizes) {
  constexpr size_t kBytes = 64 << 10;
  UserCache cache(kBytes);
  size_t found = 0;
  for (uint32_t i = 0; i < 1'000; ++i) {
    cache.Put(fmt::format("user-{}", i), UserOf(i, i % 7 == 0 ? 1'000 : i % 50));
    ASSERT_LE(cache.bytes(), kBytes) << i;
  }
  for (uint32_t i = 0; i < 1'000; ++i) {
    const auto user = cache.Take(fmt::format("user-{}", i));
    if (!user.has_value()) continue;
    ++found;
    ASSERT_EQ(user->index, UserIndex{i});
  }
  EXPECT_GT(found, 0u);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(UserCacheTest, OneUserLargerThanTheWholeIsNotKept) {
  UserCache cache(4096);
  cache.Put("u", UserOf(1, 10'000));
  EXPECT_EQ(cache.bytes(), 0u);
  EXPECT_FALSE(cache.Take("u").has_value());
}

TEST(UserCacheTest, WithoutMemoryNothingIsKept) {
  UserCache cache(0);
  cache.Put("u", UserOf(1, 1));
  EXPECT_FALSE(cache.Take("u").has_value());
}

}  // namespace
}  // namespace groundswell
