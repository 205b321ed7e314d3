#include "server/admission.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <memory>

#include "server/status_details.h"

namespace groundswell {
namespace {

TEST(AdmissionTest, AFullQueueRefusesAtTheDoorAndSaysWhenToTryAgain) {
  Admission admission(1, 2);
  std::promise<void> started;
  std::promise<void> release;
  ASSERT_TRUE(admission
                  .Submit([&](ComputeThread) {
                    started.set_value();
                    release.get_future().wait();
                  })
                  .ok());
  started.get_future().wait();
  std::atomic<int> ran = 0;
  EXPECT_TRUE(admission.Submit([&](ComputeThread) { ++ran; }).ok());
  EXPECT_TRUE(admission.Submit([&](ComputeThread) { ++ran; }).ok());
  EXPECT_EQ(admission.queue_depth(), 2u);
  const absl::Status refused = admission.Submit([&](ComputeThread) { ++ran; });
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), "OVERLOADED");
  EXPECT_EQ(ToRpcStatus(refused).details_size(), 2);  // ErrorInfo and RetryInfo
  release.set_value();
  admission.Drain();
  EXPECT_EQ(ran, 2);
}

TEST(AdmissionTest, DrainingRunsWhatWaitsAndRefusesTheRest) {
  Admission admission(2, 100);
  std::atomic<int> ran = 0;
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(admission.Submit([&](ComputeThread) { ++ran; }).ok());
  admission.Drain();
  EXPECT_EQ(ran, 50);
  const absl::Status refused = admission.Submit([&](ComputeThread) { ++ran; });
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(refused), "DRAINING");
  admission.Drain();
  EXPECT_EQ(ran, 50);
}

TEST(AdmissionTest, RefusedWorkIsDestroyedUnrun) {
  Admission admission(1, 1);
  admission.Drain();
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = owned;
  EXPECT_FALSE(admission.Submit([owned = std::move(owned)](ComputeThread) { ++*owned; }).ok());
  EXPECT_TRUE(watch.expired());
}

TEST(AdmissionTest, OneThreadKeepsTheOrderOfArrival) {
  std::vector<int> order;
  {
    Admission admission(1, 100);
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(admission.Submit([&order, i](ComputeThread) { order.push_back(i); }).ok());
    }
  }
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(AdmissionTest, ScratchByThreadNumberIsNeverShared) {
  constexpr size_t kThreads = 4;
  Admission admission(kThreads, 10'000);
  EXPECT_EQ(admission.thread_count(), kThreads);
  std::vector<int> scratch(kThreads, 0);  // not atomic on purpose: the thread sanitizer watches
  for (int i = 0; i < 2'000; ++i) {
    ASSERT_TRUE(admission.Submit([&scratch](ComputeThread self) { ++scratch[self.number]; }).ok());
  }
  admission.Drain();
  int total = 0;
  for (const int count : scratch) total += count;
  EXPECT_EQ(total, 2'000);
}

TEST(AdmissionTest, ZeroThreadsMeansOnePerCore) { EXPECT_GE(Admission(0, 1).thread_count(), 1u); }

}  // namespace
}  // namespace groundswell
