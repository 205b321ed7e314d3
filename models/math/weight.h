// A dense layer's weight in the precision that it is served in, and products with it.
//
//   auto layer = MakeWeight(std::move(values), in, out, Precision::kBf16);         // at load
//   MultiplyByWeight({x, stride}, *layer, rows, result, scratch.products);         // per block
//
// f32 is Multiply of models/math/kernels.h: on a weight packed beforehand oneDNN's f32 kernels are
// no faster, and slower on narrow ones (docs/models.md has the measurement).
//
// bf16 has f32's range with 8 bits of precision. The weight is rounded and packed once, in the
// order in which oneDNN's kernels read it; the other factor is rounded at every product; products
// are exact and sums f32. Its error is at most 2^-7 (1 + 2^-9) sum_k |x_k w_k|, beside that of the
// f32 sum. It is computed where the processor has AVX512_BF16, and never on AMX tiles
// (docs/models.md has why); a processor without serves f32, since to emulate bf16 takes longer than
// that.
#ifndef GROUNDSWELL_MODELS_MATH_WEIGHT_H_
#define GROUNDSWELL_MODELS_MATH_WEIGHT_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "models/math/kernels.h"

namespace groundswell {

enum class Precision { kF32, kBf16 };

// A model's option in the manifest: f32 unless it says otherwise; nothing when it is neither.
inline constexpr const char* kPrecisionOption = "precision";
inline constexpr const char* kPrecisionRemedy = "\"f32\" (also when it is absent) or \"bf16\"";
std::optional<Precision> PrecisionOf(const std::map<std::string, std::string>& options);

// What products with weights of this precision are computed in here, for people: "f32",
// "bf16 (AVX512_BF16)", or "f32 (no bf16 instructions)".
std::string_view ArithmeticOf(Precision precision);

// A weight packed for bf16 products; oneDNN's.
class Bf16Weight;

// Immutable once made; copies share what is packed.
struct Weight {
  size_t in = 0;
  size_t out = 0;
  std::vector<float> values;               // in x out, row-major
  std::shared_ptr<const Bf16Weight> bf16;  // null: f32
};

// REQUIRES: values.size() == in * out, both above 0. The error is Internal: oneDNN has no kernel or
// no memory.
absl::StatusOr<Weight> MakeWeight(std::vector<float> values, size_t in, size_t out,
                                  Precision precision);

// What bf16 products need of one thread. Empty until the first product by a weight, whose views and
// room it keeps; the weights must outlive it.
//
// Later products allocate nothing of ours, but oneDNN's execution of a primitive takes a few small
// blocks (264 bytes together) and gives them back before it returns. For f32 products see
// models/math/kernels.h.
inline constexpr int kAllocationsOfBf16Product = 6;  // for up to 120 rows
class Bf16Scratch {
 public:
  Bf16Scratch();
  ~Bf16Scratch();

  // Whether products are f32 whatever the weight: explanations are differences of logits, which
  // bf16's rounding would drown.
  bool in_f32 = false;

 private:
  friend void MultiplyByWeight(ConstMatrix x, const Weight& weight, size_t rows, float* out,
                               Bf16Scratch& scratch);
  struct Memory;
  std::unique_ptr<Memory> memory_;
};

// out (rows x weight.out) = x (rows x weight.in) * weight. All PaddedRows(rows) rows of x and out
// must exist, and those of x be finite; the padding rows of out are overwritten. A row's result is
// the same bits at every place and for every number of rows.
void MultiplyByWeight(ConstMatrix x, const Weight& weight, size_t rows, float* out,
                      Bf16Scratch& scratch);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_MATH_WEIGHT_H_
