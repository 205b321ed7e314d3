#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <thread>

#include "graph/log/entry_hash.h"
#include "graph/store/rocksdb_log.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using Result = absl::StatusOr<AppendResult>;

// Appends and waits for the log's answer.
Result Send(InteractionLog& log, AppendRequest request) {
  std::promise<Result> promise;
  const absl::Status queued =
      log.Append(std::move(request), [&](Result result) { promise.set_value(std::move(result)); });
  if (!queued.ok()) return queued;
  return promise.get_future().get();
}

Result Append(InteractionLog& log, std::vector<LogEntry> entries) {
  return Send(log, {.entries = std::move(entries)});
}

// Interactions numbered from `first`.
AppendRequest Numbered(const std::string& producer, int64_t first, int64_t count) {
  AppendRequest request{
      .producer_id = producer, .first_sequence = first, .last_sequence = first + count - 1};
  for (int64_t i = 0; i < count; ++i) {
    request.entries.push_back(MakeInteraction("u", "i0"));
    request.sequences.push_back(first + i);
  }
  return request;
}

class LogTest : public testing::Test {
 protected:
  LogTest() { MakeStore(path_, 4); }

  std::unique_ptr<RocksdbLog> OpenLog(GraphStore& store, RocksdbLog::Options options = {}) {
    auto log = RocksdbLog::Open(store, 0, std::move(options));
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
  EXPECT_EQ(first->entries[0].offset, 1);
  EXPECT_EQ(first->entries[1].offset, 2);
  EXPECT_EQ(Append(*log, {MakeInteraction("u", "i0")})->entries[0].offset, 3);
  EXPECT_EQ(log->end(), 3);
  EXPECT_EQ(log->Read(2, 10)->size(), 2u);
  EXPECT_TRUE(log->Read(4, 10)->empty());
}

TEST_F(LogTest, ARepeatedEventIdIsADuplicateAlsoAfterReopening) {
  {
    const auto store = OpenStore(path_);
    const auto log = OpenLog(*store);
    const Result result = Append(
        *log, {MakeInteraction("u", "i0", 1, 1, "same"), MakeInteraction("u", "i0", 1, 1, "same")});
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->entries[1].outcome, Appended::Outcome::kDuplicate);
    EXPECT_EQ(result->entries[1].offset, 1);
  }
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  const Result result = Append(*log, {MakeInteraction("u", "i0", 1, 1, "same")});
  EXPECT_EQ(result->entries[0].outcome, Appended::Outcome::kDuplicate);
  EXPECT_EQ(log->end(), 1);
}

TEST_F(LogTest, EventIdsOutsideTheWindowAreForgotten) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store, {.group_max = 1, .event_ids_max = 2});
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(Append(*log, {MakeInteraction("u", "i0", 1, 1, id)}).ok());
  }
  EXPECT_EQ(Append(*log, {MakeInteraction("u", "i0", 1, 1, "c")})->entries[0].outcome,
            Appended::Outcome::kDuplicate);
  EXPECT_EQ(Append(*log, {MakeInteraction("u", "i0", 1, 1, "a")})->entries[0].outcome,
            Appended::Outcome::kAppended);
}

// In one write, in some and one by one: the same answers, offsets and event ids.
TEST_F(LogTest, TheWindowIsOfOffsetsNotOfWrites) {
  const std::string ids = "abcabdaefgaahbcdefghaabcabcd";
  std::vector<std::vector<std::pair<int, Offset>>> answers;
  for (const size_t size : {ids.size(), size_t{5}, size_t{1}}) {
    const std::string path = directory_.File("by" + std::to_string(size));
    MakeStore(path, 4);
    const auto store = OpenStore(path);
    const auto log = OpenLog(*store, {.group_max = 4, .event_ids_max = 4});
    auto& outcomes = answers.emplace_back();
    for (size_t at = 0; at < ids.size(); at += size) {
      std::vector<LogEntry> entries;
      for (const char id : ids.substr(at, size)) {
        entries.push_back(MakeInteraction("u", "i0", 1, 1, std::string(1, id)));
      }
      const Result result = Append(*log, std::move(entries));
      ASSERT_TRUE(result.ok()) << result.status();
      for (const Appended& one : result->entries) {
        outcomes.emplace_back(static_cast<int>(one.outcome), one.offset);
      }
    }
    EXPECT_EQ(outcomes, answers.front()) << size << " at once";
  }
  const auto appended = std::count_if(answers[0].begin(), answers[0].end(),
                                      [](const auto& one) { return one.first == 0; });
  EXPECT_GT(appended, 8) << "some came again behind the window";
  EXPECT_LT(appended, static_cast<ptrdiff_t>(ids.size()));
}

