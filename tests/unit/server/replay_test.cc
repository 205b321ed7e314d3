#include "server/offline/replay.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "models/files/safetensors.h"
#include "server/offline/feature_rows.h"
#include "tests/support/second.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using ::testing::ElementsAre;
using ::testing::Not;

constexpr auto kNeverCancelled = [] { return false; };

// The fixture's users ann, bob, eve (clusters 0, 1, 1) and items i0 to i3 (0, 1, 2, 0).
class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() {
    std::filesystem::create_directory(directory_.File("snapshot"));
    const SnapshotFixture snapshot(directory_.File("snapshot"));
    WriteEvents(
        "100,ann,i0\n200,bob,i0\n300,ann,i1\n400,joe,i0\n450,ann,i0\n500,ann,not in the "
        "snapshot\n");
    options_ = {.snapshot_directory = directory_.File("snapshot"),
                .events_path = directory_.File("events.csv"),
                .weights = {.of_type = {{"purchase", 1}, {"return", -1}}},
                .negatives = {.uniform = 1, .popular = 0},
                .history_len = 2,
                .recent_len = 2};
  }

  void WriteEvents(const std::string& lines, const std::string& header = "timestamp,user,item") {
    std::ofstream(directory_.File("events.csv")) << header << "\n" << lines;
  }
  void ReplayRows() {
    options_.rows_out = directory_.File("rows");
    const absl::Status replayed = Replay(options_, kNeverCancelled);
    ASSERT_TRUE(replayed.ok()) << replayed;
  }
  struct Column {
    std::vector<size_t> shape;
    std::vector<int64_t> values;
  };
  static Column Read(const std::string& path, const std::string& name) {
    const SafetensorsFile file = *SafetensorsFile::Parse(path, *ReadFileBytes(path));
    const std::vector<size_t> shape = file.tensors().at(name).shape;
    return {shape, *file.Integers(name, shape)};
  }
  std::vector<int64_t> Rows(const std::string& name) {
    return Read(options_.rows_out, name).values;
  }
  std::vector<int64_t> Graph(const std::string& name) {
    return Read(options_.graph_out, name).values;
  }
  // What a row has of the user, or of the first item, at the event of this number.
  std::vector<int64_t> At(int64_t event, const std::string& name) {
    const auto [shape, values] = Read(options_.rows_out, name);
    const size_t width = shape.back();
    const size_t of_event = values.size() / shape[0];
    const auto begin = values.begin() + (event - 1) * static_cast<int64_t>(of_event);
    return {begin, begin + static_cast<int64_t>(width)};
  }

  TemporaryDirectory directory_;
  ReplayOptions options_;
};

