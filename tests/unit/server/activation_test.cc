#include "server/serving/activation.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <future>
#include <new>
#include <optional>
#include <thread>

#include "server/offline/import.h"
#include "server/rpc/status_details.h"
#include "server/serving/served_snapshots.h"
#include "server/serving/start_state.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr auto kNever = [] { return false; };
constexpr auto kSilent = [](std::string_view, uint64_t, uint64_t) {};
constexpr std::chrono::seconds kPatience{60};

// Three users and four items that serve; beside them lies the same in another order, under another
// version.
class ActivationTest : public ::testing::Test {
 protected:
  explicit ActivationTest(const RocksdbLog::Options& log = {}) {
    std::filesystem::create_directory(one_);
    const SnapshotFixture served(one_);
    std::filesystem::create_directory(other_);
    SnapshotFixture other(other_);
    other.manifest["version"] = "2";
    std::string items;
    for (int i = 3; i >= 0; --i) {
      items += fmt::format("{{\"id\":\"i{0}\",\"title\":\"Item {0}\",\"category\":\"c\"}}\n", i);
    }
    other.WriteFile("items.jsonl", items);
    other.WriteManifest();
    const auto imported =
        Import({.snapshot_directory = one_, .data_dir = directory_.File("db")}, kSilent, kNever);
    EXPECT_TRUE(imported.ok()) << imported.status();
    store_ = OpenStore(directory_.File("db"));
    auto state = *LoadServingState(*Generation::OpenCurrent(*store_), load_, kSilent);
    log_ = *RocksdbLog::Open(*store_, state->graph_state.base_offset, log);
    start_.emplace(StartContext{
        .store = *store_,
        .log = *log_,
        .serving = serving_,
        .point = point_,
        .metrics = metrics_.pipeline(),
        .applier = {},
        .pipeline = {},
        .check = [](const Snapshot&) { return absl::OkStatus(); },
        .on_applied = [this](std::span<const Applier::Result> results) { told_ += results.size(); },
        .on_expired = [](size_t) {}});
    EXPECT_TRUE(StartState(*state, *start_, kNever).ok());
    serving_.Exchange(std::move(state));
  }
  ~ActivationTest() override {
    log_->Close();
    serving_.Exchange(nullptr);
  }

  using Start = std::function<absl::Status(ServingState&, const std::function<bool()>&)>;

  absl::Status Activate(const Activated& activated, const Start& start,
                        const std::stop_token& stop = {}) {
    const ActivationContext context{
        .store = *store_,
        .log = *log_,
        .serving = serving_,
        .point = point_,
        .load = load_,
        .start = start,
        .on_served = [this](const ServingState& state) { served_.set_value(Version(state)); },
        .now_us = [] { return 7; }};
    return ActivateSnapshotFrom(activated, "activation", context, stop).status();
  }
  static absl::Status RefuseToStart(ServingState& /*state*/,
                                    const std::function<bool()>& /*cancelled*/) {
    return absl::InvalidArgumentError("no such ranker");
  }
  absl::Status ActivateOther() { return Activate({.directory = other_}, StartWhole()); }
  Start StartWhole() {
    return [this](ServingState& state, const std::function<bool()>& cancelled) {
      return StartState(state, *start_, cancelled);
    };
  }

  static std::string Version(const ServingState& state) {
    return state.snapshot->manifest().FullVersion();
  }
  std::string Version() { return Version(*serving_.Get()); }

