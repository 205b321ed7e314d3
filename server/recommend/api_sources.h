// The candidate sources in the API: which enumerator is which source's, by its name.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_API_SOURCES_H_
#define GROUNDSWELL_SERVER_RECOMMEND_API_SOURCES_H_

#include <array>

#include "groundswell/v1/recommend.pb.h"
#include "index/candidate_source.h"

namespace groundswell {

struct ApiSource {
  SourceBit bit{};
  v1::CandidateSource in_api = v1::CANDIDATE_SOURCE_UNSPECIFIED;
};

// All sources, in the order of their bits. The source `next_items` is CANDIDATE_SOURCE_NEXT_ITEMS.
const std::array<ApiSource, kSourceNames.size()>& ApiSources();

// CANDIDATE_SOURCE_UNSPECIFIED for what is no source's bit.
v1::CandidateSource InApi(SourceBit source);

// No bit at all for a number that is no source's, such as a later version's.
SourceBit SourceOfApi(int in_api);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_API_SOURCES_H_