TEST_F(ReplayTest, RowsHaveTheFeaturesAsTheyWereJustBeforeTheirEvent) {
  ReplayRows();
  EXPECT_THAT(Rows("event"), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(Rows("user"), ElementsAre(1, 2, 1, 0, 1)) << "joe is nobody's row";
  EXPECT_THAT(At(1, "u1"), ElementsAre(0, 0, 0));
  EXPECT_THAT(At(3, "u1"), ElementsAre(1, 0, 0)) << "i0, and not yet i1";
  EXPECT_THAT(At(5, "u1"), ElementsAre(1, 1, 0));
  EXPECT_THAT(At(5, "urec"), ElementsAre(2, 1)) << "i1, then i0";
  EXPECT_THAT(At(5, "urec_time_us"), ElementsAre(300 * kSecond, 100 * kSecond));
  EXPECT_THAT(Rows("ufirst_time_us"), ElementsAre(0, 0, 100 * kSecond, 0, 100 * kSecond));
  EXPECT_THAT(Rows("unow_us"), ElementsAre(100 * kSecond, 200 * kSecond, 300 * kSecond,
                                           400 * kSecond, 450 * kSecond));
  EXPECT_THAT(At(1, "i1"), ElementsAre(0, 0));
  EXPECT_THAT(At(2, "i1"), ElementsAre(1, 0)) << "ann took it";
  EXPECT_THAT(At(4, "i1"), ElementsAre(1, 1)) << "and bob";
  EXPECT_THAT(At(4, "irec"), ElementsAre(2, 1)) << "bob, then ann";
}

TEST_F(ReplayTest, ThePositiveComesFirstAndTheNegativeIsNothingThatTheUserHas) {
  ReplayRows();
  const auto items = Rows("item");
  const auto sources = Rows("source");
  const std::vector<int64_t> positives{1, 1, 2, 1, 1};
  for (size_t event = 0; event < positives.size(); ++event) {
    EXPECT_EQ(items[2 * event], positives[event]);
    EXPECT_EQ(sources[2 * event], 0);
    EXPECT_EQ(sources[2 * event + 1], 1);
    EXPECT_NE(items[2 * event + 1], positives[event]);
  }
  EXPECT_GT(items[5], 2) << "ann has i0 by then";
}

TEST_F(ReplayTest, AnExportOfOneMomentGivesEveryRowItsFeatures) {
  options_.features_at_s = 300;
  ReplayRows();
  for (const int64_t event : {1, 3, 5}) EXPECT_THAT(At(event, "u1"), ElementsAre(1, 0, 0));
  for (const int64_t event : {1, 4}) EXPECT_THAT(At(event, "i1"), ElementsAre(1, 1));
}

TEST_F(ReplayTest, ALogOfOtherItemsIsNotTheSnapshots) {
  WriteEvents("100,ann,other\n200,bob,another\n");
  options_.rows_out = directory_.File("rows");
  const absl::Status replayed = Replay(options_, kNeverCancelled);
  EXPECT_EQ(replayed.code(), absl::StatusCode::kFailedPrecondition) << replayed;
  EXPECT_NE(replayed.message().find("--create-items"), absl::string_view::npos) << replayed;
  EXPECT_FALSE(std::filesystem::exists(options_.rows_out));
  options_.creates_items = true;
  ReplayRows();
}

TEST_F(ReplayTest, ItemsOutsideTheSnapshotAreNewOnesIfAskedFor) {
  options_.creates_items = true;
  ReplayRows();
  EXPECT_EQ(At(6, "item")[0], 0) << "a row of nothing learned";
  EXPECT_THAT(At(6, "u1"), ElementsAre(2, 1, 0));
}

TEST_F(ReplayTest, ARangeOfTimeDoesNotChangeWhichEventsAreDrawn) {
  std::string lines;
  for (int second = 0; second < 200; ++second) lines += fmt::format("{},ann,i0\n", second);
  WriteEvents(lines);
  const auto drawn = [this](int64_t from_s) {
    options_.rows_from_s = from_s;
    ReplayRows();
    return Rows("event");
  };
  options_.sample_rate = .5;
  std::vector<int64_t> all = drawn(0);
  EXPECT_GT(all.size(), 50u);
  EXPECT_LT(all.size(), 150u);
  std::erase_if(all, [](int64_t event) { return event <= 100; });
  EXPECT_EQ(drawn(100), all);
}

// 12 users in turn take 40 items, none twice; then the first takes one of them again.
std::string EventsOfManyItems() {
  std::string lines;
  for (int at = 0; at < 480; ++at) {
    lines +=
        fmt::format("{},u{},n{}\n", 1'000 + at * 10, at % 12, (at / 12 * 7 + at % 12 * 3) % 40);
  }
  return lines + "9000,u0,n0\n";
}

TEST_F(ReplayTest, NegativesAreDrawnFromWhatTheSourcesWouldHaveProposed) {
  WriteEvents(EventsOfManyItems());
  options_.creates_items = true;
  options_.rows_from_s = 2'000;
  options_.negatives = {.uniform = 0, .popular = 0, .candidates = 3};
  ReplayRows();
  const auto sources = Rows("source");
  size_t candidates = 0;
  for (size_t at = 0; at < sources.size(); at += 4) {
    EXPECT_EQ(sources[at], 0);
    for (size_t n = 1; n < 4; ++n) candidates += sources[at + n] == 5 ? 1 : 0;
  }
  EXPECT_GT(candidates, sources.size() / 2) << "of three in four";
  const std::vector<int64_t> of_repeat(sources.end() - 4, sources.end());
  EXPECT_THAT(of_repeat, ElementsAre(0, -1, -1, -1)) << "no server is asked to find it";
}

TEST_F(ReplayTest, TheSameLogGivesTheSameCandidatesToTheByteAndAnotherSeedOthers) {
  WriteEvents(EventsOfManyItems());
  options_.creates_items = true;
  options_.negatives = {.uniform = 1, .popular = 0, .candidates = 4};
  const auto bytes = [this](const std::string& name, uint64_t seed) {
    options_.rows_out = directory_.File(name);
    options_.seed = seed;
    const absl::Status replayed = Replay(options_, kNeverCancelled);
    EXPECT_TRUE(replayed.ok()) << replayed;
    return std::string((*ReadFileBytes(options_.rows_out))->text());
  };
  for (const bool by_source : {true, false}) {
    options_.candidates.by_source = by_source;
    const std::string first = bytes("first", 1);
    EXPECT_TRUE(first == bytes("again", 1));
    EXPECT_FALSE(first == bytes("other", 2));
  }
}

TEST_F(ReplayTest, CandidatesAreThoseOfEachEventAndNotOfOneMoment) {
  options_.negatives.candidates = 1;
  options_.features_at_s = 300;
  options_.rows_out = directory_.File("rows");
  EXPECT_EQ(Replay(options_, kNeverCancelled).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(options_.rows_out));
}

TEST_F(ReplayTest, RowsSayWhichVersionOfTheFormatTheyAre) {
  ReplayRows();
  const SafetensorsFile file = *SafetensorsFile::Parse("rows", *ReadFileBytes(options_.rows_out));
  EXPECT_EQ(file.metadata().at("format"), "groundswell-rows");
  EXPECT_EQ(file.metadata().at("version"), std::to_string(FeatureRows::kVersion));
}

TEST_F(ReplayTest, TheGraphIsThatOfTheSnapshotsUsersAtTheEnd) {
  options_.graph_out = directory_.File("graph");
  ASSERT_TRUE(Replay(options_, kNeverCancelled).ok());
  EXPECT_THAT(Graph("user_begin"), ElementsAre(0, 3, 4, 4));
  EXPECT_THAT(Graph("item"), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(Graph("count"), ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(Graph("last_offset"), ElementsAre(1, 5, 3, 2));
  options_.traced_interactions = 0;
  ASSERT_TRUE(Replay(options_, kNeverCancelled).ok());
  EXPECT_THAT(Graph("user_begin"), ElementsAre(0, 2, 3, 3));
  EXPECT_THAT(Graph("item"), ElementsAre(0, 1, 0));
  EXPECT_THAT(Graph("count"), ElementsAre(2, 1, 1));
  EXPECT_THAT(Graph("last_offset"), ElementsAre(5, 3, 2));
  EXPECT_THAT(Graph("last_time_us"), ElementsAre(450'000'000, 300'000'000, 200'000'000));
}

TEST_F(ReplayTest, EventsWeighAsTheyDoLive) {
  WriteEvents(
      "100,ann,i0,purchase,\n200,ann,i1,purchase,5\n300,ann,i1,return,-2\n400,ann,i0,return,\n"
      "500,ann,i0,return,\n600,bob,i0,purchase,\n",
      "timestamp,user,item,type,weight");
  options_.graph_out = directory_.File("graph");
  ReplayRows();
  EXPECT_THAT(Rows("event"), ElementsAre(1, 2, 6)) << "what is taken back is no positive";
  EXPECT_THAT(At(2, "u1"), ElementsAre(1, 0, 0));
  EXPECT_THAT(At(3, "i1"), ElementsAre(0, 0)) << "of i0 at event 6";
  EXPECT_THAT(Graph("user_begin"), ElementsAre(0, 1, 2, 2));
  EXPECT_THAT(Graph("item"), ElementsAre(1, 0));
  EXPECT_THAT(Graph("count"), ElementsAre(3, 1)) << "the second return of i0 is not folded";
}

TEST_F(ReplayTest, ANewUserHasTheClusterOfTheFirstEventThatIsApplied) {
  options_.creates_items = true;
  const auto one_hop_of_i3 = [this](const std::string& lines) {
    WriteEvents(lines + "200,joe,i1,1\n300,joe,i3,1\n400,ann,i3,1\n", "timestamp,user,item,weight");
    ReplayRows();
    return At(static_cast<int64_t>(Rows("event").size()), "i1");
  };
  EXPECT_EQ(one_hop_of_i3("100,joe,i0,-1\n"), one_hop_of_i3(""));
}

TEST_F(ReplayTest, AGraphOfItemsThatTheSnapshotLacksOrOfOneMomentIsRefused) {
  options_.graph_out = directory_.File("graph");
  options_.creates_items = true;
  EXPECT_EQ(Replay(options_, kNeverCancelled).code(), absl::StatusCode::kInvalidArgument);
  options_.creates_items = false;
  options_.features_at_s = 300;
  EXPECT_EQ(Replay(options_, kNeverCancelled).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(options_.graph_out));
}

TEST_F(ReplayTest, NeitherTheLogNorADeviceIsReplacedByWhatIsMadeOfIt) {
  std::filesystem::create_symlink("events.csv", directory_.File("link"));
  for (const std::string& path : {options_.events_path, directory_.File("link"),
                                  std::string("/dev/null"), directory_.File("snapshot")}) {
    options_.graph_out = path;
    EXPECT_EQ(Replay(options_, kNeverCancelled).code(), absl::StatusCode::kInvalidArgument) << path;
  }
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  options_.graph_out = options_.rows_out = directory_.File("one");
  EXPECT_EQ(Replay(options_, kNeverCancelled).code(), absl::StatusCode::kInvalidArgument);
  options_.rows_out = directory_.File("./one");
  EXPECT_EQ(Replay(options_, kNeverCancelled).code(), absl::StatusCode::kInvalidArgument);
  options_.rows_out = directory_.File("one.partial");
  EXPECT_EQ(Replay(options_, kNeverCancelled).code(), absl::StatusCode::kInvalidArgument);
  options_.rows_out.clear();
  EXPECT_TRUE(Replay(options_, kNeverCancelled).ok());
}

TEST_F(ReplayTest, AnInterruptionLeavesNoFile) {
  std::string lines;
  for (int second = 0; second < 10'000; ++second) lines += fmt::format("{},ann,i0\n", second);
  WriteEvents(lines);
  options_.rows_out = directory_.File("rows");
  EXPECT_EQ(Replay(options_, [] { return true; }).code(), absl::StatusCode::kCancelled);
  for (const auto& entry : std::filesystem::directory_iterator(directory_.File("."))) {
    EXPECT_THAT(entry.path().filename().string(), Not(::testing::StartsWith("rows")));
  }
}

}  // namespace
}  // namespace groundswell
