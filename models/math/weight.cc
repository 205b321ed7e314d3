#include "models/math/weight.h"

#include <dnnl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <dnnl.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "models/math/instruction_sets.h"

namespace groundswell {
namespace {

// A primitive has a fixed number of rows. One for each multiple of kRowGranularity up to this,
// beyond which more rows at once were not faster.
constexpr size_t kHeights = 5;
constexpr size_t kRowsOfProduct = kHeights * kRowGranularity;
constexpr size_t kWeightAlignment = 64;
constexpr int kBf16Shift = 16;

using DataType = dnnl::memory::data_type;
using FormatTag = dnnl::memory::format_tag;

// The memory that every primitive is given is checked by oneDNN against the engine it is of, so
// all share one, which is never destroyed: threads may still end after main.
const dnnl::engine& CpuEngine() {
  static const auto* const engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

bool Has(dnnl::cpu_isa isa) {
  const auto wanted = static_cast<unsigned>(isa);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & wanted) == wanted;
}

// What oneDNN would run for this product, but never on AMX tiles: oneDNN 2.6 rounds there by the
// number of rows, and ends the process by an illegal instruction on some narrow weights. Throws
// dnnl::error.
dnnl::matmul::primitive_desc WithoutTiles(const dnnl::matmul::desc& product,
                                          const dnnl::primitive_attr& attributes) {
  dnnl::matmul::primitive_desc chosen(product, attributes, CpuEngine());
  while (std::string_view(chosen.impl_info_str()).find("amx") != std::string_view::npos) {
    if (!chosen.next_impl()) throw dnnl::error(dnnl_unimplemented, "only AMX kernels");
  }
  return chosen;
}

// To the nearest, halves to even; without the rows' padding in between. REQUIRES: x finite, |x|
// below 3.38e38.
GROUNDSWELL_PER_INSTRUCTION_SET
void RoundToBf16(ConstMatrix x, size_t rows, size_t columns, uint16_t* out) {
  const bool is_one_row = x.stride == columns;
  const size_t size = is_one_row ? rows * columns : columns;
  for (size_t row = 0; row < (is_one_row ? 1 : rows); ++row) {
    const float* const from = x.data + row * x.stride;
    uint16_t* const to = out + row * columns;
    for (size_t i = 0; i < size; ++i) {
      const uint32_t bits = std::bit_cast<uint32_t>(from[i]);
      to[i] = static_cast<uint16_t>((bits + 0x7fffu + (bits >> kBf16Shift & 1u)) >> kBf16Shift);
    }
  }
}

struct AlignedDelete {
  void operator()(std::byte* bytes) const {
    ::operator delete[](bytes, std::align_val_t{kWeightAlignment});
  }
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;

AlignedBytes NewAligned(size_t size) {
  return AlignedBytes(
      static_cast<std::byte*>(::operator new[](size, std::align_val_t{kWeightAlignment})));
}

}  // namespace

class Bf16Weight {
 public:
  // One number of rows.
  struct Product {
    dnnl::memory::desc x, out, scratchpad;
    dnnl::matmul run;
  };

  // Throws dnnl::error.
  Bf16Weight(const std::vector<float>& values, size_t in, size_t out) {
    const auto columns = static_cast<dnnl_dim_t>(out);
    const auto inner = static_cast<dnnl_dim_t>(in);
    // The tallest product chooses how the weight is packed, the others take it so.
    dnnl::memory::desc packed({inner, columns}, DataType::bf16, FormatTag::any);
    for (size_t i = kHeights; i-- > 0;) {
      const auto rows = static_cast<dnnl_dim_t>((i + 1) * kRowGranularity);
      Product& product = products_[i];
      product.x = {{rows, inner}, DataType::bf16, FormatTag::ab};
      product.out = {{rows, columns}, DataType::f32, FormatTag::ab};
      dnnl::primitive_attr attributes;
      attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
      const auto chosen = WithoutTiles({product.x, packed, product.out}, attributes);
      packed = chosen.weights_desc();
      product.scratchpad = chosen.scratchpad_desc();
      product.run = dnnl::matmul(chosen);
      scratchpad_bytes_ = std::max(scratchpad_bytes_, product.scratchpad.get_size());
    }
    Pack(values, {{inner, columns}, DataType::f32, FormatTag::ab}, packed);
  }

  const std::array<Product, kHeights>& products() const { return products_; }
  const dnnl::memory& packed() const { return packed_; }
  size_t scratchpad_bytes() const { return scratchpad_bytes_; }

 private:
  void Pack(const std::vector<float>& values, const dnnl::memory::desc& plain,
            const dnnl::memory::desc& packed) {
    packed_ = dnnl::memory(packed, CpuEngine());
    dnnl::memory source(plain, CpuEngine(), const_cast<float*>(values.data()));  // only read
    dnnl::stream stream(CpuEngine());
    dnnl::reorder(source, packed_).execute(stream, source, packed_);
    stream.wait();
  }

