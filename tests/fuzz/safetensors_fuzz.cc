// safetensors: whatever the bytes, a tensor lies within them; what is handed out as floats is
// finite; a file that loads as a MacGNN scores without touching memory that is not its own.
#include <cmath>

#include "models/macgnn/forward.h"
#include "models/macgnn/weights.h"
#include "tests/fuzz/target.h"
#include "tests/support/tiny_snapshot.h"

namespace groundswell {
namespace {

constexpr size_t kBytesOf[] = {4, 8, 4, 8};  // by DType

void CheckTensor(const SafetensorsFile& file, const std::string& name, const Tensor& tensor,
                 const FileBytes& bytes) {
  const std::byte* const begin = bytes.view().data();
  Require(tensor.data.data() >= begin + 8 &&
              tensor.data.data() + tensor.data.size() <= begin + bytes.view().size(),
          "a tensor lies within the file");
  size_t count = 1;
  for (const size_t dimension : tensor.shape) count *= dimension;
  const size_t width = kBytesOf[static_cast<size_t>(tensor.dtype)];
  Require(count == tensor.element_count() && count * width == tensor.data.size(),
          "a tensor's bytes are those of its shape");
  Require(reinterpret_cast<uintptr_t>(tensor.data.data()) % width == 0, "a tensor is aligned");

  if (const auto floats = file.Floats(name, tensor.shape); floats.ok()) {
    Require(tensor.dtype == DType::kF32 && floats->size() == count, "floats are F32");
    for (const float value : *floats) Require(std::isfinite(value), "every float is finite");
  }
  const auto integers = file.Integers(name, tensor.shape);
  const bool is_integer = tensor.dtype == DType::kI32 || tensor.dtype == DType::kI64;
  Require(integers.ok() == is_integer, "exactly I32 and I64 are integers");
  Require(!is_integer || integers->size() == count, "every integer is there");
}

void ScoreOne(const SafetensorsFile& file) {
  auto options = TinyMacgnnOptions();
  for (const char* attention : {"none", "neighbours"}) {
    options["attention"] = attention;
    const auto weights = LoadMacgnnWeights(file, options);
    if (!weights.ok()) continue;
    const MacgnnShape& shape = weights->shape;
    MacgnnScratch scratch(shape, 1);
    const std::vector<int64_t> users(shape.user_nodes, 3);
    const std::vector<int64_t> items(shape.item_nodes, 5'000);
    const std::vector<uint32_t> recent_items(shape.recent_len,
                                             static_cast<uint32_t>(shape.items - 1));
    const std::vector<uint32_t> recent_users(shape.recent_len,
                                             static_cast<uint32_t>(shape.users - 1));
    const uint32_t item = static_cast<uint32_t>(shape.items - 1);
    float logit = 0;
    MacgnnPrepareUser(*weights,
                      {.row = static_cast<uint32_t>(shape.users - 1),
                       .one_hop = items,
                       .two_hop = users,
                       .recent_items = recent_items},
                      scratch);
    MacgnnScoreItems(
        *weights,
        {.rows = {&item, 1}, .one_hop = users, .two_hop = items, .recent_users = recent_users},
        scratch, {&logit, 1});
  }
}

}  // namespace

std::vector<std::string> SeedCorpus() {
  const TinySnapshot tiny;
  std::vector<std::string> seeds;
  for (const Tensors* tensors : {&tiny.embeddings, &tiny.clusters, &tiny.graph, &tiny.macgnn}) {
    seeds.emplace_back(BytesOf(*tensors)->text());
  }
  seeds.emplace_back(SafetensorsBytes(R"({"__metadata__":{"format":"pt"},)"
                                      R"("a":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}   )",
                                      "12345678")
                         ->text());
  return seeds;
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  const auto bytes = BytesOf(TextOf(data, size));
  const auto file = SafetensorsFile::Parse("fuzz", bytes);
  if (!file.ok()) {
    Require(absl::IsInvalidArgument(file.status()), "a bad file is InvalidArgument");
    return 0;
  }
  for (const auto& [name, tensor] : file->tensors()) CheckTensor(*file, name, tensor, *bytes);
  ScoreOne(*file);
  return 0;
}
