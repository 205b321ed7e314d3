// The fold alone: no thread, no log, and a database in memory.
#include "graph/fold/fold.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/graph_fixture.h"

namespace groundswell {
namespace {

constexpr size_t kFoldItems = 4;
constexpr MacroShape kFoldShape{.user_clusters = 2, .item_clusters = 2, .recent_len = 2};
using Outcome = FoldOutcome;

Fold::Clustering TestClustering() {
  return {.of_new_user = [](ItemIndex item) { return ToInt(item) % kFoldShape.user_clusters; },
          .of_known_user = [](const UserState&) { return Cluster{1}; },
          .of_new_item = [](const UpsertItem&) { return Cluster{1}; },
          .trained_users = 0,
          .trained_items = kFoldItems};
}

// A fold of its own over a database of its own.
struct World {
  explicit World(const Window& window = {}, size_t batch_max = 1'000) {
    MakeStore("/db", kFoldItems, window, env.get());
    store = *GraphStore::Open({.path = "/db", .create = true, .env = env.get()});
    generation = std::make_unique<Generation>(*Generation::OpenCurrent(*store));
    const std::vector<StoredItem> items = *generation->ReadItems();
    for (const StoredItem& item : items) {
      catalogue.Add(item.id, item.title, item.category);
    }
    catalogue.FinishLoading();
    graph.FinishLoading();
    fold = std::make_unique<Fold>(
        *store, *generation, catalogue, graph, *generation->ReadState(),
        Fold::Options{.batch_max = batch_max,
                      .clustering = TestClustering(),
                      .on_edges_changed = [this](const EdgeChange&) { ++changes; }});
    EXPECT_TRUE(fold->CountTombstones().ok());
  }

  // Puts entries behind the log that there is.
  void Append(std::vector<LogEntry> entries) {
    for (LogEntry& entry : entries) {
      log.emplace_back(static_cast<Offset>(log.size() + 1), std::move(entry));
    }
  }
  // The next batch of what is not folded yet, at most `limit` entries.
  absl::Status Next(Fold::Batch& batch, size_t limit = 1'000) {
    const Fold::Entries rest =
        Fold::Entries(log).subspan(static_cast<size_t>(fold->progress().applied_offset));
    return fold->Next(rest.first(std::min(limit, rest.size())), {}, batch);
  }
  void Commit(Fold::Batch& batch) {
    ASSERT_TRUE(store->Commit(batch.writes, /*sync=*/false).ok());
    for (const Fold::Result& result : batch.results) outcomes.push_back(result.outcome);
    fold->Keep(batch);
    ++batches;
    parts += batch.is_part ? 1 : 0;
    expired += batch.expired;
  }
  void FoldAll(size_t limit = 1'000) {
    while (fold->progress().applied_offset < static_cast<Offset>(log.size())) {
      Fold::Batch batch(*store, {});
      ASSERT_TRUE(Next(batch, limit).ok());
      Commit(batch);
    }
  }
  void Apply(std::vector<LogEntry> entries) {
    Append(std::move(entries));
    FoldAll();
  }
  std::optional<UserState> User(const std::string& id) const { return *generation->ReadUser(id); }
  Count Total(uint32_t item) const { return graph.items().Total(ItemIndex{item}); }

