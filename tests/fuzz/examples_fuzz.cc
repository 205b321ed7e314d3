#include <algorithm>

#include "tests/fuzz/seed_corpus.h"
#include "tests/support/examples_fixture.h"

namespace groundswell {
namespace {

struct Models {
  Manifest manifest = ExampleManifest();
  std::vector<std::unique_ptr<Ranker>> rankers;

  Models() {
    for (const ExampleModel& model : ExampleModels()) {
      manifest.models.push_back(model.model);
      rankers.push_back(model.Make());
    }
  }
};

}  // namespace

std::vector<std::string> SeedCorpus() {
  std::vector<std::string> seeds;
  for (const size_t rows : {1, 3}) {
    ExampleTensors tensors = RandomExamples(rows);
    for (const ExampleModel& model : ExampleModels()) {
      tensors.logits["logit." + model.model.name].assign(rows, 0.5f);
    }
    seeds.emplace_back(tensors.Bytes()->text());
  }
  return seeds;
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  static const Models models;
  auto bytes = std::make_shared<FileBytes>(size);
  std::copy_n(reinterpret_cast<const std::byte*>(data), size, bytes->mutable_view().begin());
  const auto file = SafetensorsFile::Parse(kExamplesFile, bytes);
  if (!file.ok()) return 0;
  const auto agreement = CheckExamples(*file, models.manifest, models.rankers);
  if (agreement.ok()) {
    Require(agreement->rows >= 1 && agreement->rows <= kExamplesMax, "rows are 1 to the limit");
    Require(agreement->max_abs_error.size() == models.rankers.size(), "every model is proved");
  } else {
    Require(absl::IsInvalidArgument(agreement.status()) || absl::IsNotFound(agreement.status()),
            "a bad file is an InvalidArgument, or NotFound");
  }
  return 0;
}