TEST_F(LogTest, AnotherWindowCountsFromTheNextEntryOn) {
  const auto store = OpenStore(path_);
  const auto outcome_of = [](RocksdbLog& log, const std::string& id) {
    return Append(log, {MakeInteraction("u", "i0", 1, 1, id)})->entries[0].outcome;
  };
  {
    const auto log = OpenLog(*store, {.group_max = 1, .event_ids_max = 8});
    for (const char* id : {"a", "b", "c", "d", "e", "f", "g", "h"}) outcome_of(*log, id);
    EXPECT_EQ(outcome_of(*log, "a"), Appended::Outcome::kDuplicate);
  }
  {
    const auto log = OpenLog(*store, {.group_max = 1, .event_ids_max = 2});
    EXPECT_EQ(outcome_of(*log, "a"), Appended::Outcome::kAppended);
    for (const char* id : {"n0", "g", "n1"}) outcome_of(*log, id);
    EXPECT_EQ(outcome_of(*log, "g"), Appended::Outcome::kDuplicate)
        << "that its older entry is not kept any more does not forget the newer one";
    for (const char* id : {"n2", "n3"}) outcome_of(*log, id);
    EXPECT_EQ(log->end(), 14);
    EXPECT_FALSE((*store->FindEventId(HashEventId("h"))).has_value()) << "what left is not kept";
    EXPECT_EQ(*store->EventIdsBegin(), 13);
  }
  const auto log = OpenLog(*store, {.group_max = 1, .event_ids_max = 8});
  EXPECT_EQ(outcome_of(*log, "n3"), Appended::Outcome::kDuplicate);
  EXPECT_EQ(outcome_of(*log, "b"), Appended::Outcome::kAppended);
  for (int i = 0; i < 7; ++i) outcome_of(*log, "m" + std::to_string(i));
  EXPECT_EQ(outcome_of(*log, "b"), Appended::Outcome::kDuplicate);
}

TEST_F(LogTest, AWindowRaisedBeforeALoweredOneWasCaughtUpWithForgetsNothingInIt) {
  const auto store = OpenStore(path_);
  const auto outcome_of = [](RocksdbLog& log, const std::string& id) {
    return Append(log, {MakeInteraction("u", "i0", 1, 1, id)})->entries[0].outcome;
  };
  {
    const auto log = OpenLog(*store, {.group_max = 1, .event_ids_max = 8});
    for (const char* id : {"a", "b", "c", "d", "e", "f", "g", "h"}) outcome_of(*log, id);
  }
  {
    const auto log = OpenLog(*store, {.group_max = 1, .event_ids_max = 2});
    EXPECT_EQ(outcome_of(*log, "d"), Appended::Outcome::kAppended);
  }
  const auto log = OpenLog(*store, {.group_max = 1, .event_ids_max = 8});
  for (const char* id : {"x", "y", "z"}) outcome_of(*log, id);
  EXPECT_EQ(outcome_of(*log, "d"), Appended::Outcome::kDuplicate) << "of offset 9";
}

