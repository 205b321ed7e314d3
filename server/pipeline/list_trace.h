// ListTrace: how items came into a list, or did not: what each stage of its making made of them.
#ifndef GROUNDSWELL_SERVER_PIPELINE_LIST_TRACE_H_
#define GROUNDSWELL_SERVER_PIPELINE_LIST_TRACE_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "graph/ids.h"
#include "index/candidate_source.h"
#include "server/pipeline/ranked_list.h"
#include "server/pipeline/retrieval.h"

namespace groundswell {

// Where an item of the catalogue ended.
enum class ListOutcome {
  kListed,
  kFiltered,        // TracedItem::filtered_by
  kNotProposed,     // no source had it
  kNotChosen,       // behind the best of what was proposed
  kBehindLastPage,  // the list is longer than its pages
};

// A rule that keeps an item out of a list.
enum class ListFilter { kNotAvailable, kCategory, kExcluded, kSeen, kHidden };

// What moves items once they are ordered, in this sequence.
enum class ListStep { kBoost, kDiversity, kPin, kCategoryLimit, kLength };

// Places are from 1; 0: none.
struct ScoredPlace {
  size_t place = 0;
  float score = 0;
};

struct SourcePlace {
  SourceBit source{};
  size_t place = 0;
  float score = 0;  // of the source's own scale
};

struct ListMove {
  ListStep step{};
  size_t from = 0;
  size_t to = 0;
};

struct TracedItem {
  ItemIndex item{};
  ListOutcome outcome = ListOutcome::kNotProposed;
  std::vector<ListFilter> filtered_by;  // each alone would keep it out
  std::vector<SourcePlace> sources;     // that proposed it
  std::optional<ScoredPlace> blend;     // among all that were proposed, before the ranker
  std::optional<ScoredPlace> ranker;    // among those that it scored, by its probability
  std::optional<ScoredPlace> order;     // in the list as ordered, before boosts; by what orders it
  float boost = 1;
  size_t pin = 0;               // the place that a rule gives it
  std::vector<ListMove> moves;  // as they happened, without those that left it where it was
  size_t place = 0;             // in the list
  // The largest first; of an item that the blend chose, where the list is in its order.
  std::vector<BlendTermOfItem> blend_terms;
};

struct TracedSource {
  SourceBit source{};
  SourceState state = SourceState::kAsked;
  size_t quota = 0;
  size_t proposed = 0;
};

struct ListTrace {
  RankedList list;  // as Pipeline::Recommend has it, unexplained, as long as its pages are
  std::vector<TracedSource> sources;  // in the order in which they are asked
  size_t proposed = 0;                // different items
  size_t chosen = 0;                  // of these
  size_t ranked = 0;                  // of these
  std::vector<TracedItem> items;      // as asked
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_LIST_TRACE_H_
