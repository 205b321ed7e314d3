#include "graph/fold/applier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "graph/log/entry_hash.h"
#include "graph/upkeep/redaction.h"
#include "tests/support/live_graph.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr size_t kApplierItems = 4;
using Outcome = FoldOutcome;

class ApplierTest : public testing::Test {
 protected:
  void Make(const Window& window = {}) { MakeStore(path_, kApplierItems, window); }
  static Count Total(const LiveGraph& live, uint32_t item) {
    return live.graph->items().Total(ItemIndex{item});
  }
  static ForgetUser Forget(const std::string& user, int64_t time_us) {
    static int next = 0;
    return {.event_id = "forget-" + std::to_string(++next),
            .user_id = user,
            .user_hash = HashId(user),
            .time_us = time_us};
  }
  static RemoveItem Remove(const std::string& item, int64_t time_us) {
    return {.event_id = "remove-" + item,
            .item_id = item,
            .item_hash = HashId(item),
            .time_us = time_us};
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.File("db");
};

TEST_F(ApplierTest, AWaitThatIsNotMetEndsAtItsDeadline) {
  Make();
  LiveGraph live(path_);
  EXPECT_FALSE(live.WaitFor(1, std::chrono::milliseconds(20)));
}

TEST_F(ApplierTest, AWaitEndsAtItsDeadlineAlsoWhileABatchIsFolded) {
  Make();
  std::promise<void> folding;
  std::promise<void> go_on;
  LiveGraph live(path_, {.on_edges_changed = [&](const EdgeChange&) {
                   folding.set_value();
                   go_on.get_future().wait();
                 }});
  const Offset offset = live.Append(MakeInteraction("ann", "i1"));
  folding.get_future().wait();
  auto reached = std::async(std::launch::async,
                            [&] { return live.WaitFor(offset, std::chrono::milliseconds(10)); });
  const std::future_status told = reached.wait_for(std::chrono::seconds(60));
  go_on.set_value();
  EXPECT_EQ(told, std::future_status::ready);
  EXPECT_FALSE(reached.get());
  EXPECT_TRUE(live.WaitFor(offset));
}

TEST_F(ApplierTest, DigestsAreOfExactOffsetsWhateverTheBatches) {
  Make();
  std::vector<std::pair<Offset, StateDigest>> told[2];
  for (const size_t batch_max : {7, 1'000}) {
    const TemporaryDirectory directory;
    MakeStore(directory.File("db"), kApplierItems);
    auto& of_this = told[batch_max == 7 ? 0 : 1];
    const auto tell = [&](Offset offset, const std::string& /*snapshot*/,
                          const StateDigest& digest) { of_this.emplace_back(offset, digest); };
    LiveGraph live(directory.File("db"), {.batch_max = batch_max, .on_digest = tell});
    for (Offset n = 1; n <= 2 * Applier::kDigestInterval + 1; ++n) {
      live.Append(MakeInteraction("user-" + std::to_string(n % 50), "i" + std::to_string(n % 3)));
    }
    ASSERT_TRUE(live.WaitFor(2 * Applier::kDigestInterval + 1));
  }
  ASSERT_EQ(told[0].size(), 2u);
  EXPECT_EQ(told[0][0].first, Applier::kDigestInterval);
  EXPECT_EQ(told[0][1].first, 2 * Applier::kDigestInterval);
  EXPECT_NE(told[0][0].second, told[0][1].second);
  EXPECT_EQ(told[0], told[1]);
}

TEST_F(ApplierTest, AnAppendedInteractionBecomesVisible) {
  Make();
  LiveGraph live(path_);
  EXPECT_TRUE(live.WaitFor(0));
  live.Apply(MakeInteraction("ann", "i1", 2));
  EXPECT_EQ(live.User("ann").cluster, 1u);
  EXPECT_EQ(live.User("ann").edges[0].count, 2u);
  EXPECT_EQ(Total(live, 1), 2);
  EXPECT_EQ(live.progress().live_user_count, 1);
  EXPECT_EQ(live.progress().edge_count, 1);
  live.ExpectVerified();
}

TEST_F(ApplierTest, WhatCannotBeAppliedIsPassedOverAndReported) {
  Make();
  LiveGraph live(path_);
  live.Apply({MakeInteraction("ann", "nowhere"), MakeInteraction("ann", "i0", -1),
              MakeInteraction("ann", "i0", 1), MakeInteraction("ann", "i0", -2)});
  EXPECT_EQ(Total(live, 0), 1);
  EXPECT_EQ(live.StopAndTakeOutcomes(),
            (std::vector<Outcome>{Outcome::kUnknownItem, Outcome::kBelowZero, Outcome::kApplied,
                                  Outcome::kBelowZero}));
}

TEST_F(ApplierTest, ARestartContinuesWhereItWas) {
  Make();
  Offset offset = 0;
  std::string digest;
  {
    LiveGraph live(path_);
    offset = live.Apply({MakeInteraction("ann", "i0"), MakeInteraction("bob", "i0", 3)});
    digest = live.Digest();
  }
  LiveGraph live(path_);
  EXPECT_EQ(live.applier->applied_offset(), offset);
  EXPECT_EQ(live.Digest(), digest);
  EXPECT_EQ(Total(live, 0), 4);
  EXPECT_TRUE(live.StopAndTakeOutcomes().empty());
}

TEST_F(ApplierTest, WhatWasLoggedButNotAppliedIsAppliedAtTheStart) {
  Make();
  {
    const auto store = OpenStore(path_);
    GraphStore::Batch batch(*store);
    for (Offset offset = 1; offset <= 5; ++offset) {
      batch.PutLogEntry(offset, MakeInteraction("ann", "i2"));
    }
    ASSERT_TRUE(store->Commit(batch, true).ok());
  }
  LiveGraph live(path_);
  EXPECT_EQ(live.applier->applied_offset(), 5);
  EXPECT_EQ(Total(live, 2), 5);
}

TEST_F(ApplierTest, TheClusterOfANewUserIsRecordedInTheLogAndRules) {
  Make();
  {
    LiveGraph live(path_);
    live.Apply(MakeInteraction("ann", "i1"));
    const LogEntry entry = (*live.log->Read(1, 1))[0].second;
    EXPECT_EQ(std::get<Interaction>(entry).user_cluster,
              (AssignedCluster{.cluster = 1, .clusters_of = "test"}));
    Interaction recorded = MakeInteraction("bob", "i1");
    recorded.user_cluster = {.cluster = 0, .clusters_of = "test"};
    live.Apply(recorded);
    EXPECT_EQ(live.User("bob").cluster, 0u) << "what is recorded, not what would be computed";
    recorded.user_id = "eve";
    recorded.event_id = "other";
    recorded.user_cluster = {.cluster = 0, .clusters_of = "another snapshot"};
    live.Apply(recorded);
    EXPECT_EQ(live.User("eve").cluster, 1u);
  }
}

TEST_F(ApplierTest, InteractionsLeaveTheWindowOfAgeByEventTime) {
  Make({.age_us = 10});
  LiveGraph live(path_);
  live.Apply({MakeInteraction("ann", "i0", 2, 100), MakeInteraction("ann", "i0", 3, 105),
              MakeInteraction("bob", "i1", 1, 110)});
  EXPECT_EQ(Total(live, 0), 5) << "exactly as old as the window is long: still inside";
  live.Apply(MakeInteraction("bob", "i1", 1, 111));
  EXPECT_EQ(Total(live, 0), 3);
  live.ExpectVerified();
  live.Apply(MakeInteraction("eve", "i2", 1, 100));
  EXPECT_EQ(Total(live, 2), 0) << "too late";
  live.Apply(MakeInteraction("eve", "i3", 1, 1'000));
  EXPECT_EQ(Total(live, 0) + Total(live, 1), 0);
  EXPECT_EQ(live.progress().edge_count, 1);
  live.ExpectVerified();
  EXPECT_EQ(live.StopAndTakeOutcomes()[4], Outcome::kOutsideWindow);
}

TEST_F(ApplierTest, TheOldestLeaveTheWindowsByCount) {
  Make({.interactions = 3, .items = 2});
  LiveGraph live(path_);
  live.Apply({MakeInteraction("ann", "i0", 5, 1), MakeInteraction("ann", "i1", 1, 2),
              MakeInteraction("ann", "i1", 1, 3)});
  EXPECT_EQ(Total(live, 0), 5);
  live.Apply(MakeInteraction("ann", "i1", 1, 4));
  EXPECT_EQ(Total(live, 0), 0) << "the fourth interaction pushes the first out";
  live.Apply(MakeInteraction("ann", "i2", 1, 5));
  EXPECT_EQ(Total(live, 1), 2);
  live.Apply(MakeInteraction("ann", "i3", 1, 6));
  EXPECT_EQ(Total(live, 1), 0) << "a third item pushes the oldest out";
  live.ExpectVerified();
}

TEST_F(ApplierTest, AForgottenUserLeavesNothingAndLateEventsChangeNothing) {
  Make();
  LiveGraph live(path_);
  live.Apply(MakeInteraction("ann", "i0", 1, 10));
  const std::string without_bob = live.Digest();
  live.Apply({MakeInteraction("bob", "i0", 2, 11), MakeInteraction("bob", "i1", 3, 12)});
  const Offset offset = live.Apply(Forget("bob", 20));
  EXPECT_EQ(live.Digest(), without_bob);
  EXPECT_EQ(Total(live, 0), 1);
  EXPECT_EQ(Total(live, 1), 0);
  const auto tombstone = *live.store->FindTombstone(Tombstone::Kind::kUser, HashId("bob"));
  ASSERT_TRUE(tombstone.has_value());
  EXPECT_EQ(tombstone->offset, offset);
  EXPECT_EQ(tombstone->removed.edges, 2);
  EXPECT_EQ(tombstone->removed.weight, 5);
  EXPECT_EQ(tombstone->digest.ToString(), without_bob);

  const Offset late = live.Apply(MakeInteraction("bob", "i0", 2, 20));
  EXPECT_EQ(live.Digest(), without_bob);
  EXPECT_TRUE(std::holds_alternative<Redacted>((*live.log->Read(late, 1))[0].second));
  live.Apply(MakeInteraction("bob", "i0", 1, 21));
  EXPECT_EQ(Total(live, 0), 2) << "a new life";
  live.ExpectVerified();
}

// The server's clock was put back between two requests: what was late stays late.
TEST_F(ApplierTest, AClockThatGoesBackwardsRevivesNothing) {
  Make();
  LiveGraph live(path_);
  live.Apply({MakeInteraction("bob", "i0", 1, 10), Forget("bob", 100), Forget("bob", 50)});
  EXPECT_EQ((*live.store->FindTombstone(Tombstone::Kind::kUser, HashId("bob")))->time_us, 100);
  live.Apply(MakeInteraction("bob", "i0", 1, 80));
  EXPECT_EQ(Total(live, 0), 0);
  live.Apply(MakeInteraction("bob", "i0", 1, 101));
  EXPECT_EQ(Total(live, 0), 1);
  live.ExpectVerified();
}

TEST_F(ApplierTest, RedactionTakesTheIdsOutOfTheLog) {
  Make();
  {
    LiveGraph live(path_);
    live.Apply({MakeInteraction("bob", "i0", 1, 10, "bob's first"),
                MakeInteraction("ann", "i1", 1, 11), MakeInteraction("ann", "i0", 1, 12)});
    live.Apply({Forget("bob", 20), Remove("i1", 20)});
    EXPECT_EQ(*RedactLog(*live.store, 1, [] { return true; }), 4);
    EXPECT_EQ(*RedactLog(*live.store, 1, [] { return true; }), 0);
    const auto entries = *live.log->Read(1, 10);
    EXPECT_TRUE(std::holds_alternative<Redacted>(entries[0].second));
    EXPECT_EQ(std::get<Redacted>(entries[1].second).event_time_us, 11);
    EXPECT_EQ(std::get<Interaction>(entries[2].second).user_id, "ann");
    EXPECT_EQ(std::get<ForgetUser>(entries[3].second).user_id, "");
    EXPECT_EQ(std::get<RemoveItem>(entries[4].second).item_id, "");
    EXPECT_EQ((*live.store->FindEventId(HashEventId("bob's first")))->offset, 1);
    EXPECT_TRUE((*live.store->FindTombstone(Tombstone::Kind::kUser, HashId("bob")))->redacted);
  }
  LiveGraph live(path_);
  live.ExpectVerified();
}

TEST_F(ApplierTest, ASecondForgettingWhileTheLogIsRedactedIsNotLost) {
  Make();
  LiveGraph live(path_);
  live.Apply({MakeInteraction("bob", "i0", 1, 10), Forget("bob", 20)});
  bool is_first = true;
  const auto redacted = RedactLog(*live.store, 1, [&] {
    if (is_first) live.Apply({MakeInteraction("bob", "i1", 1, 30), Forget("bob", 40)});
    is_first = false;
    return true;
  });
  ASSERT_TRUE(redacted.ok()) << redacted.status();
  auto tombstone = *live.store->FindTombstone(Tombstone::Kind::kUser, HashId("bob"));
  EXPECT_EQ(tombstone->offset, 4);
  EXPECT_EQ(tombstone->time_us, 40);
  EXPECT_FALSE(tombstone->redacted);
  EXPECT_EQ(*RedactLog(*live.store, 1, [] { return true; }), 2);
  tombstone = *live.store->FindTombstone(Tombstone::Kind::kUser, HashId("bob"));
  EXPECT_TRUE(tombstone->redacted);
  const auto entries = *live.log->Read(1, 10);
  EXPECT_TRUE(std::holds_alternative<Redacted>(entries[2].second));
  EXPECT_EQ(std::get<ForgetUser>(entries[3].second).user_id, "");
}

// A client that got no answer sends again, whatever was redacted meanwhile.
TEST_F(ApplierTest, WhatWasRedactedIsStillADuplicateWhenItComesAgain) {
  Make();
  LiveGraph live(path_);
  const Interaction first = MakeInteraction("bob", "i0", 1, 10, "first");
  const Interaction late = MakeInteraction("bob", "i0", 1, 11, "late");
  const UpsertItem item{.event_id = "item", .item_id = "i1", .title = "t"};
  Interaction other = first;
  other.weight = 2;
  live.Apply({first, item, Forget("bob", 20), Remove("i1", 20)});
  live.Apply(late);  // redacted as it is applied
  for (const bool was_redacted : {false, true}) {
    const auto again = live.Send({.entries = {first, late, item, other}});
    ASSERT_TRUE(again.ok()) << again.status();
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(again->entries[i].outcome, Appended::Outcome::kDuplicate) << i << was_redacted;
    }
    EXPECT_EQ(again->entries[3].outcome, Appended::Outcome::kConflict) << was_redacted;
    ASSERT_TRUE(RedactLog(*live.store, 1, [] { return true; }).ok());
  }
  EXPECT_EQ(live.log->end(), 5);
}

TEST_F(ApplierTest, ARemovedItemLeavesNothingAndMayComeBack) {
  Make();
  std::string digest;
  {
    LiveGraph live(path_, {.batch_max = 2});  // several batches of users
    std::vector<LogEntry> others;
    for (int u = 0; u < 7; ++u) others.push_back(MakeInteraction("u" + std::to_string(u), "i0"));
    live.Apply(others);
    digest = live.Digest();
    for (int u = 0; u < 7; ++u) live.Apply(MakeInteraction("u" + std::to_string(u), "i1", 2, 10));
    live.Apply(Remove("i1", 20));
    EXPECT_EQ(live.Digest(), digest);
    EXPECT_EQ(Total(live, 1), 0);
    EXPECT_FALSE(live.catalogue->Find("i1").has_value());
    const auto tombstone = *live.store->FindTombstone(Tombstone::Kind::kItem, HashId("i1"));
    EXPECT_EQ(tombstone->removed.users, 7);
    EXPECT_EQ(tombstone->removed.weight, 14);
    live.Apply(MakeInteraction("u1", "i1", 1, 15));
    live.ExpectVerified();
  }
  LiveGraph live(path_);
  EXPECT_FALSE(live.catalogue->Find("i1").has_value());
  live.Apply(UpsertItem{.event_id = "again", .item_id = "i1", .title = "Back", .cluster = 1});
  ASSERT_TRUE(live.catalogue->Find("i1").has_value());
  const ItemIndex item = *live.catalogue->Find("i1");
  EXPECT_EQ(live.catalogue->Title(item), "Back");
  live.Apply({MakeInteraction("u1", "i1", 1, 16), MakeInteraction("u1", "i1", 1, 21)});
  EXPECT_EQ(Total(live, ToInt(item)), 1) << "the first of the two is late";
  live.ExpectVerified();
}

TEST_F(ApplierTest, ACreatedItemSurvivesARestartWithItsCluster) {
  Make();
  std::string digest;
  {
    LiveGraph live(path_);
    live.Apply({UpsertItem{.event_id = "c1",
                           .item_id = "new",
                           .title = "New",
                           .category = "fresh",
                           .cluster = 0,
                           .clusters_of = "test"},
                UpsertItem{.event_id = "c2", .item_id = "odd", .cluster = 0, .clusters_of = "x"},
                MakeInteraction("ann", "new", 3), MakeInteraction("ann", "odd", 1)});
    EXPECT_EQ(live.graph->ClusterOf(*live.catalogue->Find("new")), 0u) << "as recorded";
    EXPECT_EQ(live.graph->ClusterOf(*live.catalogue->Find("odd")), 1u) << "3 letters, modulo 2";
    live.ExpectVerified();
    digest = live.Digest();
  }
  LiveGraph live(path_);
  EXPECT_EQ(live.Digest(), digest);
  EXPECT_EQ(live.catalogue->Category(*live.catalogue->Find("new")), "fresh");
  EXPECT_EQ(Total(live, ToInt(*live.catalogue->Find("new"))), 3);
  live.ExpectVerified();
}

TEST_F(ApplierTest, AnUpsertOfAKnownItemReplacesWhatIsSaidOfItAndNothingElse) {
  Make();
  std::string digest;
  {
    LiveGraph live(path_);
    live.Apply({MakeInteraction("ann", "i1", 3), MakeInteraction("bob", "i1", 2)});
    digest = live.Digest();
    live.Apply({UpsertItem{.event_id = "u1",
                           .item_id = "i1",
                           .title = "Lamp",
                           .category = "Light",
                           .embedding = {1, 2},
                           .cluster = 0,
                           .clusters_of = "test"},
                UpsertItem{.event_id = "u2",
                           .item_id = "i1",
                           .title = "Blue lamp",
                           .category = "Light",
                           .availability = {.from_us = 5, .until_us = 7}}});
    EXPECT_EQ(live.Digest(), digest);
    live.ExpectVerified();
  }
  LiveGraph live(path_);
  EXPECT_EQ(live.Digest(), digest);
  live.ExpectVerified();
  const auto stored = live.generation.ReadItem(ItemIndex{1});
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->id, "i1");
  EXPECT_EQ(stored->title, "Blue lamp");
  EXPECT_EQ(stored->category, "Light");
  EXPECT_FALSE(stored->created);
  EXPECT_TRUE(stored->upserted);
  EXPECT_EQ(stored->embedding, (std::vector<float>{1, 2})) << "none was given the second time";
  EXPECT_EQ(stored->availability, (Availability{.from_us = 5, .until_us = 7}));
  EXPECT_EQ(live.generation.ReadItem(ItemIndex{99}).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ApplierTest, ActivatingTheServedSnapshotClustersUsersByWhatTheyHave) {
  Make();
  LiveGraph live(path_);
  live.Apply({MakeInteraction("ann", "i1"), MakeInteraction("ann", "i2")});
  EXPECT_EQ(live.User("ann").cluster, 1u) << "of its first item";
  live.Apply(ActivateSnapshot{.event_id = "a", .snapshot_digest = "another"});
  EXPECT_EQ(live.User("ann").cluster, 1u);
  live.Apply(ActivateSnapshot{.event_id = "b", .snapshot_digest = "test"});
  EXPECT_EQ(live.User("ann").cluster, 0u) << "(1 + 1 + 2) modulo 2";
  live.ExpectVerified();
}

// Who follows the changes alone knows all edges and whose they are.
TEST_F(ApplierTest, EveryChangeOfAnEdgeIsTold) {
  Make({.age_us = 100});
  struct Told {
    Cluster cluster = 0;
    std::vector<Edge> edges;
    bool operator==(const Told&) const = default;
  };
  using Known = std::map<std::pair<UserIndex, ItemIndex>, Told>;
  Known known;
  LiveGraph live(path_, {.on_edges_changed = [&](const EdgeChange& change) {
                   Told& told = known[{change.user, change.item}];
                   if (!told.edges.empty()) {
                     EXPECT_EQ(told.cluster, change.cluster_before);
                   }
                   EXPECT_TRUE(std::ranges::equal(told.edges, change.before));
                   told = {.cluster = change.cluster_after,
                           .edges = {change.after.begin(), change.after.end()}};
                   if (told.edges.empty()) known.erase({change.user, change.item});
                 }});
  live.Apply({MakeInteraction("ann", "i1", 2, 10), MakeInteraction("ann", "i1", 1, 20),
              MakeInteraction("ann", "i2", 1, 30), MakeInteraction("bob", "i1", 1, 30),
              MakeInteraction("bob", "i3", 5, 40), MakeInteraction("bob", "i3", -2, 50),
              MakeInteraction("bob", "i3", -7, 50), MakeInteraction("eve", "i0", 1, 60),
              MakeInteraction("eve", "i1", 1, 60)});
  live.Apply(Remove("i2", 70));
  live.Apply({MakeInteraction("ann", "i0", 1, 115), Forget("eve", 120)});
  live.Apply(ActivateSnapshot{.event_id = "a", .snapshot_digest = "test"});

  Known expected;
  for (const char* const id : {"ann", "bob"}) {
    const UserState user = live.User(id);
    ForEachItem(user, [&](ItemIndex item, std::span<const Edge> edges) {
      expected[{user.index, item}] = {.cluster = user.cluster,
                                      .edges = {edges.begin(), edges.end()}};
    });
  }
  EXPECT_EQ(expected.size(), 4u);
  EXPECT_EQ(live.User("ann").cluster, 0u) << "moved";
  live.applier.reset();
  EXPECT_EQ(known, expected);
}

TEST_F(ApplierTest, ARestartLoadsTheCheckpointAndSettlesWhoChangedSince) {
  Make();
  std::string digest;
  {
    LiveGraph live(path_);
    live.Apply({MakeInteraction("ann", "i0"), MakeInteraction("bob", "i0", 3),
                MakeInteraction("eve", "i2", 1)});
    const auto checkpoint = live.Checkpoint();
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_EQ(checkpoint->offset, 3);
    EXPECT_EQ(live.Checkpoint()->offset, 3) << "nothing new";
    live.Apply({MakeInteraction("bob", "i1"), MakeInteraction("zoe", "i1"), Forget("eve", 5),
                MakeInteraction("bob", "i1", -1), MakeInteraction("ann", "i3")});
    digest = live.Digest();
  }
  LiveGraph live(path_);
  ASSERT_TRUE(live.loaded.checkpoint.has_value());
  EXPECT_EQ(live.loaded.users, 4u);
  EXPECT_EQ(live.Digest(), digest);
  live.ExpectVerified();
  EXPECT_EQ(live.Checkpoint()->offset, 8);
}

}  // namespace
}  // namespace groundswell
