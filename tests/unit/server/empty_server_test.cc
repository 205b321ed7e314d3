// A server without a model: what opening an empty directory makes, what lists are made of there,
// and a trained snapshot that is activated over it.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <optional>

#include "server/admin/admin_checks.h"
#include "server/ingest/new_item_room.h"
#include "server/offline/import.h"
#include "server/offline/recovery.h"
#include "server/recommend/recommend_checks.h"
#include "server/rpc/event_checks.h"
#include "server/rpc/status_details.h"
#include "server/serving/empty_database.h"
#include "server/serving/start_state.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr auto kGoOn = [] { return false; };
constexpr auto kUntold = [](std::string_view, uint64_t, uint64_t) {};

TEST(EmptyDatabaseTest, AnEmptyDirectoryBecomesADatabaseWithoutASnapshotOnce) {
  TemporaryDirectory directory;
  const std::string path = directory.File("db");
  fs::create_directories(path + "/lost+found");
  for (int start = 0; start < 2; ++start) {
    const auto store = OpenToServe({.path = path});
    ASSERT_TRUE(store.ok()) << store.status();
    const auto state = Generation::OpenCurrent(**store)->ReadState();
    EXPECT_EQ(state->snapshot_digest, Snapshot::Empty()->digest());
    EXPECT_EQ(state->window.traced, Window::kTraceLengthDefault);
  }
  EXPECT_TRUE(VerifyDatabase(path, "default", kUntold).ok());
}

TEST(EmptyDatabaseTest, WhatWasCutOffInTheMakingIsCompleted) {
  TemporaryDirectory directory;
  const std::string path = directory.File("db");
  ASSERT_TRUE(GraphStore::Open({.path = path, .create = true}).ok());
  const auto store = OpenToServe({.path = path});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(Generation::OpenCurrent(**store).ok());
}

TEST(EmptyDatabaseTest, NeitherAMistypedPathNorSomebodysFilesAreTaken) {
  TemporaryDirectory directory;
  const auto missing = OpenToServe({.path = directory.File("none")});
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("mkdir"));
  EXPECT_FALSE(fs::exists(directory.File("none")));
  fs::create_directory(directory.File("other"));
  std::ofstream(directory.File("other/letter.txt")) << "x";
  const auto other = OpenToServe({.path = directory.File("other")});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("other files"));
  EXPECT_FALSE(fs::exists(directory.File("other/CURRENT")));
}

// A server on an empty directory, without its sockets.
class EmptyServerTest : public testing::Test {
 protected:
  EmptyServerTest() {
    fs::create_directory(path_);
    fs::create_directory(trained_);
    fixture_.emplace(trained_);
    Open();
  }
  ~EmptyServerTest() override { Close(); }

  void Open() {
    store_ = *OpenToServe({.path = path_});
    auto state = *LoadServingState(*Generation::OpenCurrent(*store_), load_, kUntold);
    log_ = *RocksdbLog::Open(*store_, state->graph_state.base_offset, {});
    start_.emplace(StartContext{.store = *store_,
                                .log = *log_,
                                .serving = serving_,
                                .point = point_,
                                .metrics = metrics_.pipeline(),
                                .applier = {},
                                .pipeline = {},
                                .check = [](const Snapshot&) { return absl::OkStatus(); },
                                .on_applied = [](std::span<const Applier::Result>) {},
                                .on_expired = [](size_t) {}});
    ASSERT_TRUE(StartState(*state, *start_, kGoOn).ok());
    serving_.Exchange(std::move(state));
  }
  // Nobody may hold the state.
  void Close() {
    log_->Close();
    serving_.Exchange(nullptr);
    log_.reset();
    store_.reset();
  }

