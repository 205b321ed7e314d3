#include <gtest/gtest.h>

#include "models/macgnn/forward.h"
#include "models/macgnn/weights.h"
#include "tests/support/counting_new.h"
#include "tests/support/macgnn_fixture.h"

namespace groundswell {
namespace {

// What the third of three requests allocates.
int64_t AllocationsOfARequest(const std::string& attention, const std::string& precision) {
  const auto weights = LoadMacgnnWeights(
      MakeMacgnnFile(SmallMacgnnTensors()),
      {{"attention", attention}, {"tau", "1.9"}, {"recent_len", "3"}, {"precision", precision}});
  EXPECT_TRUE(weights.ok()) << weights.status();
  MacgnnScratch scratch(*weights, 40);
  const std::vector<int64_t> q(5, 2);
  const std::vector<int64_t> p(3, 1'000'000);
  const std::vector<uint32_t> recent{1, 2};
  const std::vector<uint32_t> rows(40, 3);
  const std::vector<int64_t> one_hop(40 * 3, 7);
  const std::vector<int64_t> two_hop(40 * 5, 9);
  const std::vector<uint32_t> users(40 * 3, 2);
  std::vector<float> logits(40);
  int64_t before = 0;
  for (int run = 0; run < 3; ++run) {
    before = AllocationCount();
    MacgnnPrepareUser(*weights, {.row = 1, .one_hop = q, .two_hop = p, .recent_items = recent},
                      scratch);
    MacgnnScoreItems(*weights,
                     {.rows = rows, .one_hop = one_hop, .two_hop = two_hop, .recent_users = users},
                     scratch, logits);
  }
  return AllocationCount() - before;
}

TEST(MacgnnAllocationTest, ScoringAllocatesNothingAfterTheFirstCall) {
  EXPECT_EQ(AllocationsOfARequest("none", "f32"), 0);
  EXPECT_EQ(AllocationsOfARequest("neighbours", "f32"), 0);
}

TEST(MacgnnAllocationTest, InBf16OneDnnAllocatesAsStated) {
  EXPECT_LE(AllocationsOfARequest("none", "bf16"), kAllocationsOfBf16Product);
  EXPECT_LE(AllocationsOfARequest("neighbours", "bf16"), 2 * kAllocationsOfBf16Product);
}

}  // namespace
}  // namespace groundswell
