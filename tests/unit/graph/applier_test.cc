#include "graph/applier.h"

#include <gtest/gtest.h>

#include <future>

#include "graph/rocksdb_log.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr MacroShape kShape{.user_clusters = 2, .item_clusters = 2, .recent_len = 2};
constexpr size_t kItems = 4;

// Store, log, graph and applier as a server holds them.
struct Running {
  explicit Running(const std::string& path)
      : store(OpenStore(path)),
        catalogue(*store->ReadCatalogue()),
        log(*RocksdbLog::Open(*store, {})),
        graph(kShape, ClustersOf(kItems, kShape.item_clusters)) {
    const absl::Status loaded = store->ForEachUser([&](std::string_view, const UserState& user) {
      graph.LoadUser(user);
      return absl::OkStatus();
    });
    EXPECT_TRUE(loaded.ok());
    graph.FinishLoading();
    applier = std::make_unique<Applier>(
        *store, *log, catalogue, graph, *store->ReadState(),
        Applier::Options{
            .cluster_of_new_user = [](ItemIndex item) { return ToInt(item) % 2; },
            .on_applied = [this](const Interaction&, Applier::Outcome o) { outcomes.push_back(o); },
            .on_status = {}});
    EXPECT_TRUE(applier->CatchUp([](Offset, Offset) {}, [] { return false; }).ok());
  }
  ~Running() { log->Close(); }

  Offset Append(std::vector<Interaction> interactions) {
    std::promise<Offset> last;
    EXPECT_TRUE(log->Append(std::move(interactions),
                            [&](const absl::StatusOr<std::vector<Appended>>& appended) {
                              last.set_value(appended->back().offset);
                            })
                    .ok());
    return last.get_future().get();
  }

  bool WaitFor(Offset offset, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    std::promise<bool> reached;
    applier->WhenApplied(offset, std::chrono::steady_clock::now() + limit,
                         [&](bool is_reached) { reached.set_value(is_reached); });
    return reached.get_future().get();
  }

  std::unique_ptr<GraphStore> store;
  Catalogue catalogue;
  std::unique_ptr<RocksdbLog> log;
  MacroGraph graph;
  std::vector<Applier::Outcome> outcomes;
  std::unique_ptr<Applier> applier;
};

class ApplierTest : public testing::Test {
 protected:
  ApplierTest() { MakeStore(path_, kItems); }
  TemporaryDirectory directory_;
  std::string path_ = directory_.File("db");
};

TEST_F(ApplierTest, AWaitThatIsNotMetEndsAtItsDeadline) {
  Running running(path_);
  EXPECT_FALSE(running.WaitFor(1, std::chrono::milliseconds(20)));
}

TEST_F(ApplierTest, AnAppendedInteractionBecomesVisible) {
  Running running(path_);
  EXPECT_TRUE(running.WaitFor(0));
  const Offset offset = running.Append({MakeInteraction("ann", "i1", 2)});
  ASSERT_TRUE(running.WaitFor(offset));
  const auto user = running.store->ReadUser("ann");
  ASSERT_TRUE(user.ok() && user->has_value());
  EXPECT_EQ((*user)->cluster, 1u);
  EXPECT_EQ((*user)->edges[0].count, 2u);
  EXPECT_EQ(running.graph.items().Total(ItemIndex{1}), 2);
  EXPECT_EQ(running.applier->user_count(), 1u);
  EXPECT_EQ(running.applier->edge_count(), 1);
}

TEST_F(ApplierTest, WhatCannotBeAppliedIsPassedOverAndReported) {
  Running running(path_);
  const Offset offset =
      running.Append({MakeInteraction("ann", "nowhere"), MakeInteraction("ann", "i0", -1),
                      MakeInteraction("ann", "i0", 1), MakeInteraction("ann", "i0", -2)});
  ASSERT_TRUE(running.WaitFor(offset));
  running.log->Close();
  running.applier.reset();
  using Outcome = Applier::Outcome;
  EXPECT_EQ(running.outcomes, (std::vector<Outcome>{Outcome::kUnknownItem, Outcome::kBelowZero,
                                                    Outcome::kApplied, Outcome::kBelowZero}));
  EXPECT_EQ(running.graph.items().Total(ItemIndex{0}), 1);
}

TEST_F(ApplierTest, ARestartContinuesWhereItWas) {
  Offset offset = 0;
  {
    Running running(path_);
    offset = running.Append({MakeInteraction("ann", "i0"), MakeInteraction("bob", "i0", 3)});
    ASSERT_TRUE(running.WaitFor(offset));
  }
  Running running(path_);
  EXPECT_EQ(running.applier->applied_offset(), offset);
  EXPECT_TRUE(running.outcomes.empty());
  EXPECT_EQ(running.graph.items().Total(ItemIndex{0}), 4);
}

TEST_F(ApplierTest, WhatWasLoggedButNotAppliedIsAppliedAtTheStart) {
  {
    const auto store = OpenStore(path_);
    GraphStore::Batch batch(*store);
    for (Offset offset = 1; offset <= 5; ++offset) {
      batch.PutLogRecord(offset, MakeInteraction("ann", "i2"));
    }
    ASSERT_TRUE(store->Commit(batch, true).ok());
  }
  Running running(path_);
  EXPECT_EQ(running.applier->applied_offset(), 5);
  EXPECT_EQ(running.graph.items().Total(ItemIndex{2}), 5);
}

}  // namespace
}  // namespace groundswell
