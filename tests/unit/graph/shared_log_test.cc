// Two logs of one shared order: the same entries and answers, whatever each does beside.
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "graph/kafka/kafka_order.h"
#include "graph/log/record.h"
#include "graph/store/rocksdb_log.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/mock_brokers.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/value_or_throw.h"

namespace groundswell {
namespace {

using Answer = absl::StatusOr<AppendResult>;

constexpr int64_t kEventIdsMax = 40;
constexpr size_t kProducersMax = 3;

void ThrowIfNot(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

// A database of the log, and what a server makes of it.
class Replica {
 public:
  Replica(std::string path, RequestTopic topic, const SharedLog& log)
      : path_(std::move(path)), topic_(std::move(topic)) {
    MakeStore(path_, 4);
    const auto store = OpenStore(path_);
    GraphStore::Batch batch(*store);
    batch.PutSharedLog(log);
    ThrowIfNot(store->Commit(batch, /*sync=*/true));
  }

  // Anew, if it was open.
  void Open(size_t group_max) {
    log_.reset();
    store_.reset();
    store_ = OpenStore(path_);
    const SharedLog taken = *ValueOrThrow(store_->ReadSharedLog());
    auto order = ValueOrThrow(
        KafkaOrder::Open({.properties = topic_.properties, .topic = topic_.name}, taken));
    RocksdbLog::Options options;
    options.group_max = group_max;
    options.event_ids_max = kEventIdsMax;
    options.producers_max = kProducersMax;
    log_ = ValueOrThrow(RocksdbLog::Open(
        *store_, 0, options, RocksdbLog::Shared{.order = std::move(order), .taken = taken}));
  }

  std::future<Answer> Send(AppendRequest request) {
    const auto promise = std::make_shared<std::promise<Answer>>();
    std::future<Answer> answer = promise->get_future();
    const absl::Status queued = log_->Append(
        std::move(request), [promise](Answer result) { promise->set_value(std::move(result)); });
    if (!queued.ok()) promise->set_value(queued);
    return answer;
  }

  // Of all entries, once everything in the order is taken.
  std::vector<std::string> Records() {
    ThrowIfNot(log_->AwaitShared([] { return false; }));
    std::vector<std::string> records;
    for (const auto& [offset, entry] : ValueOrThrow(log_->Read(1, 1'000'000))) {
      records.push_back(EncodeLogRecord(entry));
    }
    return records;
  }

  GraphStore& store() { return *store_; }
  std::string ListRules() { return ValueOrThrow(store_->ReadSetting(kListRulesSetting)); }

 private:
  const std::string path_;
  const RequestTopic topic_;
  std::unique_ptr<GraphStore> store_;
  std::unique_ptr<RocksdbLog> log_;
};

AppendRequest OneOf(const std::string& event_id, Count weight = 1) {
  AppendRequest request;
  request.entries.push_back(MakeInteraction("u", "i0", weight, 1'000'000, event_id));
  return request;
}

class SharedLogTest : public testing::Test {
 protected:
  static MockBrokers& Mock() {
    static MockBrokers brokers;
    return brokers;
  }

  static SharedLog Begin(const RequestTopic& topic) {
    SharedLog log = ValueOrThrow(BeginRequestTopic(topic));
    log.event_ids_max = kEventIdsMax;
    log.producers_max = static_cast<int64_t>(kProducersMax);
    return log;
  }

  // Of both, once each has taken what the other one has sent.
  std::vector<std::string> CommonRecords() {
    one_.Records();
    const std::vector<std::string> of_two = two_.Records();
    EXPECT_TRUE(one_.Records() == of_two);
    return of_two;
  }

  TemporaryDirectory directory_;
  RequestTopic topic_ = Mock().NewTopic();
  SharedLog log_ = Begin(topic_);
  Replica one_{directory_.File("one"), topic_, log_};
  Replica two_{directory_.File("two"), topic_, log_};
};

TEST_F(SharedLogTest, WhatIsSentToBothCountsOnce) {
  one_.Open(40);
  two_.Open(40);
  const Answer first = one_.Send(OneOf("e")).get();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->entries[0].outcome, Appended::Outcome::kAppended);
  const Answer again = two_.Send(OneOf("e")).get();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->entries[0].outcome, Appended::Outcome::kDuplicate);
  EXPECT_EQ(again->entries[0].offset, first->entries[0].offset);
  const Answer other = two_.Send(OneOf("e", 7)).get();
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(other->entries[0].outcome, Appended::Outcome::kConflict);
  AppendRequest gap{.producer_id = "p", .first_sequence = 3, .last_sequence = 3};
  EXPECT_EQ(one_.Send(gap).get().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CommonRecords().size(), 1u);
}

// A batch and where it was taken from are one write: a start goes on behind it, also where requests
// gave no entry.
TEST_F(SharedLogTest, WhereItWasTakenFromIsKeptWithTheEntries) {
  one_.Open(40);
  ASSERT_TRUE(one_.Send(OneOf("e")).get().ok());
  ASSERT_TRUE(one_.Send(OneOf("e")).get().ok());
  const SharedLog taken = *ValueOrThrow(one_.store().ReadSharedLog());
  EXPECT_EQ(taken.position, 2);
  EXPECT_EQ(taken.id, log_.id);
  EXPECT_NE(taken.checksum, log_.checksum);
  EXPECT_EQ(taken.event_ids_max, kEventIdsMax);
  one_.Open(40);
  EXPECT_EQ(one_.Records().size(), 1u);
  const Answer next = one_.Send(OneOf("f")).get();
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->entries[0].offset, 2);
}

