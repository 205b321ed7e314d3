// Removals on a small live graph: the receipt, and what is left when a step fails.
#include "server/ingest/removals.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <mutex>
#include <string>

#include "server/rpc/status_details.h"
#include "tests/support/live_graph.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;

class RemovalsTest : public ::testing::Test {
 protected:
  RemovalsTest() {
    auto state = std::make_unique<ServingState>(live_.generation);
    state->graph = std::move(live_.graph);
    state->applier = std::move(live_.applier);
    serving_.Exchange(std::move(state));
    Append({MakeInteraction("ann", "i1", 2), MakeInteraction("ann", "i2"),
            MakeInteraction("bob", "i1")});
  }
  ~RemovalsTest() override {
    background_.Stop();
    live_.log->Close();
  }

  void Append(std::vector<LogEntry> entries) {
    std::promise<bool> applied;
    serving_.Get()->applier->WhenApplied(live_.Append(std::move(entries)),
                                         steady_clock::now() + std::chrono::seconds(30),
                                         [&](bool reached) { applied.set_value(reached); });
    EXPECT_TRUE(applied.get_future().get());
  }
  absl::StatusOr<v1::RemovalReceipt> Remove(
      LogEntry entry,
      steady_clock::time_point deadline = steady_clock::now() + std::chrono::seconds(30)) {
    std::promise<absl::StatusOr<v1::RemovalReceipt>> done;
    removals_.Remove(std::move(entry), deadline, [&](absl::StatusOr<v1::RemovalReceipt> receipt) {
      done.set_value(std::move(receipt));
    });
    return done.get_future().get();
  }
  static ForgetUser Forget(const std::string& user, int64_t time_us = 1) {
    return {.event_id = "forget-" + user,
            .user_id = user,
            .user_hash = HashId(user),
            .time_us = time_us};
  }
  static Interaction Received(int64_t event_time_us, int64_t received_us) {
    Interaction interaction = MakeInteraction("eve", "i3", 1, event_time_us);
    interaction.received_time_us = received_us;
    return interaction;
  }

  static constexpr int64_t kSecond = 1'000'000;

  TemporaryDirectory directory_;
  const std::string path_ = (MakeStore(directory_.File("db"), 4), directory_.File("db"));
  std::mutex folding_;  // who holds it holds up the fold at the next edge
  LiveGraph live_{path_, {.on_edges_changed = [this](const EdgeChange&) {
                    const std::lock_guard<std::mutex> fold(folding_);
                  }}};
  ServingCell serving_;
  Metrics metrics_{std::vector<std::string>{}};
  GraphJobs jobs_{
      *live_.store, *live_.log, serving_, metrics_.durability(), {.now_us = [] { return 1; }}};
  BackgroundThread background_{{}};
  Removals removals_{*live_.log,  *live_.store, serving_,
                     background_, jobs_,        std::chrono::seconds(2)};
};

TEST_F(RemovalsTest, AReceiptSaysWhatLeftTheGraphAndTheLog) {
  const auto receipt = Remove(Forget("ann"));
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->user_count(), 1);
  EXPECT_EQ(receipt->edge_count(), 2);
  EXPECT_EQ(receipt->total_count(), 3);
  EXPECT_EQ(receipt->redacted_record_count(), 3) << "two interactions and the removal itself";
  EXPECT_EQ(receipt->digest(), serving_.Get()->applier->progress().digest.ToString());
  EXPECT_TRUE(live_.User("ann").edges.empty());
  EXPECT_EQ(live_.User("bob").edges.size(), 1u);
}

TEST_F(RemovalsTest, AskedAgainItIsTheSameReceipt) {
  const auto first = Remove(Forget("ann"));
  Append({MakeInteraction("bob", "i3")});
  const auto again = Remove(Forget("ann"));
  ASSERT_TRUE(first.ok() && again.ok()) << first.status() << again.status();
  EXPECT_EQ(again->SerializeAsString(), first->SerializeAsString());
}

TEST_F(RemovalsTest, AnItemLeavesAllItsUsers) {
  const auto receipt = Remove(RemoveItem{
      .event_id = "remove-i1", .item_id = "i1", .item_hash = HashId("i1"), .time_us = 1});
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  EXPECT_EQ(receipt->user_count(), 2);
  EXPECT_EQ(receipt->edge_count(), 2);
  EXPECT_EQ(receipt->total_count(), 3);
  EXPECT_EQ(live_.User("ann").edges.size(), 1u);
  EXPECT_TRUE(live_.User("bob").edges.empty());
}

TEST_F(RemovalsTest, AClockThatIsFarAheadOfTheNewestInteractionRemovesNothing) {
  Append({Received(100 * kSecond, 101 * kSecond)});
  const int64_t latest_us = 103 * kSecond;  // the delay, and two seconds
  const Offset end = live_.log->end();
  const auto refused = Remove(Forget("ann", latest_us + 1));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(refused.status()), "CLOCK_AHEAD");
  EXPECT_EQ(Remove(RemoveItem{.event_id = "remove-i1",
                              .item_id = "i1",
                              .item_hash = HashId("i1"),
                              .time_us = latest_us + 1})
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(live_.log->end(), end);
  EXPECT_EQ(live_.User("ann").edges.size(), 2u);
  EXPECT_TRUE(Remove(Forget("ann", latest_us)).ok());
}

TEST_F(RemovalsTest, InteractionsThatCameWithTheWrongClockDoNotMakeItRight) {
  Append({Received(100 * kSecond, 100 * kSecond), Received(101 * kSecond, 501 * kSecond)});
  EXPECT_EQ(ReasonOf(Remove(Forget("ann", 501 * kSecond)).status()), "CLOCK_AHEAD");
}

TEST_F(RemovalsTest, AfterAReplayOfLongAgoTheClockIsRight) {
  Append({Received(100 * kSecond, 500 * kSecond), Received(105 * kSecond, 501 * kSecond)});
  EXPECT_TRUE(Remove(Forget("ann", 502 * kSecond)).ok());
}

TEST_F(RemovalsTest, WithoutTimeThereIsNoReceiptYetButTheUserIsForgotten) {
  {
    const std::lock_guard<std::mutex> held(folding_);
    EXPECT_EQ(Remove(Forget("ann"), steady_clock::now()).status().code(),
              absl::StatusCode::kDeadlineExceeded);
  }
  const auto again = Remove(Forget("ann"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->edge_count(), 2);
}

TEST_F(RemovalsTest, WhileTheServerStopsTheUserIsForgottenAndTheReceiptIsLeftToTheNext) {
  background_.Stop();
  EXPECT_EQ(Remove(Forget("ann")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(live_.User("ann").edges.empty());
}

TEST_F(RemovalsTest, WithoutALogNothingIsRemoved) {
  live_.log->Close();
  EXPECT_FALSE(Remove(Forget("ann")).ok());
  EXPECT_EQ(live_.User("ann").edges.size(), 2u);
}

}  // namespace
}  // namespace groundswell
