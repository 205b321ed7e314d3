#include <gtest/gtest.h>

#include "models/macgnn/forward.h"
#include "models/macgnn/weights.h"
#include "tests/support/allocation_count.h"
#include "tests/support/macgnn_fixture.h"

namespace groundswell {
namespace {

struct Allocations {
  int64_t ordinary = 0;
  int64_t blocks = 0;
};

// Of the third of three requests.
Allocations OfARequest(const std::string& attention, const std::string& precision) {
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
  Allocations before;
  for (int run = 0; run < 3; ++run) {
    before = {.ordinary = AllocationCount(), .blocks = AlignedBlockCount()};
    MacgnnPrepareUser(*weights, {.row = 1, .one_hop = q, .two_hop = p, .recent_items = recent},
                      scratch);
    MacgnnScoreItems(*weights,
                     {.rows = rows, .one_hop = one_hop, .two_hop = two_hop, .recent_users = users},
                     scratch, logits);
  }
  return {.ordinary = AllocationCount() - before.ordinary,
          .blocks = AlignedBlockCount() - before.blocks};
}

TEST(MacgnnAllocationTest, ScoringAllocatesNothingAfterTheFirstCall) {
  EXPECT_EQ(OfARequest("none", "f32").ordinary, 0);
  EXPECT_EQ(OfARequest("neighbours", "f32").ordinary, 0);
}

TEST(MacgnnAllocationTest, OneDnnTakesABlockPerProduct) {
  EXPECT_LE(OfARequest("none", "f32").blocks, 5);
  EXPECT_LE(OfARequest("neighbours", "f32").blocks, 11);
}

TEST(MacgnnAllocationTest, InBf16OneDnnAllocatesAsStated) {
  EXPECT_LE(OfARequest("none", "bf16").ordinary, kAllocationsOfBf16Product);
  EXPECT_LE(OfARequest("neighbours", "bf16").ordinary, 2 * kAllocationsOfBf16Product);
}

}  // namespace
}  // namespace groundswell
