// Where the golden vectors are, and how closely they must be met.
#ifndef GROUNDSWELL_TESTS_GOLDEN_GOLDEN_DIRECTORY_H_
#define GROUNDSWELL_TESTS_GOLDEN_GOLDEN_DIRECTORY_H_

#include <string>

namespace groundswell {

// One folder per kind; --golden DIR replaces it.
inline std::string golden_directory = GROUNDSWELL_GOLDEN_DIRECTORY;

inline constexpr double kGoldenTolerance = 1e-5;  // absolute and relative, of stages and logits
inline constexpr double kGoldenProbabilityTolerance = 1e-6;

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_GOLDEN_GOLDEN_DIRECTORY_H_
