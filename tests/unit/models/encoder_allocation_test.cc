#include <gtest/gtest.h>

#include "tests/support/allocation_count.h"
#include "tests/support/encoder_fixture.h"

namespace groundswell {
namespace {

TEST(EncoderAllocationTest, EncodingAllocatesNothingAfterTheFirstCall) {
  for (const FixtureEncoder& fixture : FixtureEncoders()) {
    EncoderExampleTensors tensors;
    AddEncoderExamples(fixture, tensors);
    const auto encoder = MakeFixtureEncoder(fixture);
    const auto examples =
        *ReadEncoderExamples(tensors.File(), fixture.entry.name + ".", *encoder, FixtureVectors());
    const auto scratch = encoder->NewScratch();
    std::vector<float> out(examples.targets * encoder->shape().dim);
    bool known[3] = {};
    ASSERT_EQ(examples.targets, 3u);
    int64_t before = 0;
    for (int run = 0; run < 2; ++run) {
      before = AllocationCount();
      encoder->Encode(examples.Input(), *scratch, out, known);
    }
    EXPECT_EQ(AllocationCount() - before, 0) << fixture.entry.name;
  }
}

}  // namespace
}  // namespace groundswell
