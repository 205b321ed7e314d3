// Finite weights whose forward pass overflows: no score that is no number leaves the scoring.
#include "server/pipeline/scoring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "tests/support/macgnn_fixture.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/value_or_throw.h"
#include "tests/unit/server/live_sample.h"

namespace groundswell {
namespace {

// The tiny snapshot with a MacGNN whose last layer adds up nine products of about `weight`.
void WriteOverflowing(const std::string& directory, float weight) {
  std::map<std::string, MacgnnTensor> tensors = SmallMacgnnTensors();
  const std::map<std::string, size_t> rows = {{"user_embed.weight", 4},
                                              {"item_embed.weight", 5},
                                              {"u_macro_embed.weight", 2},
                                              {"i_macro_embed.weight", 3}};
  for (const auto& [name, count] : rows) {
    MacgnnTensor& tensor = tensors[name];
    tensor.shape[0] = count;
    tensor.values.resize(count * tensor.shape[1]);
  }
  for (float& value : tensors["mlp.4.weight"].values) value = weight;
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : tensors) writer.Add(name, tensor.shape, tensor.values);
  SnapshotFixture fixture(directory);
  fixture.WriteFile("macgnn.safetensors", std::string(writer.Bytes()->text()));
  fixture.manifest["models"] = {
      {{"name", "macgnn"},
       {"kind", "macgnn"},
       {"file", "macgnn.safetensors"},
       {"options", {{"attention", "none"}, {"tau", "1.5"}, {"recent_len", "2"}}}}};
  fixture.WriteManifest();
}

std::vector<float> LogitsOfAnn(const LiveSample& live, Metrics& metrics) {
  const Scoring scoring(*live.state, &metrics.pipeline(), 0);
  Scoring::Scratch scratch = scoring.NewScratch();
  const OverlaidUser ann{.state = *ValueOrThrow(live.state->generation.ReadUser("ann"))};
  const std::vector<Candidate> items = {{ItemIndex{0}}, {ItemIndex{1}}, {ItemIndex{2}}};
  const Scoring::Scores scores = ValueOrThrow(scoring.Score(
      *live.state->snapshot->rankers()[0], ann, 1'000'000, items, [] { return true; }, scratch));
  return {scores.logits.begin(), scores.logits.end()};
}

TEST(ScoringTest, WhatOverflowsComesLastAndIsCounted) {
  const TemporaryDirectory directory;
  WriteOverflowing(directory.path(), 3e38f);
  const LiveSample live(directory.path());
  Metrics metrics{std::vector<std::string>{}};
  for (const float logit : LogitsOfAnn(live, metrics)) {
    EXPECT_EQ(logit, -std::numeric_limits<float>::infinity());
  }
  EXPECT_THAT(metrics.Render(), testing::HasSubstr("\ngroundswell_overflown_scores_total 3\n"));
}

TEST(ScoringTest, WhatDoesNotOverflowIsAsTheModelSays) {
  const TemporaryDirectory directory;
  WriteOverflowing(directory.path(), 0.5f);
  const LiveSample live(directory.path());
  Metrics metrics{std::vector<std::string>{}};
  for (const float logit : LogitsOfAnn(live, metrics)) EXPECT_TRUE(std::isfinite(logit));
  EXPECT_THAT(metrics.Render(), testing::HasSubstr("\ngroundswell_overflown_scores_total 0\n"));
}

}  // namespace
}  // namespace groundswell
