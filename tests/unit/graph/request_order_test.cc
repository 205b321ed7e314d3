// What every RequestOrder keeps.
#include "graph/log/request_order.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "graph/kafka/kafka_order.h"
#include "graph/log/local_order.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/mock_brokers.h"

namespace groundswell {
namespace {

using TimePoint = RequestOrder::TimePoint;

struct OrderKind {
  const char* name;
  // An order that has nothing yet.
  std::function<std::unique_ptr<RequestOrder>(size_t queue_max)> make;
};

AppendRequest RequestOf(const std::string& producer, int64_t number, size_t entries = 1) {
  AppendRequest request{.producer_id = producer, .first_sequence = number, .last_sequence = number};
  for (size_t i = 0; i < entries; ++i) {
    request.entries.push_back(MakeInteraction("u", "i0"));
    request.sequences.push_back(number);
  }
  return request;
}

// What is behind `position` now.
std::vector<RequestOrder::Ordered> ReadNow(RequestOrder& order, int64_t position,
                                           size_t entries_max = 1'000) {
  const auto end = order.End(TimePoint::max());
  EXPECT_TRUE(end.ok()) << end.status();
  if (!end.ok()) return {};
  // Brokers send what they have one after the other: it is awaited first.
  for (int64_t at = position; at < *end;) {
    const auto some = order.Read(at, entries_max, TimePoint::max());
    EXPECT_TRUE(some.ok()) << some.status();
    if (!some.ok()) return {};
    at = some->back().position;
  }
  auto ordered = order.Read(position, entries_max, TimePoint::min());
  EXPECT_TRUE(ordered.ok()) << ordered.status();
  return ordered.ok() ? *std::move(ordered) : std::vector<RequestOrder::Ordered>{};
}

class RequestOrderTest : public testing::TestWithParam<OrderKind> {
 protected:
  std::unique_ptr<RequestOrder> Make(size_t queue_max = 20'000) {
    return GetParam().make(queue_max);
  }
};

TEST_P(RequestOrderTest, EverySubmittersRequestsAreReadInItsOrder) {
  const auto order = Make();
  constexpr int64_t kEach = 200;
  std::vector<std::thread> submitters;
  for (const char* id : {"a", "b", "c"}) {
    submitters.emplace_back([&order, id] {
      for (int64_t number = 1; number <= kEach; ++number) {
        ASSERT_TRUE(order->Submit(RequestOf(id, number)).ok());
      }
    });
  }
  std::map<std::string, int64_t> last;
  int64_t position = 0;
  while (position < 3 * kEach) {
    const auto ordered = order->Read(position, 7, TimePoint::max());
    ASSERT_TRUE(ordered.ok()) << ordered.status();
    ASSERT_FALSE(ordered->empty());
    for (const RequestOrder::Ordered& one : *ordered) {
      const AppendRequest& request = *one.request;
      EXPECT_EQ(one.position, ++position);
      EXPECT_EQ(request.first_sequence, ++last[request.producer_id]) << request.producer_id;
    }
    if (position % 3 == 0) {
      ASSERT_TRUE(order->Cut(position).ok());
    }
  }
  for (std::thread& submitter : submitters) submitter.join();
  EXPECT_EQ(*order->End(TimePoint::max()), position);
}

TEST_P(RequestOrderTest, WhatIsNotCutIsReadAgain) {
  const auto order = Make();
  for (int64_t number = 1; number <= 4; ++number) {
    ASSERT_TRUE(order->Submit(RequestOf("p", number)).ok());
  }
  EXPECT_EQ(ReadNow(*order, 0).size(), 4u);
  EXPECT_EQ(ReadNow(*order, 2).front().request->first_sequence, 3);
  ASSERT_TRUE(order->Cut(2).ok());
  EXPECT_EQ(ReadNow(*order, 2).front().request->first_sequence, 3);
  EXPECT_EQ(order->Read(1, 10, TimePoint::min()).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(ReadNow(*order, 4).empty());
  EXPECT_EQ(order->Read(5, 10, TimePoint::max()).status().code(), absl::StatusCode::kDataLoss);
}

TEST_P(RequestOrderTest, EndCoversWhatWasSubmittedBefore) {
  const auto order = Make();
  EXPECT_EQ(*order->End(TimePoint::max()), 0);
  ASSERT_TRUE(order->Submit(RequestOf("p", 1)).ok());
  EXPECT_EQ(*order->End(TimePoint::max()), 1);
  ASSERT_TRUE(order->Submit(RequestOf("p", 2, 0)).ok()) << "one without entries is a request";
  EXPECT_EQ(*order->End(TimePoint::max()), 2);
  EXPECT_EQ(ReadNow(*order, 0).size(), 2u);
}

TEST_P(RequestOrderTest, RequestsAreReadWhole) {
  const auto order = Make();
  for (const size_t entries : {3, 1, 1'000, 1}) {
    ASSERT_TRUE(order->Submit(RequestOf("p", 1, entries)).ok());
  }
  EXPECT_EQ(ReadNow(*order, 0, 4).size(), 2u);
  EXPECT_EQ(ReadNow(*order, 1, 4).size(), 1u);
  EXPECT_EQ(ReadNow(*order, 2, 4).size(), 1u) << "alone, however long it is";
  EXPECT_EQ(ReadNow(*order, 2, 4).front().request->entries.size(), 1'000u);
}

TEST_P(RequestOrderTest, AProducersMarkComesWithItsNumbers) {
  const auto order = Make();
  AppendRequest request = RequestOf("p", 7);
  request.producer_mark = std::string("m\0\xff", 3);
  ASSERT_TRUE(order->Submit(request).ok());
  const auto ordered = ReadNow(*order, 0);
  ASSERT_EQ(ordered.size(), 1u);
  EXPECT_EQ(ordered[0].request->last_sequence, 7);
  EXPECT_EQ(ordered[0].request->producer_mark, request.producer_mark);
}

TEST_P(RequestOrderTest, WhatAServerHasComesAsItWasTold) {
  const auto order = Make();
  const SeenDigest told{
      .server = ~uint64_t{6}, .offset = 4'096, .snapshot_digest = "s", .digest = "00ff"};
  ASSERT_TRUE(order->Submit({.seen_digest = told}).ok());
  ASSERT_TRUE(order->Submit(RequestOf("p", 1)).ok());
  const auto ordered = ReadNow(*order, 0);
  ASSERT_EQ(ordered.size(), 2u);
  const std::optional<SeenDigest>& seen = ordered[0].request->seen_digest;
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->server, told.server);
  EXPECT_EQ(seen->offset, told.offset);
  EXPECT_EQ(seen->snapshot_digest, told.snapshot_digest);
  EXPECT_EQ(seen->digest, told.digest);
  EXPECT_TRUE(ordered[0].request->entries.empty());
  EXPECT_FALSE(ordered[1].request->seen_digest.has_value());
}

TEST_P(RequestOrderTest, ALargeRequestComesAsItWas) {
  const auto order = Make();
  const UpsertItem item{.event_id = "e", .item_id = "i", .title = std::string(1 << 20, 't')};
  ASSERT_TRUE(order->Submit({.entries = {item}}).ok());
  const auto ordered = ReadNow(*order, 0);
  ASSERT_EQ(ordered.size(), 1u);
  EXPECT_EQ(std::get<UpsertItem>(ordered[0].request->entries[0]).title, item.title);
}

TEST_P(RequestOrderTest, AFullOrderRefusesUntilItIsRead) {
  const auto order = Make(/*queue_max=*/3);
  ASSERT_TRUE(order->Submit(RequestOf("p", 1, 2)).ok());
  EXPECT_EQ(order->Submit(RequestOf("p", 2, 2)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(order->queued(), 2u);
  EXPECT_TRUE(order->Submit(RequestOf("p", 3, 1)).ok());
  EXPECT_EQ(ReadNow(*order, 0).size(), 2u) << "the refused one is not in it";
  EXPECT_EQ(order->queued(), 0u);
  ReadNow(*order, 0);
  EXPECT_EQ(order->queued(), 0u) << "read twice, counted once";
  EXPECT_TRUE(order->Submit(RequestOf("p", 2, 2)).ok());
}

TEST_P(RequestOrderTest, AClosedOrderGivesWhatItHas) {
  const auto order = Make();
  ASSERT_TRUE(order->Submit(RequestOf("p", 1)).ok());
  order->Close();
  EXPECT_EQ(order->Submit(RequestOf("p", 2)).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadNow(*order, 0).size(), 1u);
  EXPECT_EQ(order->Read(1, 10, TimePoint::max()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_P(RequestOrderTest, CloseEndsAReadThatWaits) {
  const auto order = Make();
  std::thread reader([&order] {
    EXPECT_EQ(order->Read(0, 10, TimePoint::max()).status().code(),
              absl::StatusCode::kFailedPrecondition);
  });
  order->Close();
  reader.join();
}

// Brokers that all tests of the program share.
MockBrokers& Brokers() {
  static MockBrokers brokers;
  return brokers;
}

std::unique_ptr<RequestOrder> OpenedOrThrow(const RequestTopic& topic, const SharedLog& from,
                                            size_t queue_max = 20'000) {
  auto order = KafkaOrder::Open(
      {.properties = topic.properties, .topic = topic.name, .queue_max = queue_max}, from);
  if (!order.ok()) throw std::runtime_error(order.status().ToString());
  return *std::move(order);
}

// The same of a topic's own.
struct NewKafkaLog {
  RequestTopic topic = Brokers().NewTopic();
  SharedLog log = *BeginRequestTopic(topic);
};

INSTANTIATE_TEST_SUITE_P(Orders, RequestOrderTest,
                         testing::Values(OrderKind{"Local",
                                                   [](size_t queue_max) {
                                                     return std::make_unique<LocalOrder>(queue_max);
                                                   }},
                                         OrderKind{"Kafka",
                                                   [](size_t queue_max) {
                                                     const NewKafkaLog made;
                                                     return OpenedOrThrow(made.topic, made.log,
                                                                          queue_max);
                                                   }}),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(KafkaOrderTest, AllReadTheSameAndEachKnowsItsOwn) {
  const NewKafkaLog made;
  const auto one = OpenedOrThrow(made.topic, made.log);
  const auto other = OpenedOrThrow(made.topic, made.log);
  for (int64_t number = 1; number <= 50; ++number) {
    ASSERT_TRUE(one->Submit(RequestOf("one", number)).ok());
    ASSERT_TRUE(other->Submit(RequestOf("other", number)).ok());
  }
  ASSERT_TRUE(one->End(TimePoint::max()).ok());
  ASSERT_EQ(*other->End(TimePoint::max()), 100);
  const auto of_one = ReadNow(*one, 0);
  const auto of_other = ReadNow(*other, 0);
  ASSERT_EQ(of_one.size(), 100u);
  ASSERT_EQ(of_other.size(), 100u);
  for (size_t i = 0; i < of_one.size(); ++i) {
    const AppendRequest& request = *of_one[i].request;
    EXPECT_EQ(request.producer_id, of_other[i].request->producer_id) << i;
    EXPECT_EQ(request.first_sequence, of_other[i].request->first_sequence) << i;
    EXPECT_EQ(of_one[i].checksum, of_other[i].checksum) << i;
    EXPECT_EQ(of_one[i].is_own, request.producer_id == "one") << i;
    EXPECT_EQ(of_other[i].is_own, request.producer_id == "other") << i;
  }
}

TEST(KafkaOrderTest, AfterAnErrorEverythingIsSentAgainInItsOrder) {
  const NewKafkaLog made;
  const auto order = OpenedOrThrow(made.topic, made.log);
  Brokers().RefuseWrites(2);
  constexpr int64_t kRequests = 100;
  for (int64_t number = 1; number <= kRequests; ++number) {
    ASSERT_TRUE(order->Submit(RequestOf("p", number)).ok());
  }
  int64_t own = 0;
  for (int64_t position = 0; own < kRequests;) {
    const auto ordered = order->Read(position, 10, TimePoint::max());
    ASSERT_TRUE(ordered.ok()) << ordered.status();
    for (const auto& one : *ordered) {
      position = one.position;
      if (!one.is_own) continue;
      EXPECT_EQ(one.request->first_sequence, ++own);
    }
  }
  EXPECT_EQ(order->queued(), 0u);
}

absl::Status OpenBehind(const RequestTopic& topic, const SharedLog& from) {
  return KafkaOrder::Open({.properties = topic.properties, .topic = topic.name}, from).status();
}

TEST(KafkaOrderTest, AStartGoesOnBehindWhatWasTakenAndNowhereElse) {
  const NewKafkaLog made;
  SharedLog taken = made.log;
  {
    const auto order = OpenedOrThrow(made.topic, made.log);
    for (int64_t number = 1; number <= 5; ++number) {
      ASSERT_TRUE(order->Submit(RequestOf("p", number)).ok());
    }
    const auto ordered = ReadNow(*order, 0);
    ASSERT_EQ(ordered.size(), 5u);
    taken.position = 3;
    taken.checksum = ordered[2].checksum;
  }
  {
    const auto order = OpenedOrThrow(made.topic, taken);
    const auto ordered = ReadNow(*order, 3);
    ASSERT_EQ(ordered.size(), 2u);
    EXPECT_EQ(ordered[0].request->first_sequence, 4);
    EXPECT_FALSE(ordered[0].is_own) << "who waited for it has ended";
  }
  // A topic that was made anew and has become as long, and one that has not.
  const NewKafkaLog anew;
  EXPECT_EQ(OpenBehind(anew.topic, taken).code(), absl::StatusCode::kDataLoss);
  const auto longer = OpenedOrThrow(anew.topic, anew.log);
  for (int64_t number = 1; number <= 5; ++number) {
    ASSERT_TRUE(longer->Submit(RequestOf("p", number)).ok());
  }
  EXPECT_EQ(*longer->End(TimePoint::max()), 5);
  EXPECT_EQ(OpenBehind(anew.topic, taken).code(), absl::StatusCode::kDataLoss);
  SharedLog other = taken;
  ++other.checksum;
  EXPECT_EQ(OpenBehind(made.topic, other).code(), absl::StatusCode::kDataLoss);
}

TEST(KafkaOrderTest, AForeignRequestInTheMidstEndsTheReading) {
  const NewKafkaLog made;
  const auto order = OpenedOrThrow(made.topic, made.log);
  // Who writes without having looked: a first record of another log.
  ASSERT_FALSE(BeginRequestTopic(made.topic).ok());
  EXPECT_EQ(order->Read(0, 10, TimePoint::max()).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(order->Read(0, 10, TimePoint::max()).status().code(), absl::StatusCode::kDataLoss);
}

TEST(KafkaOrderTest, OnePartitionOnlyAndNoRequestTooLarge) {
  const NewKafkaLog made;
  EXPECT_EQ(OpenBehind(Brokers().NewTopic(/*partitions=*/2), made.log).code(),
            absl::StatusCode::kFailedPrecondition);
  const auto order = OpenedOrThrow(made.topic, made.log);
  const UpsertItem item{
      .event_id = "e", .item_id = "i", .title = std::string(KafkaOrder::kRequestBytesMax, 't')};
  EXPECT_EQ(order->Submit({.entries = {item}}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(order->queued(), 0u);
}

TEST(KafkaOrderTest, PropertiesThatDecideWhatIsLostAreRefusedWithoutTheirValue) {
  const absl::Status status = CheckNotOurs(
      {{"ssl.ca.location", "ca.pem", "line 1 of f"}, {"acks", "secret", "line 2 of f"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("line 2 of f sets \"acks\""), std::string::npos) << status;
  EXPECT_EQ(status.message().find("secret"), std::string::npos) << status;
}

}  // namespace
}  // namespace groundswell
