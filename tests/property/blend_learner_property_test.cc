// The blend learns from the log while it serves: the same log teaches the same, however it was cut
// into batches and wherever the server was restarted; and what is bad for it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/store/rocksdb_log.h"
#include "graph/upkeep/checkpoint.h"
#include "server/offline/import.h"
#include "server/pipeline/blend_learner.h"
#include "server/pipeline/list_quality.h"
#include "server/serving/clustering.h"
#include "server/serving/graph_follower.h"
#include "server/serving/load_state.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/sanitized.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr size_t kItems = 12;  // that a history knows; the snapshot has the first 4
// Lists of the followers fade within the history, and spans begin and end in it.
constexpr double kTrendingHalfLifeS = 20;

// A database over the tiny snapshot, as a server holds it.
class Learning {
 public:
  struct Options {
    size_t batch_max = 1'000;
    bool learns = true;
    Window window{.traced = Window::kTraceLengthDefault};
    LoadFrom load_from = LoadFrom::kCheckpoint;
    size_t neighbors_max = 4'096;
    size_t ranked = 3;  // so that the ranker is asked about some candidates of most lists
  };

  // Imports if nothing is there.
  Learning(const std::string& path, const Options& options) {
    if (!std::filesystem::exists(path)) {
      TemporaryDirectory snapshot;
      SnapshotFixture fixture(snapshot.path());
      fixture.manifest["models"].push_back({{"name", "dot"},
                                            {"kind", "dot"},
                                            {"file", "embeddings.safetensors"},
                                            {"options", nlohmann::ordered_json::object()}});
      fixture.WriteManifest();
      const auto report = Import(
          {.snapshot_directory = snapshot.path(), .data_dir = path, .window = options.window},
          [](std::string_view, uint64_t, uint64_t) {}, [] { return false; });
      EXPECT_TRUE(report.ok()) << report.status();
    }
    store = *GraphStore::Open({.path = path});
    state = *LoadServingState(*Generation::OpenCurrent(*store),
                              {.new_items_max = 100,
                               .trending_half_life_s = kTrendingHalfLifeS,
                               .neighbors_max = options.neighbors_max,
                               .from = options.load_from},
                              [](std::string_view, uint64_t, uint64_t) {});
    log = *RocksdbLog::Open(*store, state->graph_state.base_offset, {});
    Applier::Options applier{
        .fold = {.batch_max = options.batch_max, .clustering = ClusteringOf(state->snapshot)}};
    FollowGraph(*state, applier);
    EXPECT_TRUE(FollowWithBlend(*state, {.ranked = options.ranked}, options.learns, applier).ok());
    const auto checkpoint = state->generation.ReadCheckpoint();
    std::optional<Offset> complete;
    if (checkpoint->has_value()) complete = (*checkpoint)->offset;
    state->applier =
        std::make_unique<Applier>(*store, state->generation, *log, *state->catalogue, *state->graph,
                                  state->graph_state, complete, std::move(applier));
    EXPECT_TRUE(state->applier->CatchUp([](Offset, Offset) {}, [] { return false; }).ok());
  }
  ~Learning() { log->Close(); }

  void Apply(std::vector<LogEntry> entries) {
    std::promise<Offset> appended;
    AppendRequest request;
    request.entries = std::move(entries);
    ASSERT_TRUE(log->Append(std::move(request),
                            [&](const absl::StatusOr<AppendResult>& result) {
                              appended.set_value(result.ok() ? result->entries.back().offset
                                                             : Offset{0});
                            })
                    .ok());
    std::promise<bool> applied;
    state->applier->WhenApplied(appended.get_future().get(),
                                std::chrono::steady_clock::now() + std::chrono::minutes(5),
                                [&](bool reached) { applied.set_value(reached); });
    ASSERT_TRUE(applied.get_future().get());
  }
  void Checkpoint() {
    EXPECT_TRUE(WriteCheckpoint(*store, state->generation, *state->applier, *state->graph, 0, [] {
                  return true;
                }).ok());
  }

