// LearningCandidates: the candidates that a step of the blend learns from: what the sources propose
// in the state of the entries before it, to the bit, wherever the server was restarted.
//
//   always      next items, history, trending, clusters: functions of the graph's edges
//   in a whole  the embedding, similar items, walks too: of the trained vectors alone, since those
//   list        of new items are made in the background; walks among an item's newest users, since
//               of one with very many memory keeps a varying number
//
// The popular order is published by the clock, now and then: it is not asked.
#ifndef GROUNDSWELL_SERVER_PIPELINE_LEARNING_CANDIDATES_H_
#define GROUNDSWELL_SERVER_PIPELINE_LEARNING_CANDIDATES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "graph/fold/interaction_adjacency.h"
#include "graph/state/user_state.h"
#include "index/candidate_source.h"
#include "index/candidate_table.h"
#include "index/item_table.h"
#include "index/popular/trending_items.h"
#include "index/vectors/embedding_index.h"
#include "index/walks/history.h"
#include "index/walks/next_items.h"
#include "index/walks/random_walk_source.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/retrieval.h"

namespace groundswell {

// One thread's, the applier's where it serves.
class LearningCandidates {
 public:
  struct Query {
    const UserState& user;
    const RecentItems& recent;      // the user's
    std::span<const float> vector;  // theirs, of the trained vectors; empty: nothing is known
    const ItemFilter& filter;
    bool with_seen = false;  // the filter lets in what the user has
    // The user's cluster was there before what is learned from now.
    bool has_cluster = true;
    bool whole = false;
    uint64_t seed = 0;  // of the walks
  };

  // What proposes, following the graph of the entries before a step. Must outlive it.
  struct Parts {
    const InteractionAdjacency& adjacency;
    const TrendingItems& trending;
    const EmbeddingIndex& embedding_index;
  };
  LearningCandidates(const Parts& parts, const Retrieval::Options& options);
  // Of the state, which must outlive it.
  LearningCandidates(const LiveState& state, const Retrieval::Options& options);

  // In place of what is in the table.
  void Propose(const Query& query, CandidateTable& table);

  // Of what came after the user's newest items, as the last Propose found it.
  const ItemTable<NextItems::Strengths>& after_newest() const { return of_next_items_.strengths; }

 private:
  void ProposeOfGraph(const Query& query);
  void ProposeOfVectors(const Query& query);
  void Add(SourceBit source, std::vector<Candidate> list);
  std::vector<Candidate> Search(std::span<const float> vector, size_t count, const Query& query,
                                const EmbeddingIndex::View& trained) const;

  const Parts parts_;
  const SourceQuotas quotas_;
  const NextItems next_items_;
  const RandomWalkSource walks_;

  std::vector<std::pair<SourceBit, std::vector<Candidate>>> lists_;
  NextItems::Scratch of_next_items_;
  HistoryScratch of_history_;
  RandomWalkSource::Scratch of_walks_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_LEARNING_CANDIDATES_H_