  // Appends and waits until it is applied. The offset.
  Offset Apply(LogEntry entry) {
    std::promise<Offset> appended;
    AppendRequest request;
    request.entries.push_back(std::move(entry));
    EXPECT_TRUE(log_->Append(std::move(request),
                             [&](const absl::StatusOr<AppendResult>& result) {
                               appended.set_value(result.ok() ? result->entries[0].offset : 0);
                             })
                    .ok());
    const Offset offset = appended.get_future().get();
    std::promise<bool> applied;
    serving_.Get()->applier->WhenApplied(offset,
                                         std::chrono::steady_clock::now() + std::chrono::minutes(1),
                                         [&](bool reached) { applied.set_value(reached); });
    EXPECT_TRUE(applied.get_future().get());
    return offset;
  }
  static Interaction Taking(const std::string& user, const std::string& item, int64_t time_us,
                            Count weight = 1) {
    Interaction interaction = MakeInteraction(user, item, weight, time_us);
    interaction.item_creation = ItemCreation::kAllowed;
    return interaction;
  }

  absl::Status Activate() {
    const ActivationContext context{
        .store = *store_,
        .log = *log_,
        .serving = serving_,
        .point = point_,
        .load = load_,
        .start =
            [this](ServingState& state, const std::function<bool()>& cancelled) {
              return StartState(state, *start_, cancelled);
            },
        .on_served = [](const ServingState&) {},
        .now_us = [] { return 7; }};
    return ActivateSnapshotFrom({.directory = trained_}, "activation", context, {}).status();
  }
  std::string Digest() { return serving_.Get()->applier->progress().digest.ToString(); }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("db");
  const std::string trained_ = directory_.File("trained");
  std::optional<SnapshotFixture> fixture_;
  const LoadOptions load_{.new_items_max = 10};
  Metrics metrics_{std::vector<std::string>{"purchase"}};
  std::unique_ptr<GraphStore> store_;
  std::unique_ptr<RocksdbLog> log_;
  ActivationPoint point_;
  std::optional<StartContext> start_;
  ServingCell serving_;
};

TEST_F(EmptyServerTest, InteractionsMakeItemsKnownAndListsComeFromTheLiveGraph) {
  for (const char* user : {"ann", "bob", "eve"}) {
    Apply(Taking(user, "mug", 10));
    Apply(Taking(user, "bag", 11));
  }
  Apply(Taking("zoe", "mug", 12));
  auto state = serving_.Get();
  EXPECT_EQ(state->catalogue->size(), 2u);
  StageDurations durations;
  const auto list = state->pipeline->Recommend(
      {.user_id = "zoe", .deadline = std::chrono::steady_clock::now() + std::chrono::hours(1)},
      ComputeThread{.number = 0}, durations);
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->items.size(), 1u);
  EXPECT_EQ(state->catalogue->Id(list->items[0].item), "bag");
  EXPECT_TRUE((list->items[0].sources & kFromNextItems) != 0);
  EXPECT_EQ(list->items[0].sources & (kFromEmbedding | kFromSimilarItems), 0);
  EXPECT_TRUE(list->degradations.empty());
  EXPECT_EQ(list->snapshot_version, "none");
  const std::string digest = Digest();
  state.reset();
  Close();
  Open();
  EXPECT_EQ(Digest(), digest);
  EXPECT_EQ(serving_.Get()->catalogue->size(), 2u);
}

TEST_F(EmptyServerTest, WhatMayNotCreateAnItemDoesNot) {
  Apply(MakeInteraction("ann", "mug"));
  Apply(Taking("ann", "bag", 10, /*weight=*/-1));
  EXPECT_EQ(serving_.Get()->catalogue->size(), 0u);
  Apply(Taking("ann", "hat", 10, /*weight=*/0));
  EXPECT_TRUE(serving_.Get()->catalogue->Find("hat").has_value()) << "hidden, and so known";
}

