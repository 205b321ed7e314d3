// Int8Codes: vectors as 8-bit integers, and their inner products with a query by the widest
// instructions that the processor has.
//
//   vector  x ~ scale (u - 128)      scale = max |x_d| / 127, of each vector; u in 1 .. 255
//   query   q ~ scale_q w            scale_q = max |q_d| / 127; w in -127 .. 127
//   score   = offset + (scale scale_q) sum_d (u_d - 128) w_d,   the sum in 32-bit integers
//
// so that every kernel gives the same bits: integer sums have no order, and the two roundings
// behind them are the same everywhere. Of x the error of a number is at most scale / 2.
#ifndef GROUNDSWELL_INDEX_VECTORS_INT8_CODES_H_
#define GROUNDSWELL_INDEX_VECTORS_INT8_CODES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace groundswell {

// Instructions that make the products.
enum class Int8Kernel {
  kPlain,       // any processor
  kAvx2,        // VPMADDWD, 8 vectors at a time
  kAvx512Vnni,  // VPDPBUSD, 16 vectors at a time
};
std::string_view NameOf(Int8Kernel kernel);
// What this processor runs; the fastest is the last.
std::span<const Int8Kernel> RunnableKernels();

// A query as the kernels read it.
class Int8Query {
 public:
  // Encodes it. Keeps its memory, so that later queries of one length allocate nothing.
  // REQUIRES: finite numbers.
  void Set(std::span<const float> query);

  float scale() const { return scale_; }
  // -128 times the sum of the numbers: what the products of u are too high by.
  int32_t start() const { return start_; }
  // Four numbers to a word, the first in the lowest byte; those behind the last one are 0.
  std::span<const int32_t> words() const { return words_; }
  // The same of the even and of the odd numbers in pairs of 16 bits.
  std::span<const int32_t> even_pairs() const { return even_pairs_; }
  std::span<const int32_t> odd_pairs() const { return odd_pairs_; }

 private:
  float scale_ = 0;
  int32_t start_ = 0;
  std::vector<int32_t> words_;
  std::vector<int32_t> even_pairs_;
  std::vector<int32_t> odd_pairs_;
};

// Vectors in blocks of 16. Appended by one thread, then immutable and for any number of threads.
class Int8Codes {
 public:
  static constexpr size_t kBlock = 16;
  static constexpr size_t BlocksOf(size_t vectors) { return (vectors + kBlock - 1) / kBlock; }

  // REQUIRES: dim of at most 4,096 (the sums stay within 32 bits up to 65,000).
  explicit Int8Codes(size_t dim) : words_((dim + 3) / 4) {}

  // So many blocks will be appended.
  void Reserve(size_t blocks);
  // Appends rows of `dim` finite numbers, which lie one behind the other, as ceil(count / 16)
  // blocks; what the last one has too much scores `offset`.
  void Append(std::span<const float> rows, size_t dim);

  // Blocks so far; the next Append's are from here on.
  size_t blocks() const { return scales_.size() / kBlock; }
  // Writes the scores of the vectors of `count` blocks from `first` on: 16 to a block.
  void Score(const Int8Query& query, float offset, size_t first, size_t count, float* scores) const;
  // The same by a kernel of one's choice. REQUIRES: that it is runnable.
  void Score(Int8Kernel kernel, const Int8Query& query, float offset, size_t first, size_t count,
             float* scores) const;
  // Has the beginning of a block on its way into the cache.
  void Prefetch(size_t block) const;

  size_t bytes() const;

 private:
  // Four numbers of each of the 16 vectors of a block: what one instruction multiplies.
  struct alignas(64) Word16 {
    std::array<uint8_t, 4 * kBlock> codes;
  };

  size_t words_;               // Word16s of a block
  std::vector<Word16> codes_;  // blocks() x words_
  std::vector<float> scales_;  // one per vector
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_INT8_CODES_H_