  const std::unique_ptr<rocksdb::Env> env{rocksdb::NewMemEnv(rocksdb::Env::Default())};
  std::unique_ptr<GraphStore> store;
  std::unique_ptr<Generation> generation;
  Catalogue catalogue{kFoldItems + 4};
  MacroGraph graph{kFoldShape, ClustersOf(kFoldItems, kFoldShape.item_clusters), 4};
  std::unique_ptr<Fold> fold;
  std::vector<std::pair<Offset, LogEntry>> log;
  std::vector<Outcome> outcomes;
  size_t changes = 0, batches = 0, parts = 0, expired = 0;
};

ForgetUser Forget(const std::string& user, int64_t time_us) {
  return {.event_id = "forget", .user_id = user, .user_hash = HashId(user), .time_us = time_us};
}

RemoveItem Remove(const std::string& item, int64_t time_us) {
  return {.event_id = "remove", .item_id = item, .item_hash = HashId(item), .time_us = time_us};
}

TEST(FoldTest, ABatchIsOnDiskOnceItIsCommittedAndNotBefore) {
  World world;
  world.Append({MakeInteraction("ann", "i1", 2)});
  Fold::Batch batch(*world.store, {});
  ASSERT_TRUE(world.Next(batch).ok());
  EXPECT_FALSE(world.User("ann").has_value());
  EXPECT_EQ(world.generation->ReadState()->applied_offset, 0);
  world.Commit(batch);
  EXPECT_EQ(world.User("ann")->edges[0].count, 2u);
  EXPECT_EQ(world.User("ann")->cluster, 1u) << "of its first item";
  EXPECT_EQ(world.generation->ReadState()->applied_offset, 1);
  EXPECT_EQ(world.generation->ReadState()->digest, world.fold->progress().digest);
}

TEST(FoldTest, ABatchEndsBeforeAChange) {
  World world;
  world.Append({MakeInteraction("ann", "i0"), MakeInteraction("ann", "i1"), Forget("ann", 0),
                MakeInteraction("bob", "i0")});
  std::vector<Offset> edges;
  while (world.fold->progress().applied_offset < 4) {
    Fold::Batch batch(*world.store, {});
    ASSERT_TRUE(world.Next(batch).ok());
    world.Commit(batch);
    edges.push_back(world.fold->progress().applied_offset);
  }
  EXPECT_EQ(edges, (std::vector<Offset>{2, 3, 4}));
}

TEST(FoldTest, WhatIsNotAppliedChangesNothingAndNobodyIsToldOfAChange) {
  World world;
  world.Apply({MakeInteraction("ann", "i0", 2)});
  const StateDigest digest = world.fold->progress().digest;
  const size_t changes = world.changes;
  world.Apply({MakeInteraction("ann", "i0", -3), MakeInteraction("ann", "nowhere"),
               MakeInteraction("bob", "i0", -1), MakeInteraction("bob", "i0", kTotalCountMax)});
  EXPECT_EQ(world.outcomes,
            (std::vector<Outcome>{Outcome::kApplied, Outcome::kBelowZero, Outcome::kUnknownItem,
                                  Outcome::kBelowZero, Outcome::kOverflow}));
  EXPECT_EQ(world.fold->progress().digest, digest);
  EXPECT_EQ(world.changes, changes);
  EXPECT_FALSE(world.User("bob").has_value()) << "nothing made it known";
}

// A damaged record of the second user: the first must not be half folded.
TEST(FoldTest, AnUnreadableUserStopsTheBatchAsAWhole) {
  World world;
  Database::Batch damage(world.store->database());
  const std::string bob = world.store->database().Key(std::string("\0\0\0\1bob", 7));
  damage.Put(Column::kUsers, bob, "not a record");
  ASSERT_TRUE(world.store->database().Commit(damage, false).ok());
  world.Append({MakeInteraction("ann", "i0"), MakeInteraction("bob", "i0")});
  Fold::Batch batch(*world.store, {});
  EXPECT_TRUE(absl::IsDataLoss(world.Next(batch)));
  EXPECT_EQ(world.fold->progress().applied_offset, 0);
  EXPECT_EQ(world.fold->progress().total_count, 0);
  EXPECT_EQ(world.fold->progress().digest, StateDigest());
}

TEST(FoldTest, EdgesLeaveInPartsBeforeTheEntryThatMovesTheWindowPastThem) {
  World world({.age_us = 10}, /*batch_max=*/2);
  world.Apply({MakeInteraction("ann", "i0", 1, 100), MakeInteraction("bob", "i0", 1, 101),
               MakeInteraction("eve", "i1", 1, 102)});
  world.parts = 0;  // the first batch of all looks what a start found waiting
  world.Append({MakeInteraction("ann", "i2", 1, 1'000)});
  Fold::Batch part(*world.store, {});
  ASSERT_TRUE(world.Next(part).ok());
  EXPECT_TRUE(part.is_part);
  EXPECT_EQ(part.expired, 2u);
  world.Commit(part);
  EXPECT_EQ(world.fold->progress().applied_offset, 3) << "the entry itself is not folded yet";
  EXPECT_EQ(world.User("ann")->changed_at, 4) << "a checkpoint at 3 has ann as she was";
  world.FoldAll();
  EXPECT_EQ(world.parts, 2u);
  EXPECT_EQ(world.expired, 3u);
  EXPECT_EQ(world.fold->progress().edge_count, 1);
  EXPECT_EQ(world.Total(0) + world.Total(1), 0);
}

TEST(FoldTest, ABatchEndsWhereAnEdgeOfItsOwnWouldHaveToLeave) {
  World world({.age_us = 10});
  world.Append({MakeInteraction("ann", "i0", 1, 5), MakeInteraction("ann", "i1", 1, 16)});
  Fold::Batch batch(*world.store, {});
  ASSERT_TRUE(world.Next(batch).ok());
  world.Commit(batch);
  EXPECT_EQ(world.fold->progress().applied_offset, 1);
  world.FoldAll();
  EXPECT_EQ(world.Total(0), 0);
  EXPECT_EQ(world.Total(1), 1);
}

TEST(FoldTest, AnItemIsRemovedInPartsAndTheReceiptSumsThemUp) {
  World world({}, /*batch_max=*/1);
  world.Apply({MakeInteraction("ann", "i0", 2), MakeInteraction("bob", "i0", 3),
               MakeInteraction("ann", "i1", 1)});
  world.Apply({Remove("i0", 5)});
  EXPECT_EQ(world.parts, 2u);
  EXPECT_FALSE(world.catalogue.Find("i0").has_value());
  const auto receipt = *world.store->FindTombstone(Tombstone::Kind::kItem, HashId("i0"));
  ASSERT_TRUE(receipt.has_value());
  EXPECT_EQ(receipt->offset, 4);
  EXPECT_EQ(receipt->removed.users, 2);
  EXPECT_EQ(receipt->removed.edges, 2);
  EXPECT_EQ(receipt->removed.weight, 5);
  EXPECT_EQ(receipt->digest, world.fold->progress().digest);
  EXPECT_EQ(world.fold->progress().total_count, 1);
}

TEST(FoldTest, ALateEventLeavesTheLog) {
  World world;
  world.Apply({MakeInteraction("ann", "i0", 1, 10), Forget("ann", 100)});
  EXPECT_FALSE(world.User("ann").has_value());
  EXPECT_EQ(world.fold->progress().digest, StateDigest());
  world.Apply({MakeInteraction("ann", "i0", 1, 100, "late")});
  EXPECT_EQ(world.outcomes.back(), Outcome::kForgotten);
  const auto entries = world.store->ReadLog(3, 1);
  ASSERT_TRUE(entries.ok());
  EXPECT_EQ(std::get<Redacted>((*entries)[0].second).event_time_us, 100);
  world.Apply({MakeInteraction("ann", "i0", 1, 101)});
  EXPECT_EQ(world.outcomes.back(), Outcome::kApplied);
}

TEST(FoldTest, WhatIsReceivedBeforeARemovalThatTheLogHasBeforeItCounts) {
  constexpr int64_t kYear = int64_t{31'536'000} * 1'000'000;
  const auto received = [](Interaction interaction) {
    interaction.received_time_us = kYear;
    return interaction;
  };
  World world;
  world.Apply({MakeInteraction("ann", "i0", 1, 10), Forget("ann", 2 * kYear)});
  world.Apply({received(MakeInteraction("ann", "i0", 1, 10))});
  EXPECT_EQ(world.outcomes.back(), Outcome::kForgotten) << "no newer than what the log had";
  world.Apply({received(MakeInteraction("ann", "i0", 1, kYear - 1))});
  EXPECT_EQ(world.outcomes.back(), Outcome::kApplied);
}

TEST(FoldTest, TheShortestDelayIsKept) {
  World world;
  world.Apply({MakeInteraction("ann", "i0", 1, 10)});
  EXPECT_FALSE(world.fold->progress().least_delay_us.has_value());
  for (const int64_t received_us : {107, 103, 105}) {
    Interaction interaction = MakeInteraction("ann", "i0", 1, 100);
    interaction.received_time_us = received_us;
    world.Apply({interaction});
  }
  EXPECT_EQ(world.fold->progress().least_delay_us, 3);
  EXPECT_EQ(world.generation->ReadState()->least_delay_us, 3);
}

TEST(FoldTest, AUsersFirstChangeBehindACheckpointKeepsWhatWasBefore) {
  World world;
  world.Apply({MakeInteraction("ann", "i0", 2)});
  world.Append({MakeInteraction("ann", "i0", 1), MakeInteraction("bob", "i1", 1)});
  Fold::Batch batch(*world.store, {Offset{1}, std::nullopt});
  ASSERT_TRUE(world.Next(batch).ok());
  world.Commit(batch);
  std::map<std::string, std::optional<UserState>, std::less<>> before;
  ASSERT_TRUE(world.generation
                  ->ForEachUserBefore(1,
                                      [&](std::string_view id, std::optional<UserState> user) {
                                        before.emplace(id, std::move(user));
                                        return absl::OkStatus();
                                      })
                  .ok());
  ASSERT_EQ(before.size(), 2u);
  EXPECT_EQ(before.at("ann")->edges[0].count, 2u);
  EXPECT_FALSE(before.at("bob").has_value()) << "not there yet";
}

TEST(FoldTest, AnotherSnapshotsActivationIsToldAndItsOwnClustersUsersAnew) {
  World world;
  world.Apply({MakeInteraction("ann", "i0")});
  EXPECT_EQ(world.User("ann")->cluster, 0u);
  world.Append({ActivateSnapshot{.event_id = "a", .snapshot_digest = "another"}});
  Fold::Batch foreign(*world.store, {});
  ASSERT_TRUE(world.Next(foreign).ok());
  ASSERT_NE(foreign.activation, nullptr);
  EXPECT_EQ(foreign.activation->snapshot_digest, "another");
  world.Commit(foreign);
  EXPECT_EQ(world.User("ann")->cluster, 0u);
  world.Append({ActivateSnapshot{.event_id = "b", .snapshot_digest = "test"}});
  Fold::Batch own(*world.store, {});
  ASSERT_TRUE(world.Next(own).ok());
  EXPECT_EQ(own.activation, nullptr);
  world.Commit(own);
  EXPECT_EQ(world.User("ann")->cluster, 1u);
}

// Whoever is in a hurry may cut in at every entry, twice: when its user is read and when it is
// folded.
TEST(FoldTest, MakesWayBetweenEntries) {
  World world;
  world.Append({MakeInteraction("ann", "i0"), MakeInteraction("bob", "i1")});
  size_t calls = 0;
  Fold::Batch batch(*world.store, {});
  ASSERT_TRUE(world.fold
                  ->Next(
                      world.log, [&] { ++calls; }, batch)
                  .ok());
  EXPECT_EQ(calls, 4u);
}

TEST(FoldTest, TheSameLogGivesTheSameStateWhateverTheBatches) {
  std::mt19937_64 random(1);
  const Window window{.age_us = 60, .interactions = 5, .items = 3};
  std::vector<LogEntry> entries;
  for (int i = 0; i < 300; ++i) {
    const std::string user = "u" + std::to_string(random() % 6);
    const std::string item = "i" + std::to_string(random() % (kFoldItems + 1));
    if (random() % 40 == 0) {
      entries.emplace_back(Forget(user, i / 2));
    } else {
      entries.emplace_back(MakeInteraction(user, item, random() % 4 == 0 ? -1 : 2,
                                           i + static_cast<int64_t>(random() % 80)));
    }
  }
  World whole(window);
  whole.Apply(entries);
  for (const size_t limit : {size_t{1}, size_t{7}}) {
    World pieces(window, /*batch_max=*/limit);
    pieces.Append(entries);
    pieces.FoldAll(limit);
    EXPECT_GT(pieces.batches, whole.batches);
    EXPECT_EQ(pieces.outcomes, whole.outcomes);
    EXPECT_EQ(pieces.expired, whole.expired);
    EXPECT_EQ(pieces.fold->progress().digest, whole.fold->progress().digest);
    EXPECT_EQ(pieces.fold->progress().edge_count, whole.fold->progress().edge_count);
    for (uint32_t item = 0; item < kFoldItems; ++item)
      EXPECT_EQ(pieces.Total(item), whole.Total(item));
  }
}

}  // namespace
}  // namespace groundswell