// The tiny snapshot was trained on the first five entries of a log that this server took.
TEST_F(EmptyServerTest, ATrainedSnapshotOverTheLogItWasTrainedOnCountsNothingTwice) {
  Apply(Taking("ann", "i0", 10));
  Apply(ResetBlend{.event_id = "r1"});
  Apply(ResetBlend{.event_id = "r2"});
  Apply(Taking("ann", "i3", 20, 2));
  ASSERT_EQ(Apply(Taking("bob", "i1", 30)), 5);
  ASSERT_TRUE(Activate().ok());
  const std::string activated = Digest();
  EXPECT_FALSE(serving_.Get()->snapshot->is_empty());

  ASSERT_TRUE(Import({.snapshot_directory = trained_, .data_dir = directory_.File("imported")},
                     kUntold, kGoOn)
                  .ok());
  const auto imported = *GraphStore::Open({.path = directory_.File("imported")});
  EXPECT_EQ(activated, Generation::OpenCurrent(*imported)->ReadState()->digest.ToString());
  // From the snapshot, not from the interaction that made it known.
  EXPECT_EQ(serving_.Get()->catalogue->Title(*serving_.Get()->catalogue->Find("i0")), "Item 0");
  Close();
  Open();
  EXPECT_EQ(Digest(), activated);
}

// Trained on files beside the log: it stands before the log, and knows what the log has all the
// same.
TEST_F(EmptyServerTest, ASnapshotOfFilesBesideTheLogIsNotImportedOverIt) {
  Apply(Taking("ann", "i0", 10));
  Close();
  SafetensorsWriter graph;
  graph.Add("user_begin", {4}, std::vector<int64_t>{0, 2, 3, 3});
  graph.Add("item", {3}, std::vector<int32_t>{0, 3, 1});
  graph.Add("count", {3}, std::vector<int32_t>{1, 2, 1});
  graph.Add("last_time_us", {3}, std::vector<int64_t>{10, 20, 30});
  graph.Add("last_offset", {3}, std::vector<int64_t>{1, 1, 1});
  fixture_->WriteFile("graph.safetensors", std::string(graph.Bytes()->text()));
  fixture_->manifest["graph_offset"] = 1;
  fixture_->WriteManifest();
  const absl::Status refused =
      Import({.snapshot_directory = trained_, .data_dir = path_}, kUntold, kGoOn).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("count twice"));
  EXPECT_TRUE(
      Import({.snapshot_directory = trained_, .data_dir = directory_.File("new")}, kUntold, kGoOn)
          .ok());
  // What was logged behind this very snapshot it does not have, whatever the window is now.
  std::filesystem::remove_all(path_);
  ASSERT_TRUE(Import({.snapshot_directory = trained_, .data_dir = path_}, kUntold, kGoOn).ok());
  Open();
  Apply(Taking("ann", "i1", 40));
  Close();
  const absl::Status again =
      Import({.snapshot_directory = trained_, .data_dir = path_, .window = {.items = 100}}, kUntold,
             kGoOn)
          .status();
  EXPECT_TRUE(again.ok()) << again;
  Open();
}

TEST_F(EmptyServerTest, WhatTheSnapshotDoesNotKnowStaysKnown) {
  for (int at = 0; at < 5; ++at) Apply(Taking("zoe", "new", 10 + at));
  ASSERT_TRUE(Activate().ok());
  const auto state = serving_.Get();
  const auto item = state->catalogue->Find("new");
  ASSERT_TRUE(item.has_value());
  EXPECT_EQ(state->graph->items().Total(*item), 5);
  // What was on its way when the snapshot came still makes its item known.
  Apply(Taking("zoe", "newer", 20));
  EXPECT_TRUE(serving_.Get()->catalogue->Find("newer").has_value());
}

