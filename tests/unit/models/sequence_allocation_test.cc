#include <gtest/gtest.h>

#include "models/math/weight.h"
#include "models/snapshot/registry.h"
#include "tests/support/allocation_count.h"
#include "tests/support/sequence_fixture.h"

namespace groundswell {
namespace {

constexpr size_t kCandidates = 40;
constexpr size_t kHistory = 20;

SequenceSizes Sizes() {
  SequenceSizes sizes;
  sizes.max_history = kHistory;
  return sizes;
}

std::unique_ptr<Ranker> Load(const SequenceModel& model, const std::string& precision) {
  std::mt19937_64 random(7);
  const SequenceSizes sizes = Sizes();
  auto options = WholeSequenceOptions(model, sizes);
  options["precision"] = precision;
  auto ranker = MakeRanker(
      {.name = "m", .kind = model.kind, .file = "f", .options = options},
      MakeCheckpointFile(RandomSequenceTensors(model, sizes, random), SequenceCategories(sizes)));
  if (!ranker.ok()) throw std::runtime_error(std::string(ranker.status().message()));
  return *std::move(ranker);
}

struct Blocks {
  int64_t ours = 0;
  int64_t aligned = 0;  // oneDNN's, one per f32 product
};

// What the second of two requests allocates.
Blocks AllocationsOfARequest(const Ranker& ranker, size_t length, RankerScratch& scratch) {
  std::vector<uint32_t> history(length);
  for (size_t i = 0; i < length; ++i) history[i] = static_cast<uint32_t>(i * 5 % 9);
  const std::vector<uint32_t> rows(kCandidates, 3);
  std::vector<int64_t> times(length);
  for (size_t i = 0; i < length; ++i) times[i] = 1'000'000'000 - static_cast<int64_t>(i);
  const UserFeatures user{.row = 1,
                          .recent_items = history,
                          .recent_times_us = times,
                          .first_time_us = times.back(),
                          .now_us = 2'000'000'000};
  std::vector<float> logits(kCandidates);
  std::vector<float> prepared(kCandidates * ranker.prepared_width());
  Blocks before;
  for (int run = 0; run < 2; ++run) {
    before = {AllocationCount(), AlignedBlockCount()};
    EXPECT_TRUE(ranker.PrepareUser(user, scratch).ok());
    ranker.ScoreItems({.rows = rows}, scratch, logits);
    ranker.PrepareItems({.rows = rows}, scratch, prepared);
    ranker.ScorePrepared(prepared, scratch, logits);
  }
  return {AllocationCount() - before.ours, AlignedBlockCount() - before.aligned};
}

TEST(SequenceAllocationTest, ScoringAllocatesNothingAfterTheFirstCall) {
  for (const SequenceModel& model : SequenceModels()) {
    const auto ranker = Load(model, "f32");
    const auto scratch = ranker->NewScratch(kCandidates);
    for (const size_t length : {kHistory, size_t{1}, kHistory + 10, size_t{7}}) {
      EXPECT_EQ(AllocationsOfARequest(*ranker, length, *scratch).ours, 0)
          << model.Name() << ", history of " << length;
    }
  }
}

// Per position of the history an attention has two layers and an AUGRU two; all else is made a few
// times per request. Caser's windows of k positions are k products each.
int64_t ProductsMax(const SequenceModel& model) {
  const bool has_all_windows = model.kind == "caser" && model.IsOriginal();
  return static_cast<int64_t>(has_all_windows ? kHistory * (kHistory + 1) / 2 : 4 * kHistory + 24);
}

TEST(SequenceAllocationTest, OneDnnTakesABlockPerProduct) {
  for (const SequenceModel& model : SequenceModels()) {
    const auto ranker = Load(model, "f32");
    const auto scratch = ranker->NewScratch(kCandidates);
    EXPECT_LE(AllocationsOfARequest(*ranker, kHistory, *scratch).aligned, ProductsMax(model))
        << model.Name();
  }
}

TEST(SequenceAllocationTest, InBf16OneDnnAllocatesAsStated) {
  for (const SequenceModel& model : SequenceModels()) {
    const auto ranker = Load(model, "bf16");
    const auto scratch = ranker->NewScratch(kCandidates);
    EXPECT_LE(AllocationsOfARequest(*ranker, kHistory, *scratch).ours,
              kAllocationsOfBf16Product * ProductsMax(model))
        << model.Name();
  }
}

}  // namespace
}  // namespace groundswell
