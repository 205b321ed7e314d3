// The models, stage by stage, against golden vectors of an independent implementation:
//
//   golden_test --golden DIR
//
// DIR has a folder for each kind. All shapes and options come from the files, so that any other set
// of vectors can be tried; --gtest_filter chooses kinds.
#include <gtest/gtest.h>

#include <string>

#include "tests/golden/golden_directory.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string(argv[i]) == "--golden") groundswell::golden_directory = argv[i + 1];
  }
  return RUN_ALL_TESTS();
}
