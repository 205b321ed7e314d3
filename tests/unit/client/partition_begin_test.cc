#include "client/kafka/partition_begin.h"

#include <gmock/gmock.h>

#include <map>

namespace groundswell {
namespace {

using testing::HasSubstr;

// The server's sequences in memory; the `left`-th use fails, as if the process were killed there.
struct Sequences {
  ProducerSequences Functions() {
    return {.ask = [this](const std::string& id) -> absl::StatusOr<int64_t> { return last[id]; },
            .use_up =
                [this](const std::string& id, int64_t count) {
                  EXPECT_GE(count, 1);
                  EXPECT_LE(count, ProducerSequences::kNumbersMax);
                  EXPECT_EQ(last[id], 0) << id;
                  if (left-- == 0) return absl::UnavailableError("killed");
                  last[id] = count;
                  return absl::OkStatus();
                }};
  }
  std::map<std::string, int64_t> last;
  int left = 1'000;
};

TEST(PartitionBeginTest, WhatIsWrittenIsRead) {
  for (const int64_t begin : {int64_t{0}, int64_t{1}, int64_t{999}, int64_t{1'000},
                              int64_t{123'456'789}, int64_t{1} << 59}) {
    Sequences sequences;
    const auto before = ReadBegin("p", sequences.Functions());
    EXPECT_TRUE(before.ok() && !before->has_value());
    EXPECT_EQ(*WriteBegin("p", begin, sequences.Functions()), begin);
    const auto read = ReadBegin("p", sequences.Functions());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, begin);
  }
}

TEST(PartitionBeginTest, OneThatIsCutOffGoesOnWithoutPassingARecordOver) {
  for (const int64_t first : {int64_t{1'999}, int64_t{5'000'017}}) {
    for (const int64_t second : {first, first + 1, first + 2'000, int64_t{7'000'000'000}}) {
      for (int killed_at = 0; killed_at < 4; ++killed_at) {
        Sequences sequences{.last = {}, .left = killed_at};
        const bool whole = WriteBegin("p", first, sequences.Functions()).ok();
        sequences.left = 1'000;
        if (whole) continue;
        const auto begin = WriteBegin("p", second, sequences.Functions());
        ASSERT_TRUE(begin.ok()) << begin.status();
        EXPECT_LE(*begin, second);
        EXPECT_GE(*begin, first) << second << " killed at " << killed_at;
        EXPECT_EQ(**ReadBegin("p", sequences.Functions()), *begin);
      }
    }
  }
}

TEST(PartitionBeginTest, AnEarlierBeginThanTheWrittenPartIsRefused) {
  Sequences sequences{.last = {}, .left = 2};
  EXPECT_FALSE(WriteBegin("p", 5'000'017, sequences.Functions()).ok());
  sequences.left = 1'000;
  const auto begin = WriteBegin("p", 4'000'000, sequences.Functions());
  EXPECT_TRUE(absl::IsFailedPrecondition(begin.status()));
  EXPECT_THAT(std::string(begin.status().message()), HasSubstr("--name"));
}

TEST(PartitionBeginTest, APartThatTheServerForgotIsAnError) {
  for (const std::string forgotten : {"p/begin", "p/begin/0"}) {
    Sequences sequences;
    ASSERT_TRUE(WriteBegin("p", 5'000'017, sequences.Functions()).ok());
    sequences.last.erase(forgotten);
    EXPECT_TRUE(absl::IsFailedPrecondition(ReadBegin("p", sequences.Functions()).status()))
        << forgotten;
  }
}

TEST(PartitionBeginTest, TheGreatestBeginIsTheGreatest) {
  EXPECT_EQ(GreatestBegin({}, 2, 1'234), 1'234);
  EXPECT_EQ(GreatestBegin({}, 2, 12), 12);
  EXPECT_EQ(GreatestBegin({}, 1, 1'234), 999);
  EXPECT_EQ(GreatestBegin({1}, 2, 1'234), 1'234);
  EXPECT_EQ(GreatestBegin({1}, 2, 2'000), 1'999);
  EXPECT_EQ(GreatestBegin({1}, 2, 999), std::nullopt);
}

}  // namespace
}  // namespace groundswell
