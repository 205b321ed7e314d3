// Before libFuzzer reads the corpus: writes the seeds of the target into its directory, the first
// argument that is no flag.
#include <filesystem>
#include <fstream>

#include "tests/fuzz/seed_corpus.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    const std::filesystem::path path((*argv)[i]);
    if (!std::filesystem::is_directory(path)) continue;
    int number = 0;
    for (const std::string& seed : groundswell::SeedCorpus()) {
      std::ofstream(path / ("seed-" + std::to_string(number++)), std::ios::binary) << seed;
    }
    break;
  }
  return 0;
}