  // All that was learned, as it is in memory; it is what is stored, and what requests read.
  std::string State() const {
    std::string encoded;
    EXPECT_TRUE(state->applier
                    ->RunAtBatchEdge([&] {
                      const BlendLearner& learner = *state->blend_learner;
                      encoded = learner.EncodeState();
                      EXPECT_EQ(state->blend_weights.Read(), learner.model().weights());
                      const auto stored = state->generation.ReadLearned();
                      if (stored->has_value()) {
                        EXPECT_EQ(**stored, encoded);
                      }
                    })
                    .ok());
    return encoded;
  }
  BlendModel::Learned learned() const { return state->blend_learner->model().learned(); }

  std::unique_ptr<GraphStore> store;
  std::unique_ptr<RocksdbLog> log;
  std::unique_ptr<ServingState> state;
};

LogEntry Event(const std::string& user, const std::string& item, int64_t time_us, size_t number,
               Count weight = 1) {
  return MakeInteraction(user, item, weight, time_us, "e" + std::to_string(number));
}

std::vector<LogEntry> NewItems() {
  std::vector<LogEntry> entries;
  for (size_t item = 4; item < kItems; ++item) {
    entries.push_back(UpsertItem{.event_id = "new" + std::to_string(item),
                                 .item_id = "i" + std::to_string(item),
                                 .category = "c" + std::to_string(item % 3)});
  }
  return entries;
}

// Of everything that the log can hold.
std::vector<LogEntry> RandomHistory(std::mt19937_64& random, size_t length) {
  std::vector<LogEntry> entries = NewItems();
  int64_t now_us = 1'700'000'000 * kSecond;
  for (size_t at = 0; at < length; ++at) {
    const std::string event_id = "c" + std::to_string(at);
    const std::string user = "u" + std::to_string(random() % 9);
    const std::string item = "i" + std::to_string(random() % (kItems + 1));
    now_us += static_cast<int64_t>(random() % 3) * kSecond / 2;
    if (random() % 60 == 0) now_us += 400 * kSecond;
    const int64_t time_us = now_us - static_cast<int64_t>(random() % 12) * kSecond;
    const auto weight = static_cast<Count>(random() % 8) - 1;
    switch (random() % 50) {
      case 0:
        entries.push_back(ForgetUser{
            .event_id = event_id, .user_id = user, .user_hash = HashId(user), .time_us = time_us});
        break;
      case 1:
        entries.push_back(RemoveItem{
            .event_id = event_id, .item_id = item, .item_hash = HashId(item), .time_us = time_us});
        break;
      case 2:
        entries.push_back(UpsertItem{.event_id = event_id, .item_id = item, .category = "c1"});
        break;
      case 3:
        // Not at the end, so that there is always something learned.
        if (at < length / 2) entries.push_back(ResetBlend{.event_id = event_id});
        break;
      default:
        entries.push_back(Event(random() % 30 == 0 ? "ann" : user, item, time_us, at, weight));
    }
  }
  return entries;
}

// Every minute an item that did not exist is created, available for three; users take it at once,
// and it is removed.
std::vector<LogEntry> ItemsOfMinutes(std::mt19937_64& random, size_t minutes) {
  std::vector<LogEntry> entries = NewItems();
  const int64_t begin_us = 1'700'000'000 * kSecond;
  size_t events = 0;
  for (size_t minute = 0; minute < minutes; ++minute) {
    const int64_t minute_us = begin_us + static_cast<int64_t>(minute) * 60 * kSecond;
    const auto item_of = [](size_t of_minute) { return "m" + std::to_string(of_minute); };
    entries.push_back(UpsertItem{.event_id = "up" + std::to_string(minute),
                                 .item_id = item_of(minute),
                                 .category = "c" + std::to_string(minute % 3),
                                 .availability = {.until_us = minute_us + 180 * kSecond}});
    for (int64_t at = 0; at < 6; ++at) {
      entries.push_back(Event("u" + std::to_string(random() % 9),
                              item_of(minute - std::min<size_t>(minute, random() % 3)),
                              minute_us + at * 10 * kSecond, events++));
    }
    if (minute < 3) continue;
    entries.push_back(RemoveItem{.event_id = "gone" + std::to_string(minute),
                                 .item_id = item_of(minute - 3),
                                 .item_hash = HashId(item_of(minute - 3)),
                                 .time_us = minute_us + 59 * kSecond});
  }
  return entries;
}

