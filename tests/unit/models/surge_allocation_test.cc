#include <gtest/gtest.h>

#include "models/surge/forward.h"
#include "models/surge/weights.h"
#include "tests/support/counting_new.h"
#include "tests/support/surge_fixture.h"

namespace groundswell {
namespace {

TEST(SurgeAllocationTest, ScoringAllocatesNothingAfterTheFirstCall) {
  for (const std::string variant : {"authors", "paper"}) {
    std::mt19937_64 random(7);
    const auto weights = LoadSurgeWeights(
        MakeSurgeFile(RandomSurgeTensors(variant, {}, random), SurgeCategories({})),
        SurgeOptions(variant, 20, 5));
    ASSERT_TRUE(weights.ok()) << weights.status();
    const auto scratch = NewSurgeScratch(*weights, 40);
    std::vector<uint32_t> history(30);
    for (uint32_t& item : history) item = static_cast<uint32_t>(random() % 9);
    const std::vector<uint32_t> rows(40, 3);
    std::vector<float> logits(40);
    for (const size_t length : {20, 1, 30, 7}) {
      int64_t before = 0;
      for (int run = 0; run < 2; ++run) {
        before = AllocationCount();
        const absl::Status prepared = SurgePrepareUser(
            *weights, {.recent_items = std::span(history).first(length)}, *scratch);
        ASSERT_TRUE(prepared.ok());
        SurgeScoreItems(*weights, {.rows = rows}, *scratch, logits);
      }
      EXPECT_EQ(AllocationCount() - before, 0) << variant << ", history of " << length;
    }
  }
}

}  // namespace
}  // namespace groundswell
