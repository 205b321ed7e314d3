// Checkpoints of the sequence rankers: refused with a reason, or they score. The first byte of an
// input chooses the model that the rest is loaded as.
#include <algorithm>
#include <string>

#include "models/snapshot/registry.h"
#include "tests/fuzz/seed_corpus.h"
#include "tests/support/sequence_fixture.h"

namespace groundswell {
namespace {

const std::vector<SequenceModel>& FuzzedModels() {
  static const auto* const models = new std::vector<SequenceModel>(SequenceModels());
  return *models;
}

void TryModel(const SequenceModel& model, const SafetensorsFile& file) {
  const auto ranker = MakeRanker(
      {.name = "m", .kind = model.kind, .file = "f", .options = WholeSequenceOptions(model, {})},
      file);
  if (!ranker.ok()) {
    Require(ranker.status().code() == absl::StatusCode::kInvalidArgument,
            "a bad checkpoint is an InvalidArgument");
    return;
  }
  const RankerShape shape = (*ranker)->shape();
  const std::vector<uint32_t> rows{0, static_cast<uint32_t>(shape.item_rows - 1)};
  const auto scratch = (*ranker)->NewScratch(rows.size());
  const auto user = static_cast<uint32_t>(std::max<size_t>(shape.user_rows, 1) - 1);
  const std::vector<int64_t> times{9'000'000, 5'000'000};
  const UserFeatures features{.row = user,
                              .recent_items = rows,
                              .recent_times_us = times,
                              .first_time_us = 1'000'000,
                              .now_us = 8'000'000};
  if (!(*ranker)->PrepareUser(features, *scratch).ok()) return;
  std::vector<float> logits(rows.size());
  (*ranker)->ScoreItems({.rows = rows}, *scratch, logits);
}

}  // namespace

std::vector<std::string> SeedCorpus() {
  std::vector<std::string> seeds;
  for (size_t at = 0; at < FuzzedModels().size(); ++at) {
    std::mt19937_64 random(1);
    const CheckpointTensors tensors = RandomSequenceTensors(FuzzedModels()[at], {}, random);
    const auto bytes = CheckpointBytes(tensors, SequenceCategories({}));
    seeds.push_back(static_cast<char>(at) + std::string(bytes->text()));
  }
  return seeds;
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  if (size == 0) return 0;
  auto bytes = std::make_shared<FileBytes>(size - 1);
  std::copy_n(reinterpret_cast<const std::byte*>(data) + 1, size - 1,
              bytes->mutable_view().begin());
  const auto file = SafetensorsFile::Parse("fuzz", bytes);
  if (file.ok()) TryModel(FuzzedModels()[data[0] % FuzzedModels().size()], *file);
  return 0;
}
