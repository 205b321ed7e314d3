#include <algorithm>
#include <cmath>

#include "blend/model.h"
#include "blend/weights_file.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {
namespace {

bool IsWithinBounds(const BlendWeights& weights) {
  return std::ranges::all_of(weights.rows, [](const BlendWeights::Row& row) {
    return std::ranges::all_of(row, [](float w) { return std::abs(w) <= BlendWeights::kMax; });
  });
}

}  // namespace

std::vector<std::string> SeedCorpus() {
  return {PrintBlendWeights(BuiltInBlendWeights()), PrintBlendWeights({}),
          R"({"format_version": 1, "weights": {"in_visit": {"history.first": -0.5e1}}})",
          BlendModel().EncodeState()};
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  if (const auto read = ParseBlendWeights(AsText(data, size)); read.ok()) {
    Require(IsWithinBounds(*read), "weights are within their bounds");
    const auto again = ParseBlendWeights(PrintBlendWeights(*read));
    Require(again.ok() && *again == *read, "what is printed is read as it was");
  } else {
    Require(read.status().code() == absl::StatusCode::kInvalidArgument,
            "a bad file is an InvalidArgument");
  }
  BlendModel model;
  const std::string before = model.EncodeState();
  if (model.DecodeState(AsText(data, size)).ok()) {
    Require(model.EncodeState() == AsText(data, size), "a state is written as it was read");
    Require(IsWithinBounds(model.weights()), "a state's weights are within their bounds");
  } else {
    Require(model.EncodeState() == before, "a bad state changes nothing");
  }
  return 0;
}