  // Appends what `user` took, and waits until the state that serves has it.
  void Take(const std::string& user, const std::string& item, const std::string& event_id = "") {
    std::promise<Offset> appended;
    AppendRequest request;
    request.entries.emplace_back(MakeInteraction(user, item, 1, 1'000'000, event_id));
    ASSERT_TRUE(log_->Append(std::move(request),
                             [&](const absl::StatusOr<AppendResult>& result) {
                               appended.set_value(result->entries[0].offset);
                             })
                    .ok());
    std::promise<bool> applied;
    serving_.Get()->applier->WhenApplied(appended.get_future().get(),
                                         std::chrono::steady_clock::now() + kPatience,
                                         [&](bool reached) { applied.set_value(reached); });
    ASSERT_TRUE(applied.get_future().get());
  }
  // What is applied is told a moment later.
  void AwaitTold(size_t interactions) const {
    while (told_ < interactions) std::this_thread::yield();
  }
  // By item id, how often `user` took it, as the state that serves has it.
  std::map<std::string, Count> Taken(const std::string& user) {
    const std::shared_ptr<ServingState> state = serving_.Get();
    std::map<std::string, Count> taken;
    for (const Edge& edge : state->generation.ReadUser(user)->value_or(UserState{}).edges) {
      taken[std::string(state->catalogue->Id(edge.item))] += edge.count;
    }
    return taken;
  }

  TemporaryDirectory directory_;
  const std::string one_ = directory_.File("one");
  const std::string other_ = directory_.File("other");
  const LoadOptions load_{.new_items_max = 10};
  Metrics metrics_{std::vector<std::string>{"purchase"}};
  std::unique_ptr<GraphStore> store_;
  std::unique_ptr<RocksdbLog> log_;
  ActivationPoint point_;
  std::optional<StartContext> start_;
  std::promise<std::string> served_;
  std::atomic<size_t> told_ = 0;
  ServingCell serving_;
};

TEST_F(ActivationTest, TheOtherSnapshotServesWithWhatEverybodyTook) {
  Take("ann", "i1");
  Take("zoe", "i2");
  const auto start = [this](ServingState& state, const std::function<bool()>& cancelled) {
    Take("bob", "i2");  // both states apply it
    AwaitTold(3);
    return StartState(state, *start_, cancelled);
  };
  const absl::Status activated = Activate({.directory = other_}, start);
  ASSERT_TRUE(activated.ok()) << activated;
  EXPECT_EQ(Version(), "tiny@2");
  EXPECT_EQ(served_.get_future().get(), "tiny@2") << "told once";
  EXPECT_THAT(Taken("ann"), UnorderedElementsAre(Pair("i0", 1), Pair("i1", 1), Pair("i3", 2)));
  EXPECT_THAT(Taken("bob"), UnorderedElementsAre(Pair("i1", 1), Pair("i2", 1)));
  EXPECT_THAT(Taken("zoe"), UnorderedElementsAre(Pair("i2", 1)));
  Take("zoe", "i0");
  EXPECT_THAT(Taken("zoe"), UnorderedElementsAre(Pair("i2", 1), Pair("i0", 1)));
  const auto snapshots = *ReadServedSnapshots(*store_);
  ASSERT_EQ(snapshots.size(), 2u);
  EXPECT_EQ(snapshots[0].directory, other_);
  EXPECT_EQ(snapshots[0].activate_time_us, 7);
  AwaitTold(4);
  serving_.Exchange(nullptr);
  EXPECT_EQ(told_, 4u) << "each interaction by the state that served then";
}

TEST_F(ActivationTest, WhatMustNotServeIsRefusedBeforeAnythingIsLogged) {
  const Offset end = log_->end();
  EXPECT_EQ(Activate({.directory = one_}, StartWhole()).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Activate({.directory = other_, .digest = "another"}, StartWhole()).code(),
            absl::StatusCode::kFailedPrecondition);
  std::filesystem::remove(other_ + "/graph.safetensors");
  EXPECT_FALSE(ActivateOther().ok());
  EXPECT_EQ(log_->end(), end);
  EXPECT_EQ(Version(), "tiny@1");
}

TEST_F(ActivationTest, AnIdThatTheLogHasIsRefusedWithItsReasonAndOffset) {
  Take("ann", "i1", "activation");
  const Offset end = log_->end();
  const absl::Status of_another = ActivateOther();
  EXPECT_EQ(of_another, EventIdReused("request_id", "activation", end));
  EXPECT_EQ(log_->end(), end);
  EXPECT_EQ(Version(), "tiny@1");
}

