// Retrieval: what a request's list is chosen from, proposed by several sources.
// source_table.h lists them; docs/retrieval.md has their equations.
#ifndef GROUNDSWELL_SERVER_PIPELINE_RETRIEVAL_H_
#define GROUNDSWELL_SERVER_PIPELINE_RETRIEVAL_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "graph/fold/applier.h"
#include "graph/state/user_state.h"
#include "index/candidate_source.h"
#include "index/candidate_table.h"
#include "index/walks/next_items.h"
#include "index/walks/page_rank.h"
#include "index/walks/random_walk_source.h"
#include "server/pipeline/admission.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/source_table.h"
#include "server/process/metrics.h"

namespace groundswell {

// What a user took last, newest first. Its memory is used again.
struct RecentItems {
  std::vector<uint32_t> newest_edges;
  std::vector<RecentItem> items;
  std::vector<ItemIndex> newest;  // the same
};

// Of a user (null: nobody knows them), as many as sources may start from.
void FindRecentItems(const UserState* user, RecentItems& recent);

// Whether a source is asked, and where it is not, why.
enum class SourceState {
  kAsked,
  kOff,            // its quota is 0
  kNotNamed,       // the request names others
  kSeenLeftOut,    // it proposes seen items alone, which are left out
  kUnderPressure,  // there are to be fewer candidates
  kUserUnknown,    // it begins with what is known of the user
  kNoVector,       // the user has none
};

// Immutable and thread-safe; each thread has its own scratch.
class Retrieval {
 public:
  static constexpr size_t kAllCandidates = std::numeric_limits<size_t>::max();

  struct Options {
    size_t candidates = 600;  // that a list is made of, at most
    // Of these, the best by the blend, that a ranker with a vote in it scores at most.
    size_t ranked = 120;
    // Compute threads from which on sources run side by side; 0: never. With few cores, those that
    // receive calls need what a compute thread leaves.
    size_t side_by_side_threads = 4;
    SourceQuotas quotas;
    NextItems::Options next_items;
    RandomWalkSource::Options random_walk;
    PageRankSource::Options page_rank;
    std::chrono::nanoseconds stage_reserve{500'000};  // must remain to begin a search
  };
  struct Query {
    const OverlaidUser* user = nullptr;  // null: nobody knows them
    const ItemFilter& filter;
    const ItemFilter& filter_with_seen;    // the same, but for the rule on seen items
    bool include_seen = false;             // the two are the same
    std::span<const uint32_t> categories;  // the filter's own
    uint64_t seed = 0;                     // of the walks
    int64_t newest_event_us = 0;           // of anybody's: the time that a visit is told by
    // SourceBits. 0: those with a quota. A source that is named and has none proposes
    // Options::candidates items.
    uint32_t only_sources = 0;
    // A quarter of each quota and of Options::candidates, and no walks; not with only_sources.
    bool fewer = false;
    size_t items_min = 0;  // popular items fill the list up to here, unless only_sources is set
    std::chrono::steady_clock::time_point deadline;
  };
  struct Scratch {
    RecentItems recent;  // the user's
    LiveVectors::Scratch live_vectors;
    std::vector<float> vector;  // theirs; empty: nothing is known
    CandidateTable table;       // what all sources proposed
    SourceScratch of_sources;
    Proposals proposed;
    Proposals from_newest;
  };
  struct Result {
    size_t candidates_max = 0;  // to keep of the table
    bool skipped = false;       // a search had no time, or failed
  };

  // Those that propose; the others are never in `only_sources`.
  static constexpr uint32_t kSources = [] {
    uint32_t bits = 0;
    for (const CandidateSource& source : kCandidateSources) bits |= source.bit;
    return bits;
  }();

  // The references must outlive it.
  Retrieval(const LiveState& state, PipelineMetrics& metrics, Options options);

  Scratch NewScratch() const;

  // What a source is asked for: 0 items, unless it is kAsked.
  struct Quota {
    size_t items = 0;
    SourceState state = SourceState::kAsked;
  };
  Quota QuotaOf(const CandidateSource& source, const Query& query) const;

  // Every source that may is asked for its quota. If the searches by embedding found nothing
  // (nobody known, no vector, no time), popular items fill the list; and so they do where all that
  // was proposed is less than items_min. There are fewer then only if no others are admitted.
  // The proposals are in scratch.table, and the user's newest items and vector beside it.
  Result Propose(const Query& query, ComputeThread thread, Scratch& scratch) const;

 private:
  // `thread`, with its siblings if the sources are to run side by side.
  ComputeThread SiblingsFor(ComputeThread thread) const;
  size_t CandidatesMax(const Query& query) const;
  void FindVector(const Query& query, Scratch& scratch) const;
  void Ask(const CandidateSource& source, size_t count, SourceQuery asked, SourceScratch& scratch,
           Proposals& proposals) const;
  void AskAll(SourcePhase phase, const Query& query, const SourceQuery& asked,
              SourceScratch& scratch, Proposals& proposals) const;

  PipelineMetrics& metrics_;
  const Options options_;
  const SourceParts parts_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_RETRIEVAL_H_
