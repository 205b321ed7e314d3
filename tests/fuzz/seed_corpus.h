// What every fuzz target gives beside LLVMFuzzerTestOneInput.
#ifndef GROUNDSWELL_TESTS_FUZZ_SEED_CORPUS_H_
#define GROUNDSWELL_TESTS_FUZZ_SEED_CORPUS_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace groundswell {

// Inputs of the parser under test that mutations start from.
std::vector<std::string> SeedCorpus();

inline std::string_view AsText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Ends the process when an invariant is broken, as a fuzzer wants it.
inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_FUZZ_SEED_CORPUS_H_
