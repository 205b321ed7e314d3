// Hypothetical events, over random histories of everything that the log can hold: a user with them
// laid over is the user who did them, with the same macro edges; what is refused is what the fold
// would not apply; and the graph does not notice.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "server/pipeline/features.h"
#include "tests/support/live_graph.h"
#include "tests/support/sanitized.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr size_t kItems = 10;
constexpr int64_t kTickUs = 500'000;
constexpr MacroShape kShape{.user_clusters = 3, .item_clusters = 4, .recent_len = 3};
constexpr RankerShape kRanker{.user_clusters = 3, .item_clusters = 4, .recent_items = 5};

std::string RandomUser(std::mt19937_64& random) { return "u" + std::to_string(random() % 8); }
std::string RandomItem(std::mt19937_64& random) {
  return "i" + std::to_string(random() % (kItems + 2));
}

Interaction RandomEvent(std::mt19937_64& random, const std::string& user, int64_t now_us) {
  const auto weight = static_cast<Count>(1 + random() % 3);
  const int64_t time_us =
      std::max<int64_t>(now_us - static_cast<int64_t>(random() % 12) * kTickUs, 0);
  return MakeInteraction(user, RandomItem(random), random() % 4 == 0 ? -weight : weight, time_us);
}

LogEntry RandomEntry(std::mt19937_64& random, int64_t now_us) {
  const std::string event_id = "change-" + std::to_string(random());
  const std::string user = RandomUser(random);
  const std::string item = RandomItem(random);
  switch (random() % 25) {
    case 0:
      return ForgetUser{
          .event_id = event_id, .user_id = user, .user_hash = HashId(user), .time_us = now_us};
    case 1:
      return RemoveItem{.event_id = event_id,
                        .item_id = item,
                        .item_hash = HashId(item),
                        .time_us = now_us - 4 * kTickUs};
    case 2:
    case 3:
      return UpsertItem{.event_id = event_id, .item_id = item};
    default:
      return RandomEvent(random, user, now_us);
  }
}

// What a ranker reads of a user.
struct RankerInput {
  RankerInput(const MacroGraph& graph, const UserState& user, Count own_two_hop) {
    FeatureBuffers buffers;
    const UserFeatures features = GatherUserFeatures(graph, kRanker, user, 0, buffers, own_two_hop);
    one_hop.assign(features.one_hop.begin(), features.one_hop.end());
    two_hop.assign(features.two_hop.begin(), features.two_hop.end());
    recent_items.assign(features.recent_items.begin(), features.recent_items.end());
  }
  std::vector<Count> one_hop, two_hop;
  std::vector<uint32_t> recent_items;
};

class OverlayTrial {
 public:
  OverlayTrial(LiveGraph& live, const Window& window) : live_(live), window_(window) {}

  // Lays random events over a random user, then ingests them, and compares. The history's time goes
  // on to `now_us`.
  void Run(std::mt19937_64& random, int64_t now_us, std::vector<FoldOutcome>& expected) {
    const std::string user = RandomUser(random);
    const int64_t newest_us = live_.progress().newest_event_time_us;
    std::vector<Interaction> events;
    for (uint64_t left = 1 + random() % 6; left > 0; --left) {
      events.push_back(RandomEvent(random, user, random() % 2 == 0 ? newest_us : now_us));
    }
    const std::string digest = live_.Digest();
    const std::optional<UserState> stored = *live_.generation.ReadUser(user);
    std::optional<Applier::Refusal> refusal;
    const auto overlaid = live_.applier->Overlay(stored, events, refusal);
    ASSERT_TRUE(overlaid.ok()) << overlaid.status();
    EXPECT_EQ(live_.Digest(), digest);
    const std::optional<RankerInput> input =
        refusal.has_value() ? std::nullopt
                            : std::optional<RankerInput>(std::in_place, *live_.graph,
                                                         overlaid->state, overlaid->own_two_hop);

    if (refusal.has_value()) events.resize(refusal->position + 1);
    expected.insert(expected.end(), events.size(), FoldOutcome::kApplied);
    if (refusal.has_value()) expected.back() = refusal->outcome;
    live_.Apply({events.begin(), events.end()});
    if (!input.has_value()) return;
    const bool others_expire =
        window_.age_us > 0 && live_.progress().newest_event_time_us > newest_us;
    ExpectSame(*overlaid, *input, live_.User(user), others_expire);
    ++compared_;
  }

  int compared() const { return compared_; }

