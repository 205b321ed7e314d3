// Runs a fuzz target without libFuzzer: its seeds, and a fixed number of random mutations of them
// from a fixed seed. With file names as arguments it runs those inputs only, e.g. a crash to look
// into. The input that breaks an invariant is left in "<program>.failed".
#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "tests/fuzz/target.h"

namespace groundswell {
namespace {

constexpr int kMutations = 20'000;
constexpr int kStepsMax = 6;
constexpr size_t kRangeMax = 64;
constexpr size_t kInputMax = 64 << 10;

std::string failed_path;
const std::string* running = nullptr;

// Leaves the input behind; the default action then ends the process.
void SaveInput(int) {
  if (running != nullptr) std::ofstream(failed_path, std::ios::binary) << *running;
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

void Run(const std::string& input) {
  running = &input;
  // A copy of exactly this size, so that the address sanitizer sees a read behind it.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  running = nullptr;
}

// Pieces that the parsers look for, and numbers at the edge of their types.
const std::string kWords[] = {"\"",
                              "{",
                              "}",
                              "[",
                              "]",
                              ":",
                              ",",
                              "\n",
                              "\\",
                              "\\u0000",
                              "null",
                              "true",
                              "1e999",
                              "-1",
                              "0",
                              "4294967296",
                              "9223372036854775807",
                              "18446744073709551615",
                              "0.5",
                              "=",
                              "#",
                              "'''",
                              std::string(1, '\0'),
                              std::string(4, '\xff'),
                              std::string(8, '\xff'),
                              "\xc3\xa9",
                              "\xed\xa0\x80",
                              std::string("\0\0\0\x80", 4),
                              std::string("\xff\xff\xff\x7f", 4)};

class Mutator {
 public:
  Mutator(const std::vector<std::string>& seeds, uint64_t seed) : seeds_(seeds), random_(seed) {}

  std::string Next() {
    std::string input = AnySeed();
    const size_t steps = 1 + Below(kStepsMax);
    for (size_t step = 0; step < steps; ++step) Mutate(input);
    input.resize(std::min(input.size(), kInputMax));
    return input;
  }

 private:
  size_t Below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }
  const std::string& AnySeed() { return seeds_[Below(seeds_.size())]; }

  void Mutate(std::string& input) {
    const size_t at = Below(input.size() + 1);
    const size_t left = input.size() - at;
    switch (Below(8)) {
      case 0:
        if (left > 0) input[at] = static_cast<char>(input[at] ^ (1 << Below(8)));
        break;
      case 1:
        if (left > 0) input[at] = static_cast<char>(random_());
        break;
      case 2:
        input.erase(at, Below(std::min(left, kRangeMax) + 1));
        break;
      case 3:
        input.insert(at, input.substr(Below(input.size()), Below(kRangeMax)));
        break;
      case 4:
        input.insert(at, kWords[Below(std::size(kWords))]);
        break;
      case 5: {
        const std::string& word = kWords[Below(std::size(kWords))];
        input.replace(at, std::min(left, word.size()), word);
        break;
      }
      case 6:
        input.resize(at);
        break;
      default: {
        const std::string& other = AnySeed();
        input.replace(at, std::string::npos, other.substr(Below(other.size() + 1)));
      }
    }
  }

  const std::vector<std::string>& seeds_;
  std::mt19937_64 random_;
};

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) {
  using namespace groundswell;
  failed_path = std::string(argv[0]) + ".failed";
  std::signal(SIGABRT, SaveInput);
  if (argc > 1) {
    for (int i = 1; i < argc; ++i) {
      std::ifstream file(argv[i], std::ios::binary);
      Run(std::string(std::istreambuf_iterator<char>(file), {}));
    }
    return 0;
  }
  const std::vector<std::string> seeds = SeedCorpus();
  Require(!seeds.empty(), "a target has at least one seed");
  Run("");
  for (const std::string& seed : seeds) Run(seed);
  Mutator mutator(seeds, 1);
  for (int i = 0; i < kMutations; ++i) Run(mutator.Next());
  std::printf("%zu seeds, %d mutations: every invariant held\n", seeds.size(), kMutations);
  return 0;
}
