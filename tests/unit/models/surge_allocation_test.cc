// Scoring allocates nothing: every operator new of the process is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "models/surge/forward.h"
#include "models/surge/weights.h"
#include "tests/support/surge_fixture.h"

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
        before = allocations;
        const absl::Status prepared = SurgePrepareUser(
            *weights, {.recent_items = std::span(history).first(length)}, *scratch);
        ASSERT_TRUE(prepared.ok());
        SurgeScoreItems(*weights, {.rows = rows}, *scratch, logits);
      }
      EXPECT_EQ(allocations - before, 0) << variant << ", history of " << length;
    }
  }
}

}  // namespace
}  // namespace groundswell
