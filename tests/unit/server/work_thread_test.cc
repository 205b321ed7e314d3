#include "server/process/work_thread.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <vector>

namespace groundswell {
namespace {

TEST(WorkThreadTest, EverythingIsDoneInItsOrderWhateverIsThrown) {
  std::vector<int> done;
  {
    WorkThread thread("work");
    for (int i = 0; i < 100; ++i) {
      thread.Post([i, &done] {
        if (i == 10) throw std::bad_alloc();
        if (i == 20) throw i;
        done.push_back(i);
      });
    }
  }
  ASSERT_EQ(done.size(), 98);
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_EQ(done.back(), 99);
}

TEST(WorkThreadTest, WhatComesAfterTheEndIsDropped) {
  WorkThread thread("work");
  bool before = false;
  bool after = false;
  thread.Post([&] { before = true; });
  thread.Finish();
  thread.Post([&] { after = true; });
  thread.Finish();
  EXPECT_TRUE(before);
  EXPECT_FALSE(after);
}

}  // namespace
}  // namespace groundswell
