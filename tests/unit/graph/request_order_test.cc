// What every RequestOrder keeps.
#include "graph/log/request_order.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "graph/log/local_order.h"
#include "tests/support/graph_fixture.h"

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
  for (size_t i = 0; i < entries; ++i) request.entries.push_back(MakeInteraction("u", "i0"));
  return request;
}

// What is behind `position` now.
std::vector<RequestOrder::Ordered> ReadNow(RequestOrder& order, int64_t position,
                                           size_t entries_max = 1'000) {
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
    for (const auto& [at, request] : *ordered) {
      EXPECT_EQ(at, ++position);
      EXPECT_EQ(request->first_sequence, ++last[request->producer_id]) << request->producer_id;
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
  EXPECT_EQ(order->Read(5, 10, TimePoint::min()).status().code(), absl::StatusCode::kDataLoss);
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

INSTANTIATE_TEST_SUITE_P(Orders, RequestOrderTest,
                         testing::Values(OrderKind{"Local",
                                                   [](size_t queue_max) {
                                                     return std::make_unique<LocalOrder>(queue_max);
                                                   }}),
                         [](const auto& kind) { return std::string(kind.param.name); });

}  // namespace
}  // namespace groundswell