 private:
  void ExpectSame(const OverlaidUser& overlaid, const RankerInput& input, const UserState& real,
                  bool others_expire) {
    EXPECT_EQ(overlaid.state.cluster, real.cluster);
    EXPECT_EQ(overlaid.state.edges, real.edges);
    const RankerInput expected(*live_.graph, real, 0);
    EXPECT_EQ(input.one_hop, expected.one_hop);
    EXPECT_EQ(input.recent_items, expected.recent_items);
    // The edges of others leave for real, and only for real.
    if (!others_expire) {
      EXPECT_EQ(input.two_hop, expected.two_hop);
    }
  }

  LiveGraph& live_;
  const Window window_;
  int compared_ = 0;
};

TEST(OverlayProperty, AUserWithHypotheticalEventsIsTheUserWhoDidThem) {
  int compared = 0;
  std::vector<int> refused(6);
  for (uint64_t seed = 1; seed <= Rounds(30u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Window window = seed % 3 == 0 ? Window{} : RandomWindow(random, kTickUs);
    TemporaryDirectory directory;
    MakeStore(directory.File("db"), kItems, window);
    LiveGraph live(directory.File("db"), {.shape = kShape, .spare_items = 200});
    OverlayTrial trial(live, window);
    std::vector<FoldOutcome> expected;
    std::vector<bool> is_expected;  // by interaction; those of the history are not foretold
    int64_t now_us = 100 * kTickUs;
    for (int round = 0; round < 40; ++round) {
      std::vector<LogEntry> entries;
      for (uint64_t left = 1 + random() % 8; left > 0; --left) {
        now_us += static_cast<int64_t>(random() % 4) * kTickUs;
        entries.push_back(RandomEntry(random, now_us));
        if (std::holds_alternative<Interaction>(entries.back())) {
          expected.push_back(FoldOutcome::kApplied);
          is_expected.push_back(false);
        }
      }
      live.Apply(std::move(entries));
      trial.Run(random, now_us, expected);
      is_expected.resize(expected.size(), true);
      if (testing::Test::HasFailure()) return;
    }
    live.ExpectVerified();
    compared += trial.compared();
    const std::vector<FoldOutcome> outcomes = live.StopAndTakeOutcomes();
    ASSERT_EQ(outcomes.size(), expected.size());
    for (size_t at = 0; at < outcomes.size(); ++at) {
      if (!is_expected[at]) continue;
      ASSERT_EQ(outcomes[at], expected[at]) << "interaction " << at;
      ++refused[static_cast<size_t>(outcomes[at])];
    }
  }
  EXPECT_GT(compared, Rounds(200));
  if (kSanitized) return;  // the rare ones come in all rounds only
  using Outcome = FoldOutcome;
  for (const Outcome outcome :
       {Outcome::kBelowZero, Outcome::kUnknownItem, Outcome::kOutsideWindow, Outcome::kForgotten}) {
    EXPECT_GT(refused[static_cast<size_t>(outcome)], 5) << static_cast<int>(outcome);
  }
}

// A user of whom nothing is stored, and no id either.
TEST(OverlayProperty, AnAnonymousHistoryIsThatOfANewUser) {
  TemporaryDirectory directory;
  MakeStore(directory.File("db"), kItems, {});
  LiveGraph live(directory.File("db"), {.shape = kShape});
  live.Apply(MakeInteraction("other", "i4", 2, 1'000'000));
  const std::vector<Interaction> events{MakeInteraction("", "i4", 1, 2'000'000),
                                        MakeInteraction("", "i7", 3, 2'000'000)};
  std::optional<Applier::Refusal> refusal;
  const auto overlaid = live.applier->Overlay(std::nullopt, events, refusal);
  ASSERT_TRUE(overlaid.ok()) << overlaid.status();
  ASSERT_FALSE(refusal.has_value());
  EXPECT_EQ(overlaid->state.cluster, 4 % kShape.user_clusters) << "of the first item";
  EXPECT_EQ(overlaid->joined, (std::vector<ItemIndex>{ItemIndex{4}, ItemIndex{7}}));
  EXPECT_EQ(overlaid->own_two_hop, 1 + 9);
  std::vector<uint32_t> newest;
  NewestEdges(overlaid->state, 1, newest);
  EXPECT_EQ(overlaid->state.edges[newest[0]].item, ItemIndex{7}) << "the last of one instant";
}

}  // namespace
}  // namespace groundswell
