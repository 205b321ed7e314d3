#include <gtest/gtest.h>

#include <vector>

#include "blend/model.h"
#include "tests/support/allocation_count.h"
#include "tests/unit/blend/blend_fixture.h"

namespace groundswell {
namespace {

TEST(BlendAllocationTest, ScoringAndLearningAllocateNothingAfterTheFirstCall) {
  const MadeUpCandidates made = RandomCandidates(600, 1);
  const BlendColumns columns = made.columns();
  BlendModel model;
  BlendModel::Scratch scratch;
  BlendFeatures features;
  std::vector<float> scores(made.count);
  const auto run = [&](size_t taken) {
    const int64_t before = AllocationCount();
    features.Extract(columns);
    ScoreBlend(model.weights(), features, BlendContext::kInVisit, scores);
    model.Learn(features, BlendContext::kInVisit, taken, scratch);
    return AllocationCount() - before;
  };
  EXPECT_GT(run(0), 0);
  for (size_t taken = 1; taken < 10; ++taken) EXPECT_EQ(run(taken), 0);
}

}  // namespace
}  // namespace groundswell
