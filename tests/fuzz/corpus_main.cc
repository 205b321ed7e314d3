// Tries the seed corpus, every prefix of it, and mutations from a fixed seed: the same inputs on
// every machine. Prints how many were tried.
#include <cstdio>
#include <random>

#include "tests/fuzz/seed_corpus.h"
#include "tests/support/sanitized.h"

namespace groundswell {
namespace {

// Fewer of what takes longer.
#ifndef GROUNDSWELL_FUZZ_MUTATIONS
#define GROUNDSWELL_FUZZ_MUTATIONS 100'000
#endif
constexpr int kMutations = Rounds(GROUNDSWELL_FUZZ_MUTATIONS);
constexpr size_t kEditsMax = 8;

void Try(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::string Mutated(std::string input, const std::vector<std::string>& corpus,
                    std::mt19937_64& random) {
  const size_t edits = 1 + random() % kEditsMax;
  for (size_t edit = 0; edit < edits; ++edit) {
    const size_t at = input.empty() ? 0 : random() % input.size();
    switch (random() % 6) {
      case 0:  // another byte
        if (!input.empty()) input[at] = static_cast<char>(random());
        break;
      case 1:  // one bit
        if (!input.empty()) input[at] = static_cast<char>(input[at] ^ (1 << random() % 8));
        break;
      case 2:  // something missing
        input.erase(at, 1 + random() % 16);
        break;
      case 3:  // something doubled
        input.insert(at, input.substr(at, 1 + random() % 16));
        break;
      case 4: {  // a piece of another input
        const std::string& other = corpus[random() % corpus.size()];
        if (!other.empty())
          input.insert(at, other.substr(random() % other.size(), 1 + random() % 32));
        break;
      }
      default:  // a number at its limits
        static constexpr const char* kNumbers[] = {"0", "-1", "18446744073709551615", "1e999",
                                                   "NaN"};
        input.insert(at, kNumbers[random() % std::size(kNumbers)]);
    }
  }
  return input;
}

}  // namespace
}  // namespace groundswell

int main() {
  using namespace groundswell;
  const std::vector<std::string> corpus = SeedCorpus();
  size_t tried = 0;
  for (const std::string& seed : corpus) {
    const size_t step = 1 + seed.size() / 500;
    for (size_t size = 0; size <= seed.size(); size += step, ++tried) Try(seed.substr(0, size));
    Try(seed);
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < kMutations; ++i, ++tried) {
    Try(Mutated(corpus[random() % corpus.size()], corpus, random));
  }
  std::printf("%zu inputs tried\n", tried);
}