AppendRequest RulesRequest(const std::string& event_id, const std::string& before,
                           const std::string& rules) {
  AppendRequest request;
  request.entries.emplace_back(SetListRules{.event_id = event_id,
                                            .etag_before = EtagOfListRules(before),
                                            .etag = EtagOfListRules(rules),
                                            .rules = rules});
  return request;
}

// Of two servers that replace the same rules at once one does, for both; what is sent again behind
// others' has its first answer and changes nothing.
TEST_F(SharedLogTest, ListRulesAreReplacedByOneOfTwoForBoth) {
  one_.Open(40);
  two_.Open(40);
  std::future<Answer> of_one = one_.Send(RulesRequest("a", "", "of one"));
  std::future<Answer> of_two = two_.Send(RulesRequest("b", "", "of two"));
  const Answer first = of_one.get();
  const Answer second = of_two.get();
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  const auto mismatch = Appended::Outcome::kEtagMismatch;
  EXPECT_NE(first->entries[0].outcome == mismatch, second->entries[0].outcome == mismatch);
  EXPECT_EQ(CommonRecords().size(), 2u) << "the log says of both what became of them";
  const bool one_won = second->entries[0].outcome == mismatch;
  const std::string winner = one_won ? "of one" : "of two";
  EXPECT_EQ(one_.ListRules(), winner);
  EXPECT_EQ(two_.ListRules(), winner);
  ASSERT_TRUE(one_.Send(RulesRequest("c", winner, "")).get().ok());
  const Answer again = one_won ? two_.Send(RulesRequest("b", "", "of two")).get()
                               : one_.Send(RulesRequest("a", "", "of one")).get();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->entries[0].outcome, mismatch) << "although the rules are of this etag again";
  EXPECT_EQ(CommonRecords().size(), 3u);
  EXPECT_EQ(two_.ListRules(), "");
}

// Random requests to random replicas, some again to the other one, more ids than the window has and
// more producers than there is room for, with groups of other sizes and starts at other times.
TEST_F(SharedLogTest, AllHaveOneLogWhateverTheyDoBeside) {
  std::mt19937 random(7);
  const auto below = [&random](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  Replica* const replicas[] = {&one_, &two_};
  one_.Open(1);
  two_.Open(40);
  std::vector<int64_t> numbers(5, 0);
  std::vector<std::future<Answer>> answers;
  for (int round = 0; round < Rounds(6); ++round) {
    for (int i = 0; i < 60; ++i) {
      AppendRequest request =
          OneOf("e" + std::to_string(below(100)), static_cast<Count>(1 + below(2)));
      if (below(3) == 0) {
        const size_t producer = below(numbers.size());
        request.producer_id = "p" + std::to_string(producer);
        request.first_sequence = request.last_sequence = ++numbers[producer];
        request.sequences = {request.first_sequence};
      }
      answers.push_back(replicas[below(2)]->Send(request));
      if (below(4) == 0) answers.push_back(replicas[below(2)]->Send(request));
    }
    CommonRecords();
    replicas[below(2)]->Open(1 + below(40));
  }
  size_t taken = 0;
  size_t refused = 0;
  for (std::future<Answer>& answer : answers) {
    const Answer result = answer.get();
    if (!result.ok()) {
      EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition) << result.status();
      ++refused;
    } else if (result->entries[0].outcome == Appended::Outcome::kAppended) {
      ++taken;
    }
  }
  EXPECT_EQ(CommonRecords().size(), taken) << "every entry is somebody's answer, and one's alone";
  EXPECT_GT(refused, 0u) << "gaps, and a producer too many";
}

}  // namespace
}  // namespace groundswell
