// The candidate sources: who proposes what a request's list is chosen from, in one table.
//
//   source         proposes                                                     reads
//   embedding      the items nearest to the user's vector                       FAISS
//   similar_items  the items nearest to each of the user's newest items         FAISS
//   next_items     what users took right after the user's newest items          live graph
//   random_walk    what walks from the user's newest items meet                 live graph
//   page_rank      the items of highest PageRank from the user's newest items   live graph
//   history        what the user took before                                    live graph
//   trending       what most users took of late                                 live graph
//   macro_node     what most users of the user's cluster took of late           live graph
//   popular        the items with the most interactions                         live graph
//
// docs/retrieval.md has their equations, docs/architecture.md what a new one takes.
#ifndef GROUNDSWELL_SERVER_PIPELINE_SOURCE_TABLE_H_
#define GROUNDSWELL_SERVER_PIPELINE_SOURCE_TABLE_H_

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "graph/fold/applier.h"
#include "index/candidate_source.h"
#include "index/walks/history.h"
#include "index/walks/next_items.h"
#include "index/walks/page_rank.h"
#include "index/walks/random_walk_source.h"
#include "server/config/config.h"
#include "server/pipeline/live_state.h"

namespace groundswell {

// Newest items whose neighbours are looked for as similar items, one search each.
inline constexpr size_t kSimilarToItems = 3;

// What sources work on beside the request, made once. `state` must outlive it.
struct SourceParts {
  const LiveState& state;
  const NextItems next_items;
  const RandomWalkSource walks;
  const PageRankSource page_rank;
  std::chrono::nanoseconds stage_reserve;  // must remain to begin a search
};

// All that a source may read.
struct SourceQuery {
  const SourceParts& parts;
  const OverlaidUser* user = nullptr;  // null: nobody knows them
  std::span<const RecentItem> recent;  // their newest items, newest first
  std::span<const float> vector;       // theirs as it is now; empty: nothing is known
  const ItemFilter& filter;
  const ItemFilter& filter_with_seen;    // the same, but for the rule on seen items
  std::span<const uint32_t> categories;  // the filter's own
  uint64_t seed = 0;
  std::chrono::steady_clock::time_point deadline;
  size_t count = 0;  // items wanted, above 0
};

// Memory of one request at a time, grown by the first ones, then reused. A member belongs to one
// source: others may run beside it. `next_items.strengths` is read once all are done, by the blend.
struct SourceScratch {
  NextItems::Scratch next_items;
  RandomWalkSource::Scratch walk;
  PageRankSource::Scratch page_rank;
  HistoryScratch history;
};

// What one source proposes, best first, without duplicates; may be empty.
struct ProposedList {
  std::vector<Candidate> items;
  SourceBit source{};
};

// What sources that run one after the other propose.
struct Proposals {
  std::vector<ProposedList> lists;
  bool skipped = false;  // a search had no time, or failed

  void Add(std::vector<Candidate> items) { lists.push_back({.items = std::move(items)}); }
};

// When a source is asked. The first two run side by side where a compute thread has nothing else to
// do; the answer is the same as one after the other.
enum class SourcePhase {
  kByEmbedding,
  kFromNewest,  // from the user's newest items
  kOfOthers,    // what others take
  kFill,        // one source, last: also where the others propose too little
};

// A source adds one list of at most `count` admitted items, or none. Whose it is, the caller writes
// on it.
struct CandidateSource {
  SourceBit bit;
  SourcePhase phase;
  int64_t Config::Retrieval::*quota;  // items that it proposes; 0 switches it off
  void (*propose)(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals);
  bool of_user = false;             // not asked where nobody knows the user
  bool spared_in_pressure = false;  // not asked where there are to be fewer candidates
  // Not asked, but by its name, where seen items are left out: it proposes no others.
  bool of_seen_items = false;
};

void ProposeNearest(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals);
void ProposeSimilar(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals);
void ProposeNextItems(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals);
void ProposeWalked(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals);
void ProposeRanked(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals);
void ProposeHistory(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals);
void ProposeTrending(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals);
void ProposeOfCluster(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals);
void ProposePopular(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals);

// In the order in which they are asked, phase after phase. kSourceNames has their names.
inline constexpr CandidateSource kCandidateSources[] = {
    {.bit = kFromEmbedding,
     .phase = SourcePhase::kByEmbedding,
     .quota = &Config::Retrieval::embedding,
     .propose = ProposeNearest,
     .of_user = true},
    {.bit = kFromSimilarItems,
     .phase = SourcePhase::kByEmbedding,
     .quota = &Config::Retrieval::similar_items,
     .propose = ProposeSimilar,
     .of_user = true},
    {.bit = kFromNextItems,
     .phase = SourcePhase::kFromNewest,
     .quota = &Config::Retrieval::next_items,
     .propose = ProposeNextItems,
     .of_user = true},
    {.bit = kFromWalk,
     .phase = SourcePhase::kFromNewest,
     .quota = &Config::Retrieval::random_walk,
     .propose = ProposeWalked,
     .of_user = true,
     .spared_in_pressure = true},
    {.bit = kFromPageRank,
     .phase = SourcePhase::kFromNewest,
     .quota = &Config::Retrieval::page_rank,
     .propose = ProposeRanked,
     .of_user = true,
     .spared_in_pressure = true},
    {.bit = kFromHistory,
     .phase = SourcePhase::kFromNewest,
     .quota = &Config::Retrieval::history,
     .propose = ProposeHistory,
     .of_user = true,
     .of_seen_items = true},
    {.bit = kFromTrending,
     .phase = SourcePhase::kOfOthers,
     .quota = &Config::Retrieval::trending,
     .propose = ProposeTrending},
    {.bit = kFromCluster,
     .phase = SourcePhase::kOfOthers,
     .quota = &Config::Retrieval::macro_node,
     .propose = ProposeOfCluster,
     .of_user = true},
    {.bit = kFromPopular,
     .phase = SourcePhase::kFill,
     .quota = &Config::Retrieval::popular,
     .propose = ProposePopular},
};
static_assert(std::ranges::none_of(kCandidateSources, [](const CandidateSource& source) {
  return NameOf(source.bit).empty();
}));

// The items that each source proposes at most, 0 for one that is off; as configured by default, or
// as given.
class SourceQuotas {
 public:
  SourceQuotas() : SourceQuotas(Config::Retrieval{}) {}
  explicit SourceQuotas(const Config::Retrieval& config) {
    for (const CandidateSource& source : kCandidateSources) {
      (*this)[source.bit] = static_cast<size_t>(config.*source.quota);
    }
  }

  size_t& operator[](SourceBit source) { return quotas_[std::countr_zero<uint32_t>(source)]; }
  size_t operator[](SourceBit source) const { return quotas_[std::countr_zero<uint32_t>(source)]; }

 private:
  std::array<size_t, kSourceNames.size()> quotas_{};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_SOURCE_TABLE_H_
