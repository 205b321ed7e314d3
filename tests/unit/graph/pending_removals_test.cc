#include "graph/upkeep/pending_removals.h"

#include <gtest/gtest.h>

#include <future>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/store/rocksdb_log.h"
#include "graph/upkeep/redaction.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr int64_t kForgetUs = 5'000'000;

ForgetUser Forget(const std::string& user) {
  return {.event_id = "forget-" + user,
          .user_id = user,
          .user_hash = HashId(user),
          .time_us = kForgetUs};
}

class PendingRemovalsTest : public testing::Test {
 protected:
  PendingRemovalsTest() {
    MakeStore(path_, 2);
    store_ = OpenStore(path_);
    log_ = *RocksdbLog::Open(*store_, 0, {});
  }
  ~PendingRemovalsTest() override { log_->Close(); }

  void Append(std::vector<LogEntry> entries) {
    std::promise<bool> appended;
    AppendRequest request{.entries = std::move(entries)};
    ASSERT_TRUE(log_->Append(std::move(request),
                             [&](const absl::StatusOr<AppendResult>& result) {
                               appended.set_value(result.ok());
                             })
                    .ok());
    ASSERT_TRUE(appended.get_future().get());
  }

  // Whether an export that begins now leaves the interaction out, where `applied` was applied.
  bool Covers(Offset offset, const Interaction& interaction, Offset applied = 0) {
    const auto pending = PendingRemovals::Read(*store_, *log_, applied, log_->end());
    EXPECT_TRUE(pending.ok()) << pending.status();
    const auto covers = pending->Covers(offset, interaction, [this](const std::string& item) {
      return items_of_snapshot_.contains(item);
    });
    EXPECT_TRUE(covers.ok()) << covers.status();
    return *covers;
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("db");
  std::unique_ptr<GraphStore> store_;
  std::unique_ptr<RocksdbLog> log_;
  std::set<std::string> items_of_snapshot_;
};

TEST_F(PendingRemovalsTest, WhatIsNotYetAppliedIsCovered) {
  const Interaction of_ann = MakeInteraction("ann", "i0");
  const Interaction of_bob = MakeInteraction("bob", "i0");
  Append({of_ann, of_bob});
  EXPECT_FALSE(Covers(1, of_ann)) << "nobody was forgotten";
  Append({Forget("ann")});
  EXPECT_TRUE(Covers(1, of_ann));
  EXPECT_FALSE(Covers(2, of_bob));
  EXPECT_FALSE(Covers(1, of_ann, 3)) << "applied, and redacted: nothing is left of it to cover";
}

TEST_F(PendingRemovalsTest, WhoComesBackIsNotCovered) {
  Append({MakeInteraction("ann", "i0"), Forget("ann")});
  EXPECT_FALSE(Covers(3, MakeInteraction("ann", "i0", 1, kForgetUs + 1)));
  EXPECT_TRUE(Covers(3, MakeInteraction("ann", "i0", 1, kForgetUs))) << "it is late";
}

TEST_F(PendingRemovalsTest, WhatIsAppliedAndNotYetRedactedIsCovered) {
  const Interaction of_ann = MakeInteraction("ann", "i0");
  const Interaction of_item = MakeInteraction("bob", "i1");
  Append(
      {of_ann, of_item, Forget("ann"),
       RemoveItem{.event_id = "remove", .item_id = "i1", .item_hash = HashId("i1"), .time_us = 1}});
  GraphStore::Batch batch(*store_);
  batch.PutTombstone(Tombstone::Kind::kUser, HashId("ann"), {.offset = 3, .time_us = kForgetUs});
  batch.PutTombstone(Tombstone::Kind::kItem, HashId("i1"), {.offset = 4, .time_us = 1});
  ASSERT_TRUE(store_->Commit(batch, /*sync=*/false).ok());
  EXPECT_TRUE(Covers(1, of_ann, 4));
  EXPECT_TRUE(Covers(2, of_item, 4));
}

// Which the fold takes out of the log once it comes to it.
TEST_F(PendingRemovalsTest, WhatComesLateIsCoveredBehindTheRedactionToo) {
  Append({MakeInteraction("ann", "i0"), Forget("ann"), MakeInteraction("ann", "i0")});
  GraphStore::Batch batch(*store_);
  batch.PutTombstone(Tombstone::Kind::kUser, HashId("ann"), {.offset = 2, .time_us = kForgetUs});
  ASSERT_TRUE(store_->Commit(batch, /*sync=*/false).ok());
  ASSERT_TRUE(RedactLog(*store_, 1, [] { return true; }).ok());
  EXPECT_TRUE(Covers(3, MakeInteraction("ann", "i0", 1, kForgetUs), 2));
  EXPECT_FALSE(Covers(3, MakeInteraction("ann", "i0", 1, kForgetUs + 1), 2));
}

// As the fold judges them once it comes to them.
TEST_F(PendingRemovalsTest, LateEventsOfAnItemThatAreYetToBeFoldedAreCovered) {
  const Interaction late = MakeInteraction("ann", "i1", 1, 90);
  Append(
      {MakeInteraction("ann", "i1"),
       RemoveItem{.event_id = "remove", .item_id = "i1", .item_hash = HashId("i1"), .time_us = 100},
       late});
  EXPECT_TRUE(Covers(1, MakeInteraction("ann", "i1")));
  EXPECT_TRUE(Covers(3, late)) << "the removal is yet to be applied";
  EXPECT_FALSE(Covers(3, MakeInteraction("ann", "i1", 1, 101)));
  GraphStore::Batch batch(*store_);
  batch.PutTombstone(Tombstone::Kind::kItem, HashId("i1"), {.offset = 2, .time_us = 100});
  ASSERT_TRUE(store_->Commit(batch, /*sync=*/false).ok());
  EXPECT_TRUE(Covers(1, MakeInteraction("ann", "i1"), 2));
  EXPECT_TRUE(Covers(3, late, 2));
  EXPECT_FALSE(Covers(3, MakeInteraction("ann", "i1", 1, 101), 2));
}

// Another snapshot has the item again: the fold counts what comes of it, whenever it happened.
TEST_F(PendingRemovalsTest, AnItemThatIsThereAgainIsNotCovered) {
  const Interaction late = MakeInteraction("ann", "i1", 1, 90);
  Append(
      {RemoveItem{.event_id = "remove", .item_id = "i1", .item_hash = HashId("i1"), .time_us = 100},
       late});
  GraphStore::Batch batch(*store_);
  batch.PutTombstone(Tombstone::Kind::kItem, HashId("i1"), {.offset = 1, .time_us = 100});
  ASSERT_TRUE(store_->Commit(batch, /*sync=*/false).ok());
  items_of_snapshot_ = {"i1"};
  EXPECT_FALSE(Covers(2, late, 1));
  items_of_snapshot_.clear();
  EXPECT_FALSE(Covers(2, late, 2)) << "it was folded and is there: it counts";
}

// By a clock that was far ahead: what happened since the newest event is not late, as in the fold.
TEST_F(PendingRemovalsTest, ARemovalOfAnAbsurdTimeCoversNoOneWhoCameBack) {
  constexpr int64_t kDayUs = int64_t{86'400} * 1'000'000;
  Interaction back = MakeInteraction("ann", "i0", 1, kDayUs);
  back.received_time_us = kDayUs;
  ForgetUser absurd = Forget("ann");
  absurd.time_us = 400 * kDayUs;
  Append({MakeInteraction("ann", "i0"), absurd, back});
  EXPECT_TRUE(Covers(1, MakeInteraction("ann", "i0")));
  EXPECT_FALSE(Covers(3, back)) << "yet to be applied";
  GraphStore::Batch batch(*store_);
  batch.PutTombstone(Tombstone::Kind::kUser, HashId("ann"),
                     {.offset = 2, .time_us = absurd.time_us, .newest_event_time_us = kForgetUs});
  ASSERT_TRUE(store_->Commit(batch, /*sync=*/false).ok());
  EXPECT_FALSE(Covers(3, back, 2));
  back.event_time_us = kForgetUs;
  EXPECT_TRUE(Covers(3, back, 2)) << "it is late";
}

}  // namespace
}  // namespace groundswell
