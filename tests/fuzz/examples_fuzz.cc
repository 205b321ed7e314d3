#include <algorithm>
#include <cstring>
#include <span>

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

void Check(std::span<const std::byte> input) {
  static const Models models;
  auto bytes = std::make_shared<FileBytes>(input.size());
  std::copy(input.begin(), input.end(), bytes->mutable_view().begin());
  const auto file = SafetensorsFile::Parse(kExamplesFile, bytes);
  if (!file.ok()) return;
  const auto agreement = CheckExamples(*file, models.manifest, models.rankers);
  if (agreement.ok()) {
    Require(agreement->rows >= 1 && agreement->rows <= kExamplesMax, "rows are 1 to the limit");
    Require(agreement->max_abs_error.size() == models.rankers.size(), "every model is proved");
  } else {
    Require(absl::IsInvalidArgument(agreement.status()) || absl::IsNotFound(agreement.status()),
            "a bad file is an InvalidArgument, or NotFound");
  }
}

}  // namespace

std::vector<std::string> SeedCorpus() {
  std::vector<std::string> seeds;
  for (const size_t rows : {1, 3}) {
    ExampleTensors tensors = RandomExamples(rows);
    for (const ExampleModel& model : ExampleModels()) {
      const auto ranker = model.Make();
      std::vector<float>& logits = tensors.logits["logit." + model.model.name];
      for (size_t row = 0; row < rows; ++row) logits.push_back(LogitOf(*ranker, tensors, row));
    }
    seeds.emplace_back(tensors.Bytes()->text());
  }
  return seeds;
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  static const std::string good = SeedCorpus().back();
  const auto input = std::as_bytes(std::span(data, size));
  Check(input);
  // And with the header mended, so that what is wrong is the values.
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, good.data(), sizeof(header_bytes));
  const size_t begin = sizeof(header_bytes) + header_bytes;
  std::string mended = good;
  if (size > begin) {
    std::memcpy(mended.data() + begin, data + begin, std::min(size, good.size()) - begin);
  }
  Check(std::as_bytes(std::span(mended)));
  return 0;
}