TEST_F(LogTest, AWindowSmallerThanAGroupIsRefused) {
  const auto store = OpenStore(path_);
  const auto log = RocksdbLog::Open(*store, 0, {.group_max = 10, .event_ids_max = 9});
  EXPECT_EQ(log.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LogTest, AFullQueueRefusesAtOnceAndKeepsNothing) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store, {.queue_max = 1});
  bool called = false;
  const absl::Status refused =
      log->Append({.entries = {MakeInteraction("u", "i0"), MakeInteraction("u", "i1")}},
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
    ASSERT_TRUE(log->Append({.entries = {MakeInteraction("u", "i0")}},
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
        EXPECT_GT(result->entries[0].offset, previous);
        previous = result->entries[0].offset;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(log->end(), 200);
  EXPECT_EQ(log->Read(1, 1'000)->size(), 200u);
}

TEST_F(LogTest, AProducersSequenceCountsOnceAlsoAfterReopening) {
  {
    const auto store = OpenStore(path_);
    const auto log = OpenLog(*store);
    EXPECT_EQ(Send(*log, Numbered("p", 1, 5))->last_sequence, 5);
    const Result overlapping = Send(*log, Numbered("p", 4, 3));
    ASSERT_TRUE(overlapping.ok()) << overlapping.status();
    EXPECT_EQ(overlapping->entries[0].outcome, Appended::Outcome::kDuplicate);
    EXPECT_EQ(overlapping->entries[1].outcome, Appended::Outcome::kDuplicate);
    EXPECT_EQ(overlapping->entries[2].outcome, Appended::Outcome::kAppended);
    EXPECT_EQ(log->end(), 6);
  }
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  EXPECT_EQ(Send(*log, Numbered("p", 1, 6))->last_sequence, 6);
  EXPECT_EQ(log->end(), 6);
  EXPECT_EQ(Send(*log, Numbered("q", 1, 1))->entries[0].offset, 7) << "another producer";
}

TEST_F(LogTest, AGapInASequenceIsRefusedAloneWithTheNumberThatIsNext) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  ASSERT_TRUE(Send(*log, Numbered("p", 1, 2)).ok());
  const Result gap = Send(*log, Numbered("p", 4, 1));
  EXPECT_EQ(gap.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(gap.status().message().find("is 3"), absl::string_view::npos) << gap.status();
  EXPECT_TRUE(Send(*log, Numbered("p", 3, 1)).ok());
  EXPECT_EQ(log->end(), 3);
}

TEST_F(LogTest, NumbersOfWhatWasRefusedAtTheDoorAreUsedUp) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  EXPECT_EQ(
      Send(*log, {.producer_id = "p", .first_sequence = 1, .last_sequence = 3})->last_sequence, 3);
  EXPECT_EQ(log->end(), 0);
  EXPECT_EQ(Send(*log, Numbered("p", 4, 1))->last_sequence, 4);
}

TEST_F(LogTest, WhatWasRefusedOfAProducerIsCountedOnceAlsoAfterReopening) {
  {
    const auto store = OpenStore(path_);
    const auto log = OpenLog(*store);
    ASSERT_TRUE(Append(*log, {MakeInteraction("u", "i0", 1, 1, "taken")}).ok());
    AppendRequest request = Numbered("p", 1, 3);
    request.last_sequence = 5;  // 4 and 5 were refused at the door
    request.entries[1] = MakeInteraction("u", "i1", 1, 1, "taken");
    const Result first = Send(*log, request);
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_EQ(first->entries[1].outcome, Appended::Outcome::kConflict);
    EXPECT_EQ(first->refused_count, 3);
    EXPECT_EQ(Send(*log, request)->refused_count, 3) << "again";
  }
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  EXPECT_EQ(Send(*log, {.producer_id = "p"})->refused_count, 3);
  EXPECT_EQ(Send(*log, Numbered("p", 5, 2))->refused_count, 3) << "one again, and one that is good";
  EXPECT_EQ(Send(*log, {.producer_id = "q"})->refused_count, 0) << "another producer";
}

TEST_F(LogTest, AProducersMarkIsThatOfTheRequestThatBroughtItsLastNumberAlsoAfterReopening) {
  const auto numbered = [](int64_t first, int64_t count, const char* mark) {
    AppendRequest request = Numbered("p", first, count);
    request.producer_mark = mark;
    return request;
  };
  const AppendRequest asking{.producer_id = "p"};
  {
    const auto store = OpenStore(path_);
    const auto log = OpenLog(*store);
    ASSERT_TRUE(Send(*log, numbered(1, 3, "three")).ok());
    EXPECT_EQ(Send(*log, asking)->producer_mark, "three");
    EXPECT_EQ(Send(*log, numbered(2, 2, "others"))->producer_mark, "") << "it did not ask";
    EXPECT_FALSE(Send(*log, numbered(5, 1, "behind a gap")).ok());
    EXPECT_EQ(Send(*log, asking)->producer_mark, "three") << "neither brought a number";
    ASSERT_TRUE(Send(*log, numbered(3, 2, "four")).ok());
    EXPECT_EQ(Send(*log, {.producer_id = "q"})->producer_mark, "") << "another producer";
  }
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  EXPECT_EQ(Send(*log, asking)->producer_mark, "four");
  ASSERT_TRUE(Send(*log, Numbered("p", 5, 1)).ok());
  EXPECT_EQ(Send(*log, asking)->producer_mark, "") << "one that marks nothing";
}

// As an older server wrote it: of a field that is 0 nothing is stored.
TEST_F(LogTest, AProducerWhoseRefusalsWereNotCountedHasNone) {
  const auto store = OpenStore(path_);
  GraphStore::Batch batch(*store);
  batch.PutProducer("p", {.last_sequence = 7});
  ASSERT_TRUE(store->Commit(batch, /*sync=*/true).ok());
  const auto log = OpenLog(*store);
  EXPECT_EQ(Send(*log, {.producer_id = "p"})->refused_count, 0);
  EXPECT_EQ(
      Send(*log, {.producer_id = "p", .first_sequence = 8, .last_sequence = 8})->refused_count, 1);
}

TEST_F(LogTest, OneProducerTooManyIsRefusedUntilAnotherOneIsSilentForAWindow) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store, {.group_max = 2, .event_ids_max = 4, .producers_max = 2});
  ASSERT_TRUE(Send(*log, Numbered("p", 1, 1)).ok());
  ASSERT_TRUE(Send(*log, Numbered("q", 1, 1)).ok());
  EXPECT_EQ(Send(*log, Numbered("r", 1, 1)).status().code(), absl::StatusCode::kFailedPrecondition);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Send(*log, Numbered("q", 2 + i, 1)).ok());
  EXPECT_TRUE(Send(*log, Numbered("r", 1, 1)).ok());
  EXPECT_EQ(store->ReadProducers()->size(), 2u);
  EXPECT_FALSE(store->ReadProducers()->contains("p"));
}

