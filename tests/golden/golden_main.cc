// The models, stage by stage, against golden vectors of an independent implementation:
//
//   golden_test --golden DIR
//
// DIR has a folder for each kind, those of encoders there or in DIR/encoders. All shapes and
// options come from the files, so that any other set of vectors can be tried. Kinds that DIR has no
// folder of are left out, and named; the project's own vectors must have them all. --gtest_filter
// chooses kinds as well.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/golden/golden_directory.h"

namespace groundswell {
namespace {

struct KindTests {
  std::string kind;
  std::string tests;  // a pattern of GoogleTest's
};

const std::vector<KindTests>& TestsOfKinds() {
  static const std::vector<KindTests> kTests = {
      {"macgnn", "*MacgnnGoldenTest.*"},
      {"surge", "*SurgeGoldenTest.*"},
      {"ncf", "*SequenceGoldenTest.*/ncf"},
      {"din", "*SequenceGoldenTest.*/din"},
      {"caser", "*SequenceGoldenTest.*/caser"},
      {"gru4rec", "*SequenceGoldenTest.*/gru4rec"},
      {"dien", "*SequenceGoldenTest.*/dien"},
      {"slirec", "*SequenceGoldenTest.*/slirec"},
      {"linear", "EncoderGoldenTest.Linear*"},
      {"ngcf", "EncoderGoldenTest.Ngcf*"},
      {"als", "EncoderGoldenTest.Als*"},
      {"twhin", "EncoderGoldenTest.Twhin*"},
      {"hetero", "EncoderGoldenTest.Hetero*"},
      {"graphsage", "EncoderGoldenTest.Graphsage*"},
      {"gat", "EncoderGoldenTest.Gat*"},
      {"pinsage", "EncoderGoldenTest.Pinsage*"},
      {"pinnerformer", "EncoderGoldenTest.Pinnerformer*"},
      {"features", "FeaturesGoldenTest.*"},
      {"push", "PushGoldenTest.*"},
  };
  return kTests;
}

bool IsOwnDirectory() {
  std::error_code error;
  return std::filesystem::equivalent(golden_directory, GROUNDSWELL_GOLDEN_DIRECTORY, error);
}

// The number of kinds that are there.
size_t LeaveOutMissingKinds() {
  std::string missing;
  size_t found = 0;
  for (const KindTests& kind : TestsOfKinds()) {
    if (std::filesystem::is_directory(GoldenFolder(kind.kind))) {
      ++found;
    } else {
      fmt::print("{} has no folder of {}: left out\n", golden_directory, kind.kind);
      missing += ":" + kind.tests;
    }
  }
  std::string& filter = testing::GTEST_FLAG(filter);
  if (!missing.empty()) filter += (filter.find('-') == filter.npos ? "-" : "") + missing;
  return found;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string(argv[i]) == "--golden") groundswell::golden_directory = argv[i + 1];
  }
  if (!groundswell::IsOwnDirectory() && groundswell::LeaveOutMissingKinds() == 0) {
    fmt::print(stderr, "golden_test: {} has no folder of any kind\n",
               groundswell::golden_directory);
    return 2;
  }
  return RUN_ALL_TESTS();
}
