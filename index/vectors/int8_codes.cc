#include "index/vectors/int8_codes.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace groundswell {
namespace {

constexpr float kLargestCode = 127;
constexpr int kZeroCode = 128;
constexpr size_t kBlockSize = Int8Codes::kBlock;
constexpr size_t kCacheLineBytes = 64;
constexpr uintptr_t kPageBytes = 4'096;
// So far behind what is read: the processor's own prefetching stops at every page.
constexpr size_t kLinesAhead = 32;
constexpr size_t kLinesOfBlockBegin = 16;

float LargestMagnitude(std::span<const float> numbers) {
  float largest = 0;
  for (const float number : numbers) largest = std::max(largest, std::abs(number));
  return largest;
}

// -127 .. 127. `scale` may be so small that its quotient is not exact, hence the bounds.
int CodeOf(float number, float scale) {
  if (scale == 0) return 0;
  return static_cast<int>(std::lround(std::clamp(number / scale, -kLargestCode, kLargestCode)));
}

// What the kernels read of one call.
struct Scored {
  const uint8_t* codes;  // of the first block
  const float* scales;
  size_t blocks;
  size_t words;  // of a block
  const Int8Query& query;
  float offset;
  float* scores;
};

// Two roundings, of the product and of the sum; so do the kernels below.
void ScorePlain(const Scored& scored) {
  const Int8Query& query = scored.query;
  for (size_t block = 0; block < scored.blocks; ++block) {
    std::array<int32_t, kBlockSize> sums;
    sums.fill(query.start());
    const uint8_t* codes = scored.codes + block * scored.words * kCacheLineBytes;
    for (size_t word = 0; word < scored.words; ++word, codes += kCacheLineBytes) {
      std::array<int8_t, 4> numbers;
      std::memcpy(numbers.data(), &query.words()[word], sizeof(numbers));
      for (size_t i = 0; i < kBlockSize; ++i) {
        for (size_t d = 0; d < numbers.size(); ++d) {
          sums[i] += int32_t{codes[i * 4 + d]} * numbers[d];
        }
      }
    }
    for (size_t i = 0; i < kBlockSize; ++i) {
      const size_t at = block * kBlockSize + i;
      const float product = scored.scales[at] * query.scale() * static_cast<float>(sums[i]);
      scored.scores[at] = scored.offset + product;
    }
  }
}

#ifdef __x86_64__

[[gnu::target("avx2")]] void ScoreAvx2(const Scored& scored) {
  const Int8Query& query = scored.query;
  const __m256i low_bytes = _mm256_set1_epi16(0x00ff);
  const __m256 query_scale = _mm256_set1_ps(query.scale());
  const __m256 offset = _mm256_set1_ps(scored.offset);
  const auto* codes = reinterpret_cast<const __m256i*>(scored.codes);
  for (size_t block = 0; block < scored.blocks; ++block) {
    // Vectors 0 to 7 and 8 to 15.
    __m256i sums[2] = {_mm256_set1_epi32(query.start()), _mm256_set1_epi32(query.start())};
    for (size_t word = 0; word < scored.words; ++word, codes += 2) {
      _mm_prefetch(reinterpret_cast<const char*>(codes + 2 * kLinesAhead), _MM_HINT_T0);
      const __m256i even = _mm256_set1_epi32(query.even_pairs()[word]);
      const __m256i odd = _mm256_set1_epi32(query.odd_pairs()[word]);
      for (size_t half = 0; half < 2; ++half) {
        const __m256i four = _mm256_load_si256(codes + half);
        const __m256i products =
            _mm256_add_epi32(_mm256_madd_epi16(_mm256_and_si256(four, low_bytes), even),
                             _mm256_madd_epi16(_mm256_srli_epi16(four, 8), odd));
        sums[half] = _mm256_add_epi32(sums[half], products);
      }
    }
    for (size_t half = 0; half < 2; ++half) {
      const size_t at = block * kBlockSize + half * 8;
      const __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(scored.scales + at), query_scale);
      const __m256 product = _mm256_mul_ps(scale, _mm256_cvtepi32_ps(sums[half]));
      _mm256_storeu_ps(scored.scores + at, _mm256_add_ps(offset, product));
    }
  }
}

[[gnu::target("avx512f,avx512bw,avx512vnni")]] void ScoreAvx512Vnni(const Scored& scored) {
  const Int8Query& query = scored.query;
  const __m512 query_scale = _mm512_set1_ps(query.scale());
  const __m512 offset = _mm512_set1_ps(scored.offset);
  const int32_t* const numbers = query.words().data();
  const uint8_t* codes = scored.codes;
  for (size_t block = 0; block < scored.blocks; ++block) {
    // Four sums side by side, so that none waits for the one before.
    __m512i sums[4] = {_mm512_set1_epi32(query.start()), _mm512_setzero_si512(),
                       _mm512_setzero_si512(), _mm512_setzero_si512()};
    size_t word = 0;
    for (; word + 4 <= scored.words; word += 4) {
      for (size_t i = 0; i < 4; ++i, codes += kCacheLineBytes) {
        _mm_prefetch(reinterpret_cast<const char*>(codes + kLinesAhead * kCacheLineBytes),
                     _MM_HINT_T0);
        sums[i] = _mm512_dpbusd_epi32(sums[i], _mm512_load_si512(codes),
                                      _mm512_set1_epi32(numbers[word + i]));
      }
    }
    for (; word < scored.words; ++word, codes += kCacheLineBytes) {
      sums[0] =
          _mm512_dpbusd_epi32(sums[0], _mm512_load_si512(codes), _mm512_set1_epi32(numbers[word]));
    }
    const __m512i sum =
        _mm512_add_epi32(_mm512_add_epi32(sums[0], sums[1]), _mm512_add_epi32(sums[2], sums[3]));
    const size_t at = block * kBlockSize;
    const __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(scored.scales + at), query_scale);
    // All of them: gcc 12 warns of what its form without a mask leaves undefined.
    const __m512 sums_as_floats = _mm512_maskz_cvtepi32_ps(__mmask16{0xffff}, sum);
    const __m512 product = _mm512_mul_ps(scale, sums_as_floats);
    _mm512_storeu_ps(scored.scores + at, _mm512_add_ps(offset, product));
  }
}

