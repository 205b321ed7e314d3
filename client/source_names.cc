#include "client/source_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace groundswell {
namespace {

constexpr std::string_view kPrefix = "CANDIDATE_SOURCE_";

}  // namespace

std::string SourceName(int source) {
  if (!v1::CandidateSource_IsValid(source)) return fmt::format("source {}", source);
  std::string name = v1::CandidateSource_Name(source).substr(kPrefix.size());
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char letter) {
    return letter == '_' ? '-' : static_cast<char>(std::tolower(letter));
  });
  return name;
}

std::optional<v1::CandidateSource> SourceOfName(std::string_view name) {
  for (int source = 1; source < v1::CandidateSource_ARRAYSIZE; ++source) {
    if (v1::CandidateSource_IsValid(source) && SourceName(source) == name)
      return static_cast<v1::CandidateSource>(source);
  }
  return std::nullopt;
}

std::string SourceNames() {
  std::string names;
  for (int source = 1; source < v1::CandidateSource_ARRAYSIZE; ++source) {
    if (!v1::CandidateSource_IsValid(source)) continue;  // a number that is reserved
    names += (names.empty() ? "" : ", ") + SourceName(source);
  }
  return names;
}

}  // namespace groundswell