TEST_F(EmptyServerTest, ASnapshotWhoseLogIsNotThereIsNotActivated) {
  const absl::Status nothing = Activate();
  EXPECT_EQ(nothing.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(nothing.message()), HasSubstr("import"));
  Apply(Taking("ann", "i0", 10));
  EXPECT_EQ(Activate().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(serving_.Get()->snapshot->is_empty());
}

TEST_F(EmptyServerTest, WhatNeedsAModelIsRefusedByName) {
  Apply(Taking("ann", "mug", 10));
  const auto state = serving_.Get();
  const RankerShares shares = *RankerShares::Parse("", "");
  const RequestTerms terms{.name_space = "default",
                           .events = {.types = {{"purchase", 1}}},
                           .now_us = [] { return 100; },
                           .shares = shares};
  v1::RankRequest rank;
  rank.set_user_id("ann");
  rank.add_item_ids("mug");
  v1::SimilarItemsRequest similar;
  similar.set_item_id("mug");
  v1::RecommendRequest recommend;
  recommend.set_user_id("ann");
  EXPECT_TRUE(CheckRecommend(recommend, *state, terms).ok());
  recommend.add_only_sources(v1::CANDIDATE_SOURCE_TRENDING);
  EXPECT_TRUE(CheckRecommend(recommend, *state, terms).ok());
  recommend.add_only_sources(v1::CANDIDATE_SOURCE_EMBEDDING);
  for (const absl::Status& refused :
       {CheckRank(rank, *state, terms).status(), CheckSimilarItems(similar, *state, terms).status(),
        CheckRecommend(recommend, *state, terms).status()}) {
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ReasonOf(refused), "NO_SNAPSHOT") << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("activate"));
  }
  rank.set_ranker("macgnn");
  EXPECT_EQ(CheckRank(rank, *state, terms).status().code(), absl::StatusCode::kNotFound);
  v1::UpsertItemRequest upsert;
  upsert.set_item_id("mug");
  EXPECT_TRUE(CheckUpsertItem(upsert, *state->snapshot).ok());
  upsert.add_embedding(1);
  EXPECT_EQ(CheckUpsertItem(upsert, *state->snapshot).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(EmptyServerTest, AnUnknownItemIsTakenWhereItMayBeCreatedUnlessItIsTakenBack) {
  v1::Interaction event;
  event.set_event_id("e");
  event.set_user_id("ann");
  event.set_item_id("mug");
  event.set_event_type("purchase");
  event.mutable_event_time()->set_seconds(1);
  const EventTerms terms{.types = {{"purchase", 1}, {"return", -1}}};
  const Catalogue& catalogue = *serving_.Get()->catalogue;
  const auto check = [&](bool may_create) {
    return CheckInteraction(event, terms, catalogue, 10'000'000, may_create);
  };
  EXPECT_EQ(check(false).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(check(true)->item_creation, ItemCreation::kAllowed);
  event.set_event_type("return");
  EXPECT_EQ(check(true).status().code(), absl::StatusCode::kNotFound);
  event.set_event_type("purchase");
  Apply(Taking("bob", "mug", 1));
  EXPECT_EQ(check(true)->item_creation, ItemCreation::kNo) << "it is there";
}

TEST_F(EmptyServerTest, ThereIsRoomForAsManyNewItemsAsTheCatalogueHolds) {
  NewItemRoom room;
  const auto take = [&](const std::string& item) { return room.Take(item, *serving_.Get()); };
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(take("i" + std::to_string(i)).ok());
  ASSERT_TRUE(take("i0").ok()) << "twice on its way is one item";
  ASSERT_TRUE(take("last").ok());
  const absl::Status full = take("more");
  EXPECT_EQ(full.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(full), "CATALOGUE_FULL");
  EXPECT_THAT(std::string(full.message()), HasSubstr("graph.new_items_max"));
  room.Settle("last", 0);  // did not come into the log
  EXPECT_TRUE(take("more").ok());
  EXPECT_FALSE(take("last").ok());
  // In the log and applied, its place is taken by the item itself.
  room.Settle("more", Apply(Taking("ann", "more", 1)));
  EXPECT_FALSE(take("last").ok());
  room.Settle("i0", 0);
  EXPECT_FALSE(take("last").ok()) << "it is still on its way once";
  room.Settle("i0", 0);
  EXPECT_TRUE(take("last").ok());
}

// An entry can be applied between a look at the applied offset and one at the catalogue.
TEST_F(EmptyServerTest, AnItemThatIsKnownAndStillOnItsWayHasOnePlace) {
  NewItemRoom room;
  const auto take = [&](const std::string& item) { return room.Take(item, *serving_.Get()); };
  ASSERT_TRUE(take("mug").ok());
  const Offset offset = Apply(Taking("ann", "mug", 10));
  room.Settle("mug", offset + 1'000);
  for (int i = 1; i < 10; ++i) EXPECT_TRUE(take("i" + std::to_string(i)).ok()) << i;
  EXPECT_EQ(take("last").code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace groundswell
