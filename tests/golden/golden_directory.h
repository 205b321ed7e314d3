// Where the golden vectors are, and how closely they must be met.
#ifndef GROUNDSWELL_TESTS_GOLDEN_GOLDEN_DIRECTORY_H_
#define GROUNDSWELL_TESTS_GOLDEN_GOLDEN_DIRECTORY_H_

#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

namespace groundswell {

// One folder per kind; --golden DIR replaces it.
inline std::string golden_directory = GROUNDSWELL_GOLDEN_DIRECTORY;

inline constexpr double kGoldenTolerance = 1e-5;  // absolute and relative, of stages and logits
inline constexpr double kGoldenProbabilityTolerance = 1e-6;

// The folder of a kind: DIR/KIND, or DIR/encoders/KIND.
inline std::string GoldenFolder(const std::string& kind) {
  const std::string among_encoders = golden_directory + "/encoders/" + kind;
  return std::filesystem::is_directory(among_encoders) ? among_encoders
                                                       : golden_directory + "/" + kind;
}

// The sets of a kind, each by what its file of cases is named before "cases.safetensors": "" or
// "PART.".
inline std::set<std::string> GoldenParts(const std::string& kind) {
  constexpr std::string_view kCases = "cases.safetensors";
  std::set<std::string> parts;
  for (const auto& file : std::filesystem::directory_iterator(GoldenFolder(kind))) {
    const std::string name = file.path().filename();
    if (name.ends_with(kCases)) parts.insert(name.substr(0, name.size() - kCases.size()));
  }
  if (parts.empty()) throw std::runtime_error("no cases.safetensors in " + GoldenFolder(kind));
  return parts;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_GOLDEN_GOLDEN_DIRECTORY_H_
