#include <gtest/gtest.h>

#include "models/surge/forward.h"
#include "models/surge/weights.h"
#include "tests/support/allocation_count.h"
#include "tests/support/surge_fixture.h"

namespace groundswell {
namespace {

constexpr size_t kCandidates = 40;

// What the second of two requests allocates.
int64_t AllocationsOfARequest(const SurgeWeights& weights, size_t length, SurgeScratch& scratch) {
  std::vector<uint32_t> history(length);
  for (size_t i = 0; i < length; ++i) history[i] = static_cast<uint32_t>(i * 5 % 9);
  const std::vector<uint32_t> rows(kCandidates, 3);
  std::vector<float> logits(kCandidates);
  int64_t before = 0;
  for (int run = 0; run < 2; ++run) {
    before = AllocationCount();
    EXPECT_TRUE(SurgePrepareUser(weights, {.recent_items = history}, scratch).ok());
    SurgeScoreItems(weights, {.rows = rows}, scratch, logits);
  }
  return AllocationCount() - before;
}

SurgeWeights Load(const std::string& variant, const std::string& precision) {
  std::mt19937_64 random(7);
  auto options = SurgeOptions(variant, 20, 5);
  options["precision"] = precision;
  return *LoadSurgeWeights(
      MakeCheckpointFile(RandomSurgeTensors(variant, {}, random), SurgeCategories({})), options);
}

TEST(SurgeAllocationTest, ScoringAllocatesNothingAfterTheFirstCall) {
  for (const std::string variant : {"authors", "paper"}) {
    const SurgeWeights weights = Load(variant, "f32");
    const auto scratch = NewSurgeScratch(weights, kCandidates);
    for (const size_t length : {20, 1, 30, 7}) {
      EXPECT_EQ(AllocationsOfARequest(weights, length, *scratch), 0)
          << variant << ", history of " << length;
    }
  }
}

TEST(SurgeAllocationTest, OneDnnTakesABlockPerProduct) {
  for (const std::string variant : {"authors", "paper"}) {
    const SurgeWeights weights = Load(variant, "f32");
    const auto scratch = NewSurgeScratch(weights, kCandidates);
    AllocationsOfARequest(weights, 20, *scratch);
    const int64_t before = AlignedBlockCount();
    AllocationsOfARequest(weights, 20, *scratch);
    EXPECT_LE(AlignedBlockCount() - before, 2 * 80) << variant;  // of its two requests
  }
}

TEST(SurgeAllocationTest, InBf16OneDnnAllocatesAsStated) {
  const size_t length = 20;
  // An attention's layer per position, two of the AUGRU per step, two of the head.
  const SurgeWeights authors = Load("authors", "bf16");
  const auto of_authors = NewSurgeScratch(authors, kCandidates);
  EXPECT_LE(AllocationsOfARequest(authors, length, *of_authors),
            kAllocationsOfBf16Product * static_cast<int64_t>(3 * length + 2));
  // The positions' assignment, the AUGRU's inputs, both by 120 rows, its steps, the head.
  const SurgeWeights paper = Load("paper", "bf16");
  const auto of_paper = NewSurgeScratch(paper, kCandidates);
  const size_t clusters = paper.shape.clusters;
  const size_t products =
      kCandidates * length / 120 + 1 + kCandidates * clusters / 120 + 1 + 2 * clusters + 2;
  EXPECT_LE(AllocationsOfARequest(paper, length, *of_paper),
            kAllocationsOfBf16Product * static_cast<int64_t>(products));
}

}  // namespace
}  // namespace groundswell
