#include "server/serving/background.h"

#include <gtest/gtest.h>

#include <future>
#include <new>
#include <stop_token>

namespace groundswell {
namespace {

// Waits until it is to stop.
void AwaitStop(const std::stop_token& stop) {
  std::promise<void> told;
  const std::stop_callback tell(stop, [&told] { told.set_value(); });
  told.get_future().get();
}

TEST(BackgroundThreadTest, AStopWakesTheJobThatWaitsAndTellsThoseBehindIt) {
  BackgroundThread background({});
  std::promise<void> begun;
  bool was_told = false;
  ASSERT_TRUE(background
                  .Submit([&](const std::stop_token& stop) {
                    begun.set_value();
                    AwaitStop(stop);
                  })
                  .ok());
  ASSERT_TRUE(
      background.Submit([&](const std::stop_token& stop) { was_told = stop.stop_requested(); })
          .ok());
  begun.get_future().get();
  background.Stop();
  EXPECT_TRUE(was_told);
  EXPECT_EQ(background.Submit([](const std::stop_token&) {}).code(),
            absl::StatusCode::kUnavailable);
}

TEST(BackgroundThreadTest, WhatAJobThrowsDoesNotEndTheProcess) {
  BackgroundThread background({});
  std::promise<void> next;
  ASSERT_TRUE(background.Submit([](const std::stop_token&) { throw std::bad_alloc(); }).ok());
  ASSERT_TRUE(background.Submit([&](const std::stop_token&) { next.set_value(); }).ok());
  next.get_future().get();
}

TEST(BackgroundThreadTest, AFullQueueTakesNoMore) {
  BackgroundThread background({.queue_max = 1});
  std::promise<void> begun;
  ASSERT_TRUE(background
                  .Submit([&](const std::stop_token& stop) {
                    begun.set_value();
                    AwaitStop(stop);
                  })
                  .ok());
  begun.get_future().get();
  EXPECT_TRUE(background.Submit([](const std::stop_token&) {}).ok());
  EXPECT_EQ(background.Submit([](const std::stop_token&) {}).code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace groundswell