#endif

std::vector<Int8Kernel> FindRunnable() {
  std::vector<Int8Kernel> kernels = {Int8Kernel::kPlain};
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2")) kernels.push_back(Int8Kernel::kAvx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vnni")) {
    kernels.push_back(Int8Kernel::kAvx512Vnni);
  }
#endif
  return kernels;
}

}  // namespace

std::string_view NameOf(Int8Kernel kernel) {
  switch (kernel) {
    case Int8Kernel::kPlain:
      return "plain";
    case Int8Kernel::kAvx2:
      return "AVX2";
    case Int8Kernel::kAvx512Vnni:
      return "AVX512_VNNI";
  }
  return "";
}

std::span<const Int8Kernel> RunnableKernels() {
  static const auto* const kernels = new std::vector<Int8Kernel>(FindRunnable());
  return *kernels;
}

void Int8Query::Set(std::span<const float> query) {
  scale_ = LargestMagnitude(query) / kLargestCode;
  const size_t words = (query.size() + 3) / 4;
  words_.resize(words);
  even_pairs_.resize(words);
  odd_pairs_.resize(words);
  int32_t sum = 0;
  for (size_t word = 0; word < words; ++word) {
    std::array<int8_t, 4> numbers{};
    for (size_t d = 0; d < 4 && word * 4 + d < query.size(); ++d) {
      numbers[d] = static_cast<int8_t>(CodeOf(query[word * 4 + d], scale_));
      sum += numbers[d];
    }
    const std::array<int16_t, 2> even = {numbers[0], numbers[2]};
    const std::array<int16_t, 2> odd = {numbers[1], numbers[3]};
    std::memcpy(&words_[word], numbers.data(), sizeof(int32_t));
    std::memcpy(&even_pairs_[word], even.data(), sizeof(int32_t));
    std::memcpy(&odd_pairs_[word], odd.data(), sizeof(int32_t));
  }
  start_ = -kZeroCode * sum;
}

void Int8Codes::Reserve(size_t blocks) {
  codes_.reserve(blocks * words_);
  scales_.reserve(blocks * kBlock);
  // Whole pages, before anything is written there. It is only slower without.
  auto* const begin = reinterpret_cast<std::byte*>(codes_.data());
  const size_t bytes = codes_.capacity() * sizeof(Word16);
  const size_t skipped = -reinterpret_cast<uintptr_t>(begin) % kPageBytes;
  if (bytes > skipped) madvise(begin + skipped, bytes - skipped, MADV_HUGEPAGE);
}

void Int8Codes::Append(std::span<const float> rows, size_t dim) {
  const size_t count = rows.size() / dim;
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t first = codes_.size();
    Word16 zeros;
    zeros.codes.fill(kZeroCode);
    codes_.resize(first + words_, zeros);
    scales_.resize(scales_.size() + kBlock, 0);
    for (size_t i = 0; i < std::min(kBlock, count - begin); ++i) {
      const std::span<const float> row = rows.subspan((begin + i) * dim, dim);
      const float scale = LargestMagnitude(row) / kLargestCode;
      scales_[scales_.size() - kBlock + i] = scale;
      for (size_t d = 0; d < dim; ++d) {
        codes_[first + d / 4].codes[i * 4 + d % 4] =
            static_cast<uint8_t>(kZeroCode + CodeOf(row[d], scale));
      }
    }
  }
}

void Int8Codes::Score(const Int8Query& query, float offset, size_t first, size_t count,
                      float* scores) const {
  static const Int8Kernel fastest = RunnableKernels().back();
  Score(fastest, query, offset, first, count, scores);
}

void Int8Codes::Score(Int8Kernel kernel, const Int8Query& query, float offset, size_t first,
                      size_t count, float* scores) const {
  // Of no blocks there may be none where they would begin.
  const Scored scored{.codes = reinterpret_cast<const uint8_t*>(codes_.data() + first * words_),
                      .scales = scales_.data() + first * kBlock,
                      .blocks = count,
                      .words = words_,
                      .query = query,
                      .offset = offset,
                      .scores = scores};
  switch (kernel) {
#ifdef __x86_64__
    case Int8Kernel::kAvx512Vnni:
      return ScoreAvx512Vnni(scored);
    case Int8Kernel::kAvx2:
      return ScoreAvx2(scored);
#endif
    default:
      return ScorePlain(scored);
  }
}

void Int8Codes::Prefetch(size_t block) const {
  const Word16* const begin = codes_.data() + block * words_;
  const size_t lines = std::min(kLinesOfBlockBegin, codes_.size() - block * words_);
  for (size_t line = 0; line < lines; ++line) __builtin_prefetch(begin + line);
  __builtin_prefetch(scales_.data() + block * kBlock);
}

size_t Int8Codes::bytes() const {
  return codes_.capacity() * sizeof(Word16) + scales_.capacity() * sizeof(float);
}

}  // namespace groundswell
