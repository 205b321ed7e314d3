#include "server/recommend/api_sources.h"

#include <cctype>
#include <cstddef>
#include <string>

namespace groundswell {
namespace {

v1::CandidateSource Named(std::string_view name) {
  std::string in_api = "CANDIDATE_SOURCE_";
  for (const char letter : name) {
    in_api += static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  }
  v1::CandidateSource source = v1::CANDIDATE_SOURCE_UNSPECIFIED;
  return v1::CandidateSource_Parse(in_api, &source) ? source : v1::CANDIDATE_SOURCE_UNSPECIFIED;
}

}  // namespace

const std::array<ApiSource, kSourceNames.size()>& ApiSources() {
  static const auto sources = [] {
    std::array<ApiSource, kSourceNames.size()> made;
    for (size_t i = 0; i < made.size(); ++i) {
      made[i] = {.bit = kSourceNames[i].bit, .in_api = Named(kSourceNames[i].name)};
    }
    return made;
  }();
  return sources;
}

v1::CandidateSource InApi(SourceBit source) {
  for (const ApiSource& one : ApiSources()) {
    if (one.bit == source) return one.in_api;
  }
  return v1::CANDIDATE_SOURCE_UNSPECIFIED;
}

SourceBit SourceOfApi(int in_api) {
  if (in_api == v1::CANDIDATE_SOURCE_UNSPECIFIED) return {};
  for (const ApiSource& one : ApiSources()) {
    if (one.in_api == in_api) return one.bit;
  }
  return {};
}

}  // namespace groundswell