std::string LearnInOneGo(const std::string& path, Learning::Options options,
                         const std::vector<LogEntry>& history) {
  options.batch_max = 100'000;
  Learning learning(path, options);
  learning.Apply(history);
  EXPECT_GT(learning.learned().steps, 20u);
  return learning.State();
}

std::string LearnInPieces(const std::string& path, Learning::Options options,
                          const std::vector<LogEntry>& history, std::mt19937_64& random) {
  size_t at = 0;
  std::string state;
  while (at < history.size()) {
    options.batch_max = 1 + random() % 7;
    options.load_from = random() % 4 == 0 ? LoadFrom::kUsers : LoadFrom::kCheckpoint;
    Learning learning(path, options);
    for (uint64_t steps = 1 + random() % 4; steps > 0 && at < history.size(); --steps) {
      const size_t count = std::min<size_t>(1 + random() % 80, history.size() - at);
      const auto begin = history.begin() + static_cast<ptrdiff_t>(at);
      learning.Apply({begin, begin + static_cast<ptrdiff_t>(count)});
      at += count;
      if (random() % 3 == 0) learning.Checkpoint();
    }
    state = learning.State();
  }
  return state;
}

TEST(BlendLearnerProperty, OneLogTeachesTheSameHoweverItIsFolded) {
  for (uint64_t seed = 1; seed <= Rounds(8u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    Learning::Options options;
    options.window.traced = static_cast<int64_t>(8 + random() % 20);
    if (seed % 3 == 1) options.window.age_us = 120 * kSecond;
    if (seed % 3 == 2) options.window.interactions = 15;
    const std::vector<LogEntry> history = RandomHistory(random, 500);
    TemporaryDirectory directory;
    const std::string whole = LearnInOneGo(directory.File("whole"), options, history);
    const std::string pieces = LearnInPieces(directory.File("pieces"), options, history, random);
    EXPECT_TRUE(whole == pieces);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(BlendLearnerProperty, ItemsThatComeAndGoWithinMinutesTeachTheSameHoweverTheyAreFolded) {
  std::mt19937_64 random(11);
  const std::vector<LogEntry> history = ItemsOfMinutes(random, 80);
  TemporaryDirectory directory;
  const std::string whole = LearnInOneGo(directory.File("whole"), {}, history);
  const std::string pieces = LearnInPieces(directory.File("pieces"), {}, history, random);
  EXPECT_TRUE(whole == pieces);
}

void ExpectSane(const Learning& learning) {
  for (const BlendWeights::Row& row : learning.state->blend_weights.Read().rows) {
    for (const float weight : row) EXPECT_LE(std::abs(weight), BlendWeights::kMax);
  }
}

TEST(BlendLearnerProperty, WhatAlwaysComesNextIsLearned) {
  TemporaryDirectory directory;
  Learning learning(directory.File("db"), {});
  const BlendWeights start = learning.state->blend_weights.Read();
  std::vector<LogEntry> entries = NewItems();
  for (size_t at = 0; at < 1'500; ++at) {
    const std::string user = "u" + std::to_string(at / 10 % 30);
    entries.push_back(Event(user, "i" + std::to_string(at % 10),
                            static_cast<int64_t>(1'700'000'000 + at) * kSecond, at));
  }
  learning.Apply(std::move(entries));
  const BlendModel::Learned learned = learning.learned();
  EXPECT_GT(learned.steps, 600u);
  EXPECT_LT(learned.missed, learned.steps / 10);
  const BlendWeights now = learning.state->blend_weights.Read();
  std::map<std::string_view, bool> moved;
  constexpr auto kInVisit = static_cast<size_t>(BlendContext::kInVisit);
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    const std::string name = BlendFeatureName(feature);
    if (name == "next_items.first") {
      EXPECT_GT(now.rows[kInVisit][feature], start.rows[kInVisit][feature] + .1f);
    }
    for (const std::string_view list :
         {"embedding.", "random_walk.", "ranker.", "live_vector.", "after_newest."}) {
      if (name.starts_with(list))
        moved[list] |= now.rows[kInVisit][feature] != start.rows[kInVisit][feature];
    }
    // Of what it does not ask, it says nothing.
    if (name.starts_with("similar_items.") || name.starts_with("popular.")) {
      EXPECT_EQ(now.rows[kInVisit][feature], start.rows[kInVisit][feature]) << name;
    }
  }
  EXPECT_EQ(moved.size(), 5u);
  for (const auto& [list, is] : moved) EXPECT_TRUE(is) << list;
  ExpectSane(learning);
}

// One item, two items, and everything at one time: there is little to learn, and nothing breaks.
TEST(BlendLearnerProperty, LogsThatSayNothing) {
  for (const size_t items : {1, 2, 5}) {
    for (const int64_t step_us : {int64_t{0}, kSecond}) {
      SCOPED_TRACE(testing::Message() << items << " items, " << step_us << " us apart");
      TemporaryDirectory directory;
      Learning learning(directory.File("db"), {});
      std::vector<LogEntry> entries = NewItems();
      std::mt19937_64 random(items);
      for (size_t at = 0; at < 600; ++at) {
        entries.push_back(Event("u" + std::to_string(random() % 20),
                                "i" + std::to_string(random() % items),
                                1'700'000'000 * kSecond + static_cast<int64_t>(at) * step_us, at));
      }
      learning.Apply(std::move(entries));
      EXPECT_GT(learning.learned().steps, 100u);
      learning.State();
      ExpectSane(learning);
    }
  }
}

// As in a request, the ranker is asked about the best by the blend alone; what all candidates have
// moves no weight.
TEST(BlendLearnerProperty, TheRankerIsAskedAboutTheBestAlone) {
  constexpr size_t kProposed = kBlendRankerBegin;
  for (const size_t ranked : {size_t{2}, Retrieval::kAllCandidates}) {
    TemporaryDirectory directory;
    Learning learning(directory.File("db"), {.ranked = ranked});
    const BlendWeights before = learning.state->blend_learner->model().weights();
    std::mt19937_64 random(3);
    std::vector<LogEntry> entries;
    for (size_t at = 0; at < 600; ++at) {
      entries.push_back(Event("u" + std::to_string(random() % 4),
                              "i" + std::to_string(random() % 6),
                              static_cast<int64_t>(1'700'000'000 + 60 * at) * kSecond, at));
    }
    learning.Apply(std::move(entries));
    learning.State();
    float moved = 0;
    for (size_t context = 0; context < BlendWeights::kRows; ++context) {
      const float now = learning.state->blend_learner->model().weights().rows[context][kProposed];
      moved = std::max(moved, std::abs(now - before.rows[context][kProposed]));
    }
    if (ranked == 2) {
      EXPECT_GT(moved, 1e-3f);  // by how much the processor's rounding decides too
    } else {
      EXPECT_LT(moved, 1e-5f);
    }
  }
}

// A step costs by the length of its user.
TEST(BlendLearnerProperty, AUserOfVeryManyInteractionsTeachesNoMore) {
  TemporaryDirectory directory;
  Learning learning(directory.File("db"), {});
  BlendLearner& learner = *learning.state->blend_learner;
  UserState user;
  for (size_t at = 0; at < BlendLearner::kEdgesMax; ++at) {
    const auto time = static_cast<int64_t>(1'700'000'000 + at);
    user.edges.push_back({.item = ItemIndex{1},
                          .count = 1,
                          .last = {.time_us = time * kSecond, .offset = static_cast<Offset>(at)}});
  }
  for (const bool teaches : {true, false}) {
    const auto learned = [&] { return learner.model().learned().steps; };
    const uint64_t before = learned();
    for (Offset offset = 1; offset <= 20; ++offset) {
      learner.BeforeApplied({.offset = offset,
                             .user = &user,
                             .item = ItemIndex{1},
                             .now_us = 1'800'000'000 * kSecond});
    }
    EXPECT_EQ(learned() > before, teaches);
    user.edges.push_back(user.edges.back());
  }
}

// One user of 100,000 interactions among others: all is applied, and the others teach on.
TEST(BlendLearnerProperty, AUserOfAHundredThousandInteractionsIsOneOfMany) {
  TemporaryDirectory directory;
  Learning learning(directory.File("db"), {});
  learning.Apply(NewItems());
  std::vector<LogEntry> entries;
  for (size_t at = 0; at < 100'000; ++at) {
    entries.push_back(Event("robot", "i" + std::to_string(at % kItems),
                            static_cast<int64_t>(1'700'000'000'000 + at) * 1'000, at));
    if (entries.size() == 10'000) learning.Apply(std::exchange(entries, {}));
  }
  const BlendModel::Learned before = learning.learned();
  entries.clear();
  for (size_t at = 0; at < 200; ++at) {
    entries.push_back(Event("u" + std::to_string(at / 10), "i" + std::to_string(at % kItems),
                            static_cast<int64_t>(1'700'001'000 + at) * kSecond, 100'000 + at));
  }
  learning.Apply(std::move(entries));
  const BlendModel::Learned after = learning.learned();
  EXPECT_GT(after.steps + after.missed, before.steps + before.missed + 20);
  learning.State();
  ExpectSane(learning);
}

// What the user has is learned from where seen items are let in, one half of the lists.
TEST(BlendLearnerProperty, RepeatsTeachInOneHalfOfTheLists) {
  TemporaryDirectory directory;
  Learning learning(directory.File("db"), {});
  std::vector<LogEntry> entries;
  for (size_t at = 0; at < 400; ++at) {
    entries.push_back(Event("bob", "i1", static_cast<int64_t>(1'700'000'000 + at) * kSecond, at));
  }
  learning.Apply(std::move(entries));
  EXPECT_NEAR(static_cast<double>(learning.learned().steps), 200, 40);
}

TEST(BlendLearnerProperty, StaysAsItIsWhileFrozenAndGoesOnFromThere) {
  std::mt19937_64 random(7);
  const std::vector<LogEntry> history = RandomHistory(random, 300);
  const std::vector<LogEntry> first(history.begin(), history.begin() + 150);
  const std::vector<LogEntry> second(history.begin() + 150, history.end());
  TemporaryDirectory directory;
  std::string learned;
  {
    Learning learning(directory.File("db"), {});
    learning.Apply(first);
    learned = learning.State();
  }
  {
    Learning frozen(directory.File("db"), {.learns = false});
    EXPECT_EQ(frozen.State(), learned);
    frozen.Apply(second);
    EXPECT_EQ(frozen.State(), learned);
  }
  Learning again(directory.File("db"), {});
  EXPECT_EQ(again.State(), learned);
  again.Apply({Event("bob", "i0", 1'800'000'000 * kSecond, 9'999)});
  EXPECT_NE(again.State(), learned);
}

// Made-up users who want to be believed: as many as there are interactions, each with all the
// weight that one may have, all on one item, minutes apart so that the pace lets them teach.
std::vector<LogEntry> Nonsense(size_t begin, size_t count) {
  std::vector<LogEntry> entries;
  for (size_t at = begin; at < begin + count; ++at) {
    const auto time_us = static_cast<int64_t>(1'700'010'000 + 600 * at) * kSecond;
    const std::string user = "liar" + std::to_string(at);
    entries.push_back(Event(user, "i" + std::to_string(at % kItems), time_us, 10 * at));
    entries.push_back(Event(user, "i1", time_us + kSecond, 10 * at + 1, kWeightMax));
  }
  return entries;
}

float FarthestMove(const BlendWeights& from, const BlendWeights& to) {
  float farthest = 0;
  for (size_t context = 0; context < BlendWeights::kRows; ++context) {
    for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
      farthest =
          std::max(farthest, std::abs(to.rows[context][feature] - from.rows[context][feature]));
    }
  }
  return farthest;
}

TEST(BlendLearnerProperty, AHostileStreamTeachesWithinBoundsUntilItIsFrozenAndForgotten) {
  TemporaryDirectory directory;
  const std::string database = directory.File("db");
  std::string taught;
  {
    Learning learning(database, {});
    std::mt19937_64 random(7);
    learning.Apply(RandomHistory(random, 100));
    BlendWeights before = learning.state->blend_weights.Read();
    for (size_t at = 0; at < 30; ++at) {
      const BlendModel::Learned learned = learning.learned();
      learning.Apply(Nonsense(at, 1));
      const BlendWeights after = learning.state->blend_weights.Read();
      const auto steps = static_cast<float>(learning.learned().steps - learned.steps);
      EXPECT_LE(FarthestMove(before, after), .5001f * steps);
      before = after;
    }
    learning.Apply(Nonsense(100, 500));
    EXPECT_GT(FarthestMove(BuiltInBlendWeights(), learning.state->blend_weights.Read()), .1f);
    ExpectSane(learning);
    taught = learning.State();
  }
  {
    Learning frozen(database, {.learns = false});
    const BlendWeights kept = frozen.state->blend_weights.Read();
    frozen.Apply(Nonsense(1'000, 100));
    EXPECT_EQ(frozen.state->blend_weights.Read(), kept);
  }
  Learning again(database, {});
  EXPECT_EQ(again.State(), taught);
  again.Apply({ResetBlend{.event_id = "reset"}});
  EXPECT_EQ(again.state->blend_weights.Read(), BuiltInBlendWeights());
}

// Databases from before learning have none; a version with other features cannot read what is
// there.
TEST(BlendLearnerProperty, BeginsWithTheStartWeightsWhereNothingCanBeRead) {
  for (const std::string stored : {"", "nonsense", "of more bytes than a time stamp has"}) {
    TemporaryDirectory directory;
    {
      Learning learning(directory.File("db"), {.learns = false});
      EXPECT_FALSE(learning.state->generation.ReadLearned()->has_value());
      GraphStore::Batch batch(*learning.store);
      learning.state->generation.PutLearned(batch, stored);
      ASSERT_TRUE(learning.store->Commit(batch, true).ok());
    }
    Learning learning(directory.File("db"), {});
    EXPECT_EQ(learning.state->blend_weights.Read(), BuiltInBlendWeights());
    learning.Apply({Event("bob", "i0", 1'800'000'000 * kSecond, 1)});
    learning.State();
  }
}

// As the activation did that made this graph the snapshot's: a log folded over the snapshot that it
// activates teaches what it taught the server that served on.
TEST(BlendLearnerProperty, BeginsAnewWhereItsSnapshotIsActivated) {
  std::mt19937_64 random(5);
  TemporaryDirectory directory;
  Learning learning(directory.File("db"), {});
  learning.Apply(RandomHistory(random, 200));
  EXPECT_GT(learning.learned().steps, 20u);
  learning.Apply({ActivateSnapshot{.event_id = "activate",
                                   .snapshot_digest = learning.state->snapshot->digest()}});
  EXPECT_EQ(learning.learned(), BlendModel::Learned{});
  EXPECT_EQ(learning.state->blend_weights.Read(), BuiltInBlendWeights());
  learning.State();
}

// With what it begins on a server that never learned; and what comes then is learned as there.
TEST(BlendLearnerProperty, BeginsAnewWhereTheLogSaysSo) {
  std::mt19937_64 random(6);
  TemporaryDirectory directory;
  {
    Learning learning(directory.File("db"), {});
    learning.Apply(RandomHistory(random, 200));
    EXPECT_GT(learning.learned().steps, 20u);
    EXPECT_NE(learning.state->blend_weights.Read(), BuiltInBlendWeights());
    EXPECT_GT(learning.state->list_quality->Read().lists[0].interactions, 20u);
    learning.Apply({ResetBlend{.event_id = "reset"}});
    EXPECT_EQ(learning.learned(), BlendModel::Learned{});
    EXPECT_EQ(learning.state->blend_weights.Read(), BuiltInBlendWeights());
    EXPECT_EQ(learning.state->list_quality->Read().lists[0].interactions, 0u);
    learning.State();
  }
  {
    Learning again(directory.File("db"), {});
    EXPECT_EQ(again.learned(), BlendModel::Learned{});
    EXPECT_EQ(again.state->blend_weights.Read(), BuiltInBlendWeights());
    again.Apply({Event("bob", "i0", 1'800'000'000 * kSecond, 9'999)});
    EXPECT_EQ(again.learned().steps + again.learned().missed, 1u);
  }
  Learning frozen(directory.File("db"), {.learns = false});
  frozen.Apply({ResetBlend{.event_id = "reset again"}});
  EXPECT_EQ(frozen.learned(), BlendModel::Learned{});
}

}  // namespace
}  // namespace groundswell