TEST_F(ActivationTest, TheIdOfAnActivationThatWasLoggedIsRefused) {
  EXPECT_EQ(Activate({.directory = other_}, RefuseToStart).code(),
            absl::StatusCode::kInvalidArgument);
  const absl::Status again = ActivateOther();
  EXPECT_EQ(again.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(again), "EVENT_ID_REUSED");
  EXPECT_EQ(Version(), "tiny@1");
}

class FullLogTest : public ActivationTest {
 protected:
  FullLogTest() : ActivationTest({.queue_max = 0}) {}
};

TEST_F(FullLogTest, IsAnErrorThatSaysWhenToTryAgain) {
  const absl::Status full = ActivateOther();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(full), "LOG_FULL");
  EXPECT_EQ(ToRpcStatus(full).details_size(), 2) << "ErrorInfo and RetryInfo";
  EXPECT_EQ(Version(), "tiny@1");
}

TEST_F(ActivationTest, AGraphOffsetBeyondTheLogIsRefused) {
  std::filesystem::remove_all(other_);
  std::filesystem::create_directory(other_);
  SnapshotFixture other(other_);
  other.manifest["version"] = "2";
  other.manifest["graph_offset"] = uint64_t{1} << 32;
  other.WriteManifest();
  EXPECT_TRUE(CheckToActivate(other_, *store_).ok()) << "nothing was logged that it could miss";
  Take("ann", "i1");
  const Offset end = log_->end();
  const absl::Status checked = CheckToActivate(other_, *store_).status();
  EXPECT_EQ(checked.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(checked.message().find("graph_offset is 4294967296: must be at most 6"),
            std::string::npos)
      << checked;
  EXPECT_EQ(ActivateOther(), checked);
  EXPECT_EQ(log_->end(), end);
  EXPECT_EQ(Version(), "tiny@1");
}

TEST_F(ActivationTest, AStateThatCannotStartLeavesTheOldOneAndIsTriedAgain) {
  EXPECT_EQ(Activate({.directory = other_}, RefuseToStart).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Version(), "tiny@1");
  Take("ann", "i1");
  EXPECT_THAT(Taken("ann"), UnorderedElementsAre(Pair("i0", 1), Pair("i1", 1), Pair("i3", 2)));
}

TEST_F(ActivationTest, AStateThatThrowsLeavesTheOldOneAndNothingOfItself) {
  const auto fail = [](ServingState&, const std::function<bool()>&) -> absl::Status {
    throw std::bad_alloc();
  };
  const uint32_t tried = serving_.Get()->generation.number() + 1;
  EXPECT_EQ(Activate({.directory = other_}, fail).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Version(), "tiny@1");
  EXPECT_FALSE(Generation(*store_, tried).ReadUser("ann")->has_value());
  Take("ann", "i1");
  EXPECT_THAT(Taken("ann"), UnorderedElementsAre(Pair("i0", 1), Pair("i1", 1), Pair("i3", 2)));
}

TEST_F(ActivationTest, RequestsThatBeganBeforeEndWithTheOldState) {
  std::shared_ptr<ServingState> request = serving_.Get();
  auto activated = std::async(std::launch::async, [this] { return ActivateOther(); });
  ASSERT_EQ(served_.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(Version(), "tiny@2");
  EXPECT_EQ(activated.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_EQ(Version(*request), "tiny@1");
  EXPECT_TRUE((*request->generation.ReadUser("ann")).has_value()) << "its records are kept";
  request.reset();
  EXPECT_TRUE(activated.get().ok());
}

// Gives a state an applier that is where the state was loaded until somebody lets it catch up.
void StartBehind(ServingState& state, GraphStore& store, InteractionLog& log) {
  state.applier =
      std::make_unique<Applier>(store, state.generation, log, *state.catalogue, *state.graph,
                                state.graph_state, std::nullopt, Applier::Options{});
}

TEST_F(ActivationTest, ServesOnceItHasAllThatTheOldStateAnsweredFrom) {
  std::jthread catches_up;
  const auto start = [&](ServingState& state, const std::function<bool()>&) {
    StartBehind(state, *store_, *log_);
    Take("eve", "i1");
    catches_up = std::jthread(
        [&state] { EXPECT_TRUE(state.applier->CatchUp([](Offset, Offset) {}, kNever).ok()); });
    return absl::OkStatus();
  };
  EXPECT_TRUE(Activate({.directory = other_}, start).ok());
  EXPECT_GE(serving_.Get()->applier->applied_offset(), log_->end());
}

TEST_F(ActivationTest, AStopEndsTheWaitForTheNewState) {
  std::stop_source stop;
  std::jthread stops;
  const auto start = [&](ServingState& state, const std::function<bool()>&) {
    StartBehind(state, *store_, *log_);
    Take("eve", "i1");
    stops = std::jthread([&stop] { stop.request_stop(); });
    return absl::OkStatus();
  };
  EXPECT_EQ(Activate({.directory = other_}, start, stop.get_token()).code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(Version(), "tiny@1");
  EXPECT_THAT(Taken("eve"), UnorderedElementsAre(Pair("i1", 1)));
}

class ActivationPointTest : public ::testing::Test {
 protected:
  ActivationPointTest() {
    MakeStore(directory_.File("db"), /*items=*/1);
    store_ = OpenStore(directory_.File("db"));
  }

  TemporaryDirectory directory_;
  std::unique_ptr<GraphStore> store_;
  ActivationPoint point_;
};

TEST_F(ActivationPointTest, IsReachedByTheExpectedSnapshotAlone) {
  point_.Expect("wanted");
  point_.Reached({.snapshot_digest = "wanted before"}, *store_);
  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_EQ(point_.Await(stopped.get_token()), nullptr);

  point_.Expect("wanted");
  point_.Reached({.snapshot_digest = "wanted"}, *store_);
  EXPECT_NE(point_.Await({}), nullptr);

  // Nobody waits for it any more.
  point_.Reached({.snapshot_digest = "wanted"}, *store_);
  EXPECT_EQ(point_.Await(stopped.get_token()), nullptr);
}

TEST_F(ActivationPointTest, AStopOrTheApplierWakesWhoAwaits) {
  for (int round = 0; round < 200; ++round) {
    std::stop_source stop;
    point_.Expect("wanted");
    auto moment = std::async(std::launch::async, [&] { return point_.Await(stop.get_token()); });
    if (round % 2 == 0) {
      stop.request_stop();
      EXPECT_EQ(moment.get(), nullptr);
    } else {
      point_.Reached({.snapshot_digest = "wanted"}, *store_);
      EXPECT_NE(moment.get(), nullptr);
    }
  }
}

TEST(ServingCellTest, WhatServedBeforeComesBackWhenItsLastUserLeft) {
  TemporaryDirectory directory;
  MakeStore(directory.File("db"), /*items=*/1);
  const auto store = OpenStore(directory.File("db"));
  ServingCell cell;
  EXPECT_FALSE(cell.Exchange(std::make_unique<ServingState>(Generation(*store, 1))).valid());
  std::shared_ptr<ServingState> user = cell.Get();
  const ServingState* const first = user.get();
  auto retired = cell.Exchange(std::make_unique<ServingState>(Generation(*store, 2)));
  EXPECT_EQ(cell.Get()->generation.number(), 2u);
  EXPECT_EQ(retired.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  std::thread([user = std::move(user)]() mutable { user.reset(); }).join();
  EXPECT_EQ(retired.get().get(), first);
}

}  // namespace
}  // namespace groundswell
