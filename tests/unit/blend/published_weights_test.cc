#include "blend/published_weights.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace groundswell {
namespace {

BlendWeights All(float value) {
  BlendWeights weights;
  for (BlendWeights::Row& row : weights.rows) row.fill(value);
  return weights;
}

TEST(PublishedBlendWeightsTest, BeginWithTheBuiltInOnesAndAreTheNewest) {
  PublishedBlendWeights published;
  EXPECT_EQ(published.Read(), BuiltInBlendWeights());
  for (const float value : {1.f, -2.f, 3.f}) {
    published.Publish(All(value));
    EXPECT_EQ(published.Read(), All(value));
  }
}

TEST(PublishedBlendWeightsTest, AReaderSeesThemWholeAndNeverOlderOnes) {
  PublishedBlendWeights published(All(0));
  std::atomic<bool> done = false;
  std::thread reader([&] {
    float last = 0;
    while (!done) {
      const BlendWeights weights = published.Read();
      const float value = weights.rows[0][0];
      EXPECT_EQ(weights, All(value));
      EXPECT_GE(value, last);
      last = value;
    }
  });
  for (int i = 1; i <= 20'000; ++i) published.Publish(All(static_cast<float>(i)));
  done = true;
  reader.join();
}

}  // namespace
}  // namespace groundswell
