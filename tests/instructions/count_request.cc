// Ranks one request of random features, for a count of its instructions:
//
//   valgrind --tool=callgrind --toggle-collect=CountedRequest count_request WEIGHTS
//
// Prints the instruction set that the program was compiled for.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "bench/random_request.h"

namespace {

constexpr size_t kCandidates = 240;

}  // namespace

// The name that callgrind switches its counters by.
extern "C" [[gnu::noinline]] bool CountedRequest(const groundswell::Ranker& ranker,
                                                 const groundswell::RandomRequest& request,
                                                 groundswell::RankerScratch& scratch,
                                                 std::vector<float>& logits) {
  return groundswell::ScoreRequest(ranker, request, scratch, logits).ok();
}

int main(int argc, char** argv) {
  using namespace groundswell;
  if (argc != 2) {
    fmt::print(stderr, "usage: count_request WEIGHTS\n");
    return 2;
  }
  const auto ranker = ReadRanker(argv[1]);
  if (!ranker.ok()) {
    fmt::print(stderr, "count_request: {}\n", std::string(ranker.status().message()));
    return 1;
  }
  const RandomRequest request((*ranker)->shape(), kCandidates, (*ranker)->shape().recent_items);
  const auto scratch = (*ranker)->NewScratch(kBlockSize);
  std::vector<float> logits(kCandidates);
  // Uncounted: oneDNN generates its kernels, and the dynamic linker binds.
  const absl::Status first = ScoreRequest(**ranker, request, *scratch, logits);
  if (!first.ok() || !CountedRequest(**ranker, request, *scratch, logits)) {
    fmt::print(stderr, "count_request: {}\n", std::string(first.message()));
    return 1;
  }
#ifdef __AVX2__
  fmt::print("x86-64-v3\n");
#else
  fmt::print("x86-64\n");
#endif
  return 0;
}
