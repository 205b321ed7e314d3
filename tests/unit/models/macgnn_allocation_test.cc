// Scoring allocates nothing: every operator new of the process is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "models/macgnn/forward.h"
#include "models/macgnn/weights.h"
#include "tests/support/macgnn_fixture.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace groundswell {
namespace {

TEST(MacgnnAllocationTest, ScoringAllocatesNothingAfterTheFirstCall) {
  for (const char* attention : {"none", "neighbours"}) {
    const auto weights =
        LoadMacgnnWeights(MakeMacgnnFile(SmallMacgnnTensors()),
                          {{"attention", attention}, {"tau", "1.9"}, {"recent_len", "3"}});
    ASSERT_TRUE(weights.ok()) << weights.status();
    MacgnnScratch scratch(weights->shape, 40);
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
      before = allocations;
      MacgnnPrepareUser(*weights, {.row = 1, .one_hop = q, .two_hop = p, .recent_items = recent},
                        scratch);
      MacgnnScoreItems(
          *weights, {.rows = rows, .one_hop = one_hop, .two_hop = two_hop, .recent_users = users},
          scratch, logits);
    }
    EXPECT_EQ(allocations - before, 0) << attention;
  }
}

}  // namespace
}  // namespace groundswell
