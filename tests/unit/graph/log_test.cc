#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "graph/rocksdb_log.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using Result = absl::StatusOr<std::vector<Appended>>;

// Appends and waits for the log's answer.
Result Append(InteractionLog& log, std::vector<Interaction> interactions) {
  std::promise<Result> promise;
  const absl::Status queued = log.Append(
      std::move(interactions), [&](Result result) { promise.set_value(std::move(result)); });
  if (!queued.ok()) return queued;
  return promise.get_future().get();
}

class LogTest : public testing::Test {
 protected:
  LogTest() { MakeStore(path_, 4); }

  std::unique_ptr<RocksdbLog> OpenLog(GraphStore& store, RocksdbLog::Options options = {}) {
    auto log = RocksdbLog::Open(store, std::move(options));
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.File("db");
};

TEST_F(LogTest, OffsetsBeginAtOneAndAreConsecutive) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  EXPECT_EQ(log->end(), 0);
  const Result first = Append(*log, {MakeInteraction("u", "i0"), MakeInteraction("u", "i1")});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ((*first)[0].offset, 1);
  EXPECT_EQ((*first)[1].offset, 2);
  EXPECT_EQ((*Append(*log, {MakeInteraction("u", "i0")}))[0].offset, 3);
  EXPECT_EQ(log->end(), 3);
  EXPECT_EQ(log->Read(2, 10)->size(), 2u);
  EXPECT_TRUE(log->Read(4, 10)->empty());
}

TEST_F(LogTest, ARepeatedEventIdIsADuplicateAlsoAfterReopening) {
  {
    const auto store = OpenStore(path_);
    const auto log = OpenLog(*store);
    const Result result = Append(
        *log, {MakeInteraction("u", "i0", 1, 1, "same"), MakeInteraction("u", "i1", 1, 1, "same")});
    ASSERT_TRUE(result.ok());
    EXPECT_EQ((*result)[1].outcome, Appended::Outcome::kDuplicate);
    EXPECT_EQ((*result)[1].offset, 1);
  }
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  const Result result = Append(*log, {MakeInteraction("u", "i0", 1, 1, "same")});
  EXPECT_EQ((*result)[0].outcome, Appended::Outcome::kDuplicate);
  EXPECT_EQ(log->end(), 1);
}

TEST_F(LogTest, EventIdsOutsideTheWindowAreForgotten) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store, {.group_max = 1, .event_ids_max = 2});
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(Append(*log, {MakeInteraction("u", "i0", 1, 1, id)}).ok());
  }
  EXPECT_EQ((*Append(*log, {MakeInteraction("u", "i0", 1, 1, "c")}))[0].outcome,
            Appended::Outcome::kDuplicate);
  EXPECT_EQ((*Append(*log, {MakeInteraction("u", "i0", 1, 1, "a")}))[0].outcome,
            Appended::Outcome::kAppended);
}

TEST_F(LogTest, AWindowSmallerThanAGroupIsRefused) {
  const auto store = OpenStore(path_);
  const auto log = RocksdbLog::Open(*store, {.group_max = 10, .event_ids_max = 9});
  EXPECT_EQ(log.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LogTest, AFullQueueRefusesAtOnceAndKeepsNothing) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store, {.queue_max = 1});
  bool called = false;
  const absl::Status refused = log->Append({MakeInteraction("u", "i0"), MakeInteraction("u", "i1")},
                                           [&](const Result&) { called = true; });
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  log->Close();
  EXPECT_FALSE(called);
  EXPECT_EQ(log->end(), 0);
}

TEST_F(LogTest, ClosingAnswersEveryAppendAndRefusesFurtherOnes) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  std::atomic<int> answered{0};
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(log->Append({MakeInteraction("u", "i0")},
                            [&](const Result& result) {
                              EXPECT_TRUE(result.ok());
                              ++answered;
                            })
                    .ok());
  }
  log->Close();
  EXPECT_EQ(answered, 50);
  EXPECT_EQ(Append(*log, {MakeInteraction("u", "i0")}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(LogTest, ManyThreadsGetDistinctOffsetsInTheirOwnOrder) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Offset previous = 0;
      for (int i = 0; i < 50; ++i) {
        const Result result = Append(*log, {MakeInteraction("u", "i0")});
        ASSERT_TRUE(result.ok());
        EXPECT_GT((*result)[0].offset, previous);
        previous = (*result)[0].offset;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(log->end(), 200);
  EXPECT_EQ(log->Read(1, 1'000)->size(), 200u);
}

}  // namespace
}  // namespace groundswell