// Of requests that share a write, each is judged as if it were alone.
TEST_F(LogTest, OneWriteMayReplaceSeveralSilentProducers) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store, {.group_max = 4, .event_ids_max = 4, .producers_max = 3});
  for (const char* id : {"b", "a", "c"}) {
    ASSERT_TRUE(
        Send(*log, {.producer_id = id, .first_sequence = 1, .last_sequence = 1}).ok());  // offset 0
  }
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(Append(*log, {MakeInteraction("u", "i0")}).ok());
  // The first holds the writer until the others wait for it.
  std::promise<void> others_wait;
  std::vector<Result> results(4, absl::UnknownError("not answered"));
  ASSERT_TRUE(log->Append({.entries = {MakeInteraction("u", "i0")}},
                          [&](const Result&) { others_wait.get_future().wait(); })
                  .ok());
  const std::vector<AppendRequest> requests = {Numbered("d", 1, 1), Numbered("e", 2, 1),
                                               Numbered("e", 1, 1), Numbered("f", 1, 1)};
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSERT_TRUE(
        log->Append(requests[i], [&results, i](Result result) { results[i] = std::move(result); })
            .ok());
  }
  others_wait.set_value();
  log->Close();
  EXPECT_TRUE(results[0].ok()) << results[0].status();
  EXPECT_EQ(results[1].status().code(), absl::StatusCode::kFailedPrecondition) << "a gap";
  EXPECT_TRUE(results[2].ok()) << results[2].status();
  EXPECT_TRUE(results[3].ok()) << results[3].status();
  std::string known;
  const auto producers = store->ReadProducers();
  for (const auto& [id, producer] : *producers) known += id;
  EXPECT_EQ(known, "def");
}

TEST_F(LogTest, AnEventTimeBefore1970IsRefusedAlone) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store);
  const Result refused =
      Append(*log, {MakeInteraction("u", "i0", 1, 5), MakeInteraction("u", "i0", 1, -1)});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(log->end(), 0);
  EXPECT_TRUE(Append(*log, {MakeInteraction("u", "i0", 1, 0)}).ok());
}

TEST_F(LogTest, TheBeginningCanBeCutOffUpToTheWindow) {
  const auto store = OpenStore(path_);
  const auto log = OpenLog(*store, {.group_max = 2, .event_ids_max = 4});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Append(*log, {MakeInteraction("u", "i0")}).ok());
  ASSERT_TRUE(log->TruncateBefore(100).ok());
  EXPECT_EQ(log->begin(), 7) << "the window of event ids is kept";
  EXPECT_EQ(log->Read(7, 10)->size(), 4u);
  EXPECT_EQ(log->Read(6, 10).status().code(), absl::StatusCode::kDataLoss);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Append(*log, {MakeInteraction("u", "i0")}).ok());
}

}  // namespace
}  // namespace groundswell
