// Candidate: an item that a ranker may choose, which sources proposed it, and what those are asked.
#ifndef GROUNDSWELL_INDEX_CANDIDATE_SOURCE_H_
#define GROUNDSWELL_INDEX_CANDIDATE_SOURCE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "graph/ids.h"
#include "index/item_filter.h"

namespace groundswell {

// Which sources proposed a candidate, one bit each; settings, docs and metrics use the names.
enum SourceBit : uint32_t {
  kFromEmbedding = 1u << 0,     // nearest to the user's vector
  kFromPopular = 1u << 1,       // most interactions
  kFromRequest = 1u << 2,       // listed by the caller
  kFromTrending = 1u << 3,      // most users of late
  kFromCluster = 1u << 4,       // most users of late of the user's behaviour cluster
  kFromSimilarItems = 1u << 5,  // nearest to the user's newest items
  kFromWalk = 1u << 6,          // met on random walks from the user's newest items
  kFromNextItems = 1u << 7,     // taken right after the user's newest items
  kFromHistory = 1u << 8,       // the user's own items
  kFromPinned = 1u << 9,        // placed by a rule
  kFromPageRank = 1u << 10,     // of highest PageRank from the user's newest items
};
struct NamedSource {
  SourceBit bit;
  const char* name;
};
// In the order of the bits.
inline constexpr auto kSourceNames =
    std::to_array<NamedSource>({{kFromEmbedding, "embedding"},
                                {kFromPopular, "popular"},
                                {kFromRequest, "request"},
                                {kFromTrending, "trending"},
                                {kFromCluster, "macro_node"},
                                {kFromSimilarItems, "similar_items"},
                                {kFromWalk, "random_walk"},
                                {kFromNextItems, "next_items"},
                                {kFromHistory, "history"},
                                {kFromPinned, "pinned"},
                                {kFromPageRank, "page_rank"}});
// What is kept per source is found by the position of its bit.
static_assert([] {
  for (size_t i = 0; i < kSourceNames.size(); ++i) {
    if (kSourceNames[i].bit != uint32_t{1} << i) return false;
  }
  return true;
}());

// Empty for what is no source's bit.
constexpr std::string_view NameOf(SourceBit source) {
  for (const NamedSource& named : kSourceNames) {
    if (named.bit == source) return named.name;
  }
  return {};
}
// No bit at all for what is no source's name.
constexpr SourceBit SourceNamed(std::string_view name) {
  for (const NamedSource& named : kSourceNames) {
    if (named.name == name) return named.bit;
  }
  return {};
}

struct Candidate {
  ItemIndex item{};
  float score = 0;       // the source's own scale; comparable within one source only
  uint32_t sources = 0;  // SourceBit
};

// An item that the user took, as the live graph holds it.
struct RecentItem {
  ItemIndex item{};
  int64_t time_us = 0;  // of the newest interaction
  Count weight = 0;     // A[u,i]
};

// At most `count` admitted items are wanted, best first, without duplicates, each tagged with the
// source's bit; an empty answer is not an error.
struct CandidateQuery {
  // The user's or item's embedding; empty when there is none.
  std::span<const float> vector;
  // Only admitted items may be returned.
  const ItemFilter& filter;
  size_t count = 0;
  // What the user took last, newest first; for the sources that start there.
  std::span<const RecentItem> recent = {};
  // The same question with the same seed is answered alike while the graph stays the same.
  uint64_t seed = 0;
  // Sources that can stop with what they have do so then.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_CANDIDATE_SOURCE_H_
