// Retrieval: what a request's list is chosen from, proposed by several sources and merged.
//
//   source         proposes                                                     reads
//   embedding      the items nearest to the user's vector                       FAISS
//   similar_items  the items nearest to each of the user's newest items         FAISS
//   co_occurrence  what those who took the user's newest items took next        live graph
//   random_walk    what walks from the user's newest items meet                 live graph
//   trending       what most users took of late                                 live graph
//   macro_node     what most users of the user's macro node took of late        live graph
//   popular        the items with the most interactions                         live graph
//   history        what the user took before; the only one that proposes seen   live graph
//                  items
//
// Those that search by embedding run beside those that start from the user's newest items where a
// compute thread has nothing else to do; the answer is the same as one after the other.
// docs/retrieval.md has their equations.
#ifndef GROUNDSWELL_SERVER_PIPELINE_RETRIEVAL_H_
#define GROUNDSWELL_SERVER_PIPELINE_RETRIEVAL_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/fold/applier.h"
#include "graph/state/user_state.h"
#include "index/candidate_source.h"
#include "index/merge.h"
#include "index/walks/co_occurrence.h"
#include "index/walks/history.h"
#include "index/walks/random_walk_source.h"
#include "server/pipeline/admission.h"
#include "server/pipeline/live_state.h"
#include "server/process/metrics.h"

namespace groundswell {

// Immutable and thread-safe; each thread has its own scratch.
class Retrieval {
 public:
  // What one source may do.
  struct Source {
    size_t quota = 0;  // items that it proposes; 0 switches it off
    float weight = 1;  // of its votes, see MergeCandidates
  };
  struct Sources {
    Source embedding{.quota = 400};
    Source random_walk{.quota = 100};
    Source co_occurrence{.quota = 100};
    Source similar_items{.quota = 0};
    Source trending{.quota = 100};
    Source macro_node{.quota = 50};
    Source popular{.quota = 100};
    Source history{.quota = 0};
  };
  struct Options {
    size_t candidates = 600;   // of the merged list, at most
    float rank_constant = 10;  // see MergeCandidates
    // Compute threads from which on sources run side by side; 0: never. With few cores, those that
    // receive calls need what a compute thread leaves.
    size_t side_by_side_threads = 4;
    Sources sources;
    CoOccurrence::Options co_occurrence;
    RandomWalkSource::Options random_walk;
    std::chrono::nanoseconds stage_reserve{500'000};  // must remain to begin a search
  };
  struct Query {
    const OverlaidUser* user = nullptr;  // null: nobody knows them
    const ItemFilter& filter;
    const ItemFilter& filter_with_seen;    // the same, but for the rule on seen items
    std::span<const uint32_t> categories;  // the filter's own
    uint64_t seed = 0;                     // of the walks
    // SourceBits. 0: those with a quota. A source that is named and has none proposes
    // Options::candidates items.
    uint32_t only_sources = 0;
    // A quarter of each quota and of Options::candidates, and no walks; not with only_sources.
    bool fewer = false;
    size_t items_min = 0;  // popular items fill the list up to here, unless only_sources is set
    std::chrono::steady_clock::time_point deadline;
  };
  struct Scratch {
    std::vector<float> vector;
    std::vector<uint32_t> newest_edges;
    std::vector<RecentItem> recent;  // the user's newest items, newest first
    std::vector<ItemIndex> newest;   // the same
    CoOccurrence::Scratch co_occurrence;
    HistoryScratch history;
    std::vector<ProposedList> proposed;
    std::vector<ProposedList> from_neighbors;
  };
  struct Result {
    std::vector<Candidate> items;  // best first, without duplicates
    bool skipped = false;          // a search had no time, or failed
  };

  // What the sources that exist can propose from; the others are never in `only_sources`.
  static constexpr uint32_t kSources = kFromEmbedding | kFromWalk | kFromCoOccurrence |
                                       kFromSimilarItems | kFromTrending | kFromMacroNode |
                                       kFromPopular | kFromHistory;

  // The references must outlive it.
  Retrieval(const LiveState& state, PipelineMetrics& metrics, Options options);

  // Every source that may is asked for its quota. If the searches by embedding found nothing
  // (nobody known, no vector, no time), popular items fill the list; and so they do where all that
  // was proposed is less than items_min. There are fewer then only if no others are admitted.
  Result Propose(const Query& query, ComputeThread thread, Scratch& scratch) const;

 private:
  // `thread`, with its siblings if the sources are to run side by side.
  ComputeThread SiblingsFor(ComputeThread thread) const;
  const Source& SourceOf(uint32_t source) const;
  size_t QuotaOf(uint32_t source, const Query& query) const;
  size_t CandidatesMax(const Query& query) const;
  void Add(std::vector<Candidate> found, uint32_t source,
           std::vector<ProposedList>& proposed) const;
  void FindRecent(const UserState& user, Scratch& scratch) const;
  void Search(std::span<const float> vector, uint32_t source, size_t count, const Query& query,
              Scratch& scratch, Result& result) const;
  void ProposeByEmbedding(const Query& query, Scratch& scratch, Result& result) const;
  void ProposeFromNeighbors(const Query& query, Scratch& scratch) const;
  void ProposeTrending(const Query& query, Scratch& scratch) const;
  void ProposePopular(const Query& query, size_t count, Scratch& scratch) const;

  const LiveState& state_;
  PipelineMetrics& metrics_;
  const Options options_;
  const CoOccurrence co_occurrence_;
  const RandomWalkSource walks_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_RETRIEVAL_H_
