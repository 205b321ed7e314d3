#include "server/pipeline/admission.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "server/rpc/status_details.h"
#include "tests/support/sanitized.h"

namespace groundswell {
namespace {

TEST(AdmissionTest, AFullQueueRefusesAtTheDoorAndSaysWhenToTryAgain) {
  Admission admission({.threads = 1, .queue_max = 2});
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

#ifndef GROUNDSWELL_SANITIZED  // whose own memory is beyond any such limit
// With memory for the stacks of a few.
[[noreturn]] void AskForAThousandThreads() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t bytes = pages * static_cast<size_t>(getpagesize()) + (rlim_t{64} << 20);
  const rlimit limit{.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
  if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(1);
  try {
    const Admission admission({.threads = 1'000});
  } catch (const std::system_error&) {
    _exit(7);
  }
  _exit(0);
}

TEST(AdmissionDeathTest, WithoutThreadsToBeHadItThrowsAndEndsThoseThereAre) {
  EXPECT_EXIT(AskForAThousandThreads(), testing::ExitedWithCode(7), "");
}
#endif

TEST(AdmissionTest, DrainingRunsWhatWaitsAndRefusesTheRest) {
  Admission admission({.threads = 2, .queue_max = 100});
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
  Admission admission({.threads = 1, .queue_max = 1});
  admission.Drain();
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = owned;
  EXPECT_FALSE(admission.Submit([owned = std::move(owned)](ComputeThread) { ++*owned; }).ok());
  EXPECT_TRUE(watch.expired());
}

// Runs `work` on a compute thread and waits for it.
void RunOn(Admission& admission, const std::function<void(ComputeThread)>& work) {
  std::promise<void> done;
  ASSERT_TRUE(admission
                  .Submit([&](ComputeThread self) {
                    work(self);
                    done.set_value();
                  })
                  .ok());
  done.get_future().wait();
}

TEST(AdmissionTest, APartRunsOnAThreadThatHasNothingToDo) {
  Admission admission({.threads = 2, .queue_max = 10});
  RunOn(admission, [](ComputeThread self) {
    // The other thread may not have come to its waiting yet: then the part is not shared.
    for (bool beside = false; !beside;) {
      std::atomic<bool> own_ran = false;
      std::thread::id side_id;
      RunSideBySide(
          self,
          [&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            own_ran = true;
          },
          [&] { side_id = std::this_thread::get_id(); });
      EXPECT_TRUE(own_ran);
      beside = side_id != std::this_thread::get_id();
    }
  });
}

TEST(AdmissionTest, APartThatNobodyTakesRunsHereAfterTheOwn) {
  std::vector<int> order;
  const auto run = [&order](ComputeThread self) {
    RunSideBySide(
        self, [&] { order.push_back(1); }, [&] { order.push_back(2); });
  };
  run(ComputeThread{.number = 0});
  Admission admission({.threads = 1, .queue_max = 10});
  RunOn(admission, run);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 1, 2}));
}

TEST(AdmissionTest, EveryPartRunsOnceWhateverTheLoad) {
  Admission admission({.threads = 3, .queue_max = 10'000});
  std::atomic<int> own = 0;
  std::atomic<int> side = 0;
  for (int i = 0; i < 5'000; ++i) {
    ASSERT_TRUE(admission
                    .Submit([&](ComputeThread self) {
                      bool ran = false;
                      RunSideBySide(
                          self, [&] { ++own; },
                          [&] {
                            ran = true;
                            ++side;
                          });
                      EXPECT_TRUE(ran);
                    })
                    .ok());
  }
  admission.Drain();
  EXPECT_EQ(own, 5'000);
  EXPECT_EQ(side, 5'000);
}

TEST(AdmissionTest, TheMoreWorksWaitTheMorePressureIsOnOne) {
  Admission admission(
      {.threads = 1, .queue_max = 10, .fewer_candidates_at = 2, .no_ranking_at = 4});
  std::promise<void> started;
  std::promise<void> release;
  ASSERT_TRUE(admission
                  .Submit([&](ComputeThread) {
                    started.set_value();
                    release.get_future().wait();
                  })
                  .ok());
  started.get_future().wait();
  std::vector<Pressure> seen;  // of the one thread
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(admission.Submit([&](ComputeThread self) { seen.push_back(self.pressure); }).ok());
  }
  release.set_value();
  admission.Drain();
  EXPECT_EQ(seen, (std::vector<Pressure>{Pressure::kNoRanking, Pressure::kNoRanking,
                                         Pressure::kFewerCandidates, Pressure::kFewerCandidates,
                                         Pressure::kNone, Pressure::kNone}));
}

TEST(AdmissionTest, WithoutLimitsThereIsNoPressure) {
  Admission admission({.threads = 1, .queue_max = 100});
  std::atomic<int> pressed = 0;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(
        admission.Submit([&](ComputeThread self) { pressed += self.pressure != Pressure::kNone; })
            .ok());
  }
  admission.Drain();
  EXPECT_EQ(pressed, 0);
}

TEST(AdmissionTest, OneThreadKeepsTheOrderOfArrival) {
  std::vector<int> order;
  {
    Admission admission({.threads = 1, .queue_max = 100});
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(admission.Submit([&order, i](ComputeThread) { order.push_back(i); }).ok());
    }
  }
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(AdmissionTest, ScratchByThreadNumberIsNeverShared) {
  constexpr size_t kThreads = 4;
  Admission admission({.threads = kThreads, .queue_max = 10'000});
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

TEST(AdmissionTest, WhatAWorkThrowsEndsNoThread) {
  Admission admission({.threads = 1, .queue_max = 2});
  bool ran = false;
  ASSERT_TRUE(admission.Submit([](ComputeThread) { throw std::bad_alloc(); }).ok());
  ASSERT_TRUE(admission.Submit([&](ComputeThread) { ran = true; }).ok());
  admission.Drain();
  EXPECT_TRUE(ran);
}

// Whichever of the two throws, on whichever thread.
TEST(AdmissionTest, WhatAPartThrowsReachesTheWork) {
  Admission admission({.threads = 2, .queue_max = 100});
  std::atomic<int> caught = 0;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(admission
                    .Submit([&caught, i](ComputeThread self) {
                      const auto own = [i] {
                        if (i % 2 == 0) throw std::bad_alloc();
                      };
                      const auto side = [i] {
                        if (i % 2 == 1) throw std::bad_alloc();
                      };
                      try {
                        RunSideBySide(self, own, side);
                      } catch (const std::bad_alloc&) {
                        ++caught;
                      }
                    })
                    .ok());
  }
  admission.Drain();
  EXPECT_EQ(caught, 100);
}

TEST(AdmissionTest, ZeroThreadsMeansOnePerCore) {
  EXPECT_GE(Admission({.queue_max = 1}).thread_count(), 1u);
}

}  // namespace
}  // namespace groundswell
