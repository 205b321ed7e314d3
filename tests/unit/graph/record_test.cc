#include "graph/record.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

Interaction Sample() {
  return {.event_id = "e1",
          .user_id = "u",
          .item_id = "i",
          .event_type = "return",
          .weight = -3,
          .event_time_us = 12'345,
          .received_time_us = 67'890};
}

TEST(LogRecordTest, EveryFlippedBitIsNoticed) {
  const std::string record = EncodeLogRecord(Sample());
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string damaged = record;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(DecodeLogRecord(damaged).status().code(), absl::StatusCode::kDataLoss) << bit;
  }
}

TEST(LogRecordTest, TruncatedRecordIsDataLossAtEveryLength) {
  const std::string record = EncodeLogRecord(Sample());
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_EQ(DecodeLogRecord(std::string_view(record).substr(0, size)).status().code(),
              absl::StatusCode::kDataLoss)
        << size;
  }
}

TEST(LogRecordTest, RoundTrips) {
  const auto decoded = DecodeLogRecord(EncodeLogRecord(Sample()));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->event_id, "e1");
  EXPECT_EQ(decoded->user_id, "u");
  EXPECT_EQ(decoded->item_id, "i");
  EXPECT_EQ(decoded->event_type, "return");
  EXPECT_EQ(decoded->weight, -3);
  EXPECT_EQ(decoded->event_time_us, 12'345);
  EXPECT_EQ(decoded->received_time_us, 67'890);
}

TEST(KeyTest, NumbersSortAsTheirBytesDo) {
  std::string smaller;
  std::string larger;
  AppendKeyU64(smaller, 255);
  AppendKeyU64(larger, 256);
  EXPECT_LT(smaller, larger);
  EXPECT_EQ(KeySuffixU64(larger), 256u);
  EXPECT_EQ(KeySuffixU64("short"), 0u);
}

}  // namespace
}  // namespace groundswell
