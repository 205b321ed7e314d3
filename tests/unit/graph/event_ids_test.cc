// An event id under which the log has something else is a conflict, whatever the kinds of both.
#include <gtest/gtest.h>

#include <future>

#include "graph/store/rocksdb_log.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using LogOutcome = Appended::Outcome;

class EventIdsTest : public testing::Test {
 protected:
  EventIdsTest() {
    MakeStore(path_, 4);
    store_ = OpenStore(path_);
    log_ = *RocksdbLog::Open(*store_, 0, {});
  }

  std::vector<LogOutcome> Append(std::vector<LogEntry> entries) {
    std::promise<absl::StatusOr<AppendResult>> answer;
    EXPECT_TRUE(log_->Append({.entries = std::move(entries)},
                             [&](absl::StatusOr<AppendResult> result) {
                               answer.set_value(std::move(result));
                             })
                    .ok());
    const absl::StatusOr<AppendResult> result = answer.get_future().get();
    EXPECT_TRUE(result.ok()) << result.status();
    std::vector<LogOutcome> outcomes;
    for (const Appended& one : result->entries) outcomes.push_back(one.outcome);
    return outcomes;
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.File("db");
  std::unique_ptr<GraphStore> store_;
  std::unique_ptr<RocksdbLog> log_;
};

TEST_F(EventIdsTest, TheSameAgainIsADuplicateAndAnythingElseAConflict) {
  const Interaction first = MakeInteraction("u", "i0", 1, 1, "same");
  EXPECT_EQ(Append({first}), std::vector{LogOutcome::kAppended});
  EXPECT_EQ(Append({first}), std::vector{LogOutcome::kDuplicate});
  for (const LogEntry& other :
       {LogEntry(MakeInteraction("v", "i0", 1, 1, "same")),
        LogEntry(MakeInteraction("u", "i1", 1, 1, "same")),
        LogEntry(MakeInteraction("u", "i0", 2, 1, "same")),
        LogEntry(MakeInteraction("u", "i0", 1, 2, "same")),
        LogEntry(UpsertItem{.event_id = "same", .item_id = "i0"}),
        LogEntry(ForgetUser{.event_id = "same", .user_id = "u", .user_hash = HashId("u")})}) {
    EXPECT_EQ(Append({other}), std::vector{LogOutcome::kConflict}) << other.index();
  }
  EXPECT_EQ(log_->end(), 1) << "nothing of it was logged";
}

TEST_F(EventIdsTest, AlsoWithinOneRequest) {
  EXPECT_EQ(Append({MakeInteraction("u", "i0", 1, 1, "a"), MakeInteraction("u", "i0", 1, 1, "a"),
                    MakeInteraction("u", "i1", 1, 1, "a")}),
            (std::vector{LogOutcome::kAppended, LogOutcome::kDuplicate, LogOutcome::kConflict}));
}

TEST_F(EventIdsTest, WhenARemovalCameDoesNotMakeItAnother) {
  const ForgetUser forget{.event_id = "f", .user_id = "u", .user_hash = HashId("u"), .time_us = 10};
  ForgetUser again = forget;
  again.time_us = 20;
  ForgetUser other = forget;
  other.user_hash = HashId("v");
  EXPECT_EQ(Append({forget}), std::vector{LogOutcome::kAppended});
  EXPECT_EQ(Append({again}), std::vector{LogOutcome::kDuplicate});
  EXPECT_EQ(Append({other}), std::vector{LogOutcome::kConflict});
}

}  // namespace
}  // namespace groundswell
