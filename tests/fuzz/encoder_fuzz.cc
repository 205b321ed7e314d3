// Files and examples of encoders: refused with a reason, or they encode. The first byte of an input
// chooses the encoder, its lowest bit what the rest is read as.
#include <algorithm>
#include <cmath>
#include <string>

#include "tests/fuzz/seed_corpus.h"
#include "tests/support/encoder_fixture.h"

namespace groundswell {
namespace {

const std::vector<FixtureEncoder>& FuzzedEncoders() {
  static const auto* const encoders = new std::vector<FixtureEncoder>(FixtureEncoders());
  return *encoders;
}

void RequireRefusal(const absl::Status& status) {
  Require(absl::IsInvalidArgument(status) || absl::IsNotFound(status),
          "a bad file is an InvalidArgument, or NotFound");
}

void TryExamples(const FixtureEncoder& fixture, const Encoder& encoder,
                 const SafetensorsFile& file) {
  const auto examples =
      ReadEncoderExamples(file, fixture.entry.name + ".", encoder, FixtureVectors());
  if (!examples.ok()) return RequireRefusal(examples.status());
  std::vector<float> out(examples->targets * encoder.shape().dim);
  const std::unique_ptr<bool[]> known(new bool[examples->targets]);
  const auto scratch = encoder.NewScratch();
  encoder.Encode(examples->Input(), *scratch, out, std::span(known.get(), examples->targets));
  Require(std::all_of(out.begin(), out.end(), [](float number) { return std::isfinite(number); }),
          "vectors are finite");
}

void TryEncoder(const FixtureEncoder& fixture, const std::shared_ptr<const FileBytes>& bytes,
                bool is_weights) {
  const auto file =
      SafetensorsFile::Parse(is_weights ? fixture.entry.file : kEncoderExamplesFile, bytes);
  if (!file.ok()) return;
  if (!is_weights) return TryExamples(fixture, *MakeFixtureEncoder(fixture), *file);
  const auto encoder = MakeEncoder(fixture.entry, *file, FixtureVectors());
  if (!encoder.ok()) return RequireRefusal(encoder.status());
  EncoderExampleTensors examples;
  AddEncoderExamples(fixture, examples);
  TryExamples(fixture, **encoder, examples.File());
}

}  // namespace

std::vector<std::string> SeedCorpus() {
  std::vector<std::string> seeds;
  for (size_t at = 0; at < FuzzedEncoders().size(); ++at) {
    const FixtureEncoder& fixture = FuzzedEncoders()[at];
    SafetensorsWriter weights;
    for (const auto& [name, tensor] : fixture.tensors) {
      weights.Add(name, tensor.shape, tensor.values);
    }
    EncoderExampleTensors examples;
    AddEncoderExamples(fixture, examples);
    seeds.push_back(static_cast<char>(2 * at + 1) + std::string(weights.Bytes()->text()));
    seeds.push_back(static_cast<char>(2 * at) + std::string(examples.Bytes()->text()));
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
  TryEncoder(FuzzedEncoders()[data[0] / 2 % FuzzedEncoders().size()], bytes, data[0] % 2 == 1);
  return 0;
}