  std::array<Product, kHeights> products_;
  dnnl::memory packed_;
  size_t scratchpad_bytes_ = 0;
};

struct Bf16Scratch::Memory {
  // Views of one weight's factors and results; where they lie is set at every product.
  struct Views {
    dnnl::memory x, out, scratchpad;
  };
  using OfWeight = std::array<Views, kHeights>;

  OfWeight& Of(const Bf16Weight& weight, size_t in) {
    if (const auto at = views.find(&weight); at != views.end()) return at->second;
    rounded.resize(std::max(rounded.size(), kRowsOfProduct * in));
    if (weight.scratchpad_bytes() > scratchpad_size) {
      scratchpad_size = weight.scratchpad_bytes();
      scratchpad = NewAligned(scratchpad_size);
    }
    OfWeight& of_weight = views[&weight];
    for (size_t i = 0; i < kHeights; ++i) {
      const Bf16Weight::Product& product = weight.products()[i];
      of_weight[i] = {.x = {product.x, CpuEngine(), nullptr},
                      .out = {product.out, CpuEngine(), nullptr},
                      .scratchpad = {product.scratchpad, CpuEngine(), nullptr}};
    }
    return of_weight;
  }

  dnnl::stream stream{CpuEngine()};
  std::unordered_map<const Bf16Weight*, OfWeight> views;
  std::vector<uint16_t> rounded;
  AlignedBytes scratchpad;
  size_t scratchpad_size = 0;
};

Bf16Scratch::Bf16Scratch() = default;
Bf16Scratch::~Bf16Scratch() = default;

std::optional<Precision> PrecisionOf(const std::map<std::string, std::string>& options) {
  const auto at = options.find(kPrecisionOption);
  if (at == options.end() || at->second == "f32") return Precision::kF32;
  if (at->second == "bf16") return Precision::kBf16;
  return std::nullopt;
}

std::string_view ArithmeticOf(Precision precision) {
  if (precision == Precision::kF32) return "f32";
  if (Has(dnnl::cpu_isa::avx512_core_bf16)) return "bf16 (AVX512_BF16)";
  return "f32 (no bf16 instructions)";
}

absl::StatusOr<Weight> MakeWeight(std::vector<float> values, size_t in, size_t out,
                                  Precision precision) {
  Weight weight{.in = in, .out = out, .values = std::move(values), .bf16 = nullptr};
  if (precision == Precision::kF32 || !Has(dnnl::cpu_isa::avx512_core_bf16)) return weight;
  ComputeOnThisThread();  // a primitive keeps the number of threads that it is made with
  try {
    weight.bf16 = std::make_shared<const Bf16Weight>(weight.values, in, out);
  } catch (const dnnl::error& error) {
    return absl::InternalError(
        fmt::format("oneDNN makes no bf16 product by a weight of {} x {}: {}; serve the model in "
                    "f32",
                    in, out, error.what()));
  }
  return weight;
}

void MultiplyByWeight(ConstMatrix x, const Weight& weight, size_t rows, float* out,
                      Bf16Scratch& scratch) {
  if (weight.bf16 == nullptr || scratch.in_f32) {
    Multiply(x, {weight.values.data(), weight.out}, {out, weight.out}, rows, weight.out, weight.in);
    return;
  }
  ComputeOnThisThread();
  if (scratch.memory_ == nullptr) scratch.memory_ = std::make_unique<Bf16Scratch::Memory>();
  Bf16Scratch::Memory& memory = *scratch.memory_;
  Bf16Scratch::Memory::OfWeight& of_weight = memory.Of(*weight.bf16, weight.in);
  const size_t padded = PaddedRows(rows);
  for (size_t begin = 0; begin < padded; begin += kRowsOfProduct) {
    const size_t count = std::min(kRowsOfProduct, padded - begin);
    RoundToBf16({x.data + begin * x.stride, x.stride}, count, weight.in, memory.rounded.data());
    const size_t height = count / kRowGranularity - 1;
    auto& views = of_weight[height];
    views.x.set_data_handle(memory.rounded.data());
    views.out.set_data_handle(out + begin * weight.out);
    views.scratchpad.set_data_handle(memory.scratchpad.get());
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, views.x.get()},
                                         {DNNL_ARG_WEIGHTS, weight.bf16->packed().get()},
                                         {DNNL_ARG_DST, views.out.get()},
                                         {DNNL_ARG_SCRATCHPAD, views.scratchpad.get()}};
    // Fails only on arguments of other shapes than the primitive's.
    dnnl_primitive_execute(weight.bf16->products()[height].run.get(), memory.stream.get(),
                           std::size(arguments), arguments);
  }
}

}  // namespace groundswell
