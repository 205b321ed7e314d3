// PastCandidates: what the sources of a server would have proposed just before an event of a past
// log, and negatives drawn from it: what a ranker is asked to order, and the user did not take.
//
// The candidates are those that the blend learns from (server/pipeline/learning_candidates.h), of
// sources chosen by their quotas. What the user has is left out, as from every negative: so the own
// past is not asked. Neither is what the user takes in the same second a negative, since lines of
// one invoice are one decision.
#ifndef GROUNDSWELL_SERVER_OFFLINE_PAST_CANDIDATES_H_
#define GROUNDSWELL_SERVER_OFFLINE_PAST_CANDIDATES_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/state/user_state.h"
#include "index/candidate_table.h"
#include "index/popular/trending_items.h"
#include "index/vectors/live_vectors.h"
#include "server/offline/past_log.h"
#include "server/pipeline/learning_candidates.h"
#include "server/pipeline/source_table.h"

namespace groundswell {

// Quotas of the sources that are named, with commas between them: those that a server has by
// default, or 100 for a source that it has switched off. The others are 0. InvalidArgument for one
// that is not asked here, with the names of those that are.
absl::StatusOr<SourceQuotas> QuotasOfNamed(std::string_view names);

// How negatives are drawn from a list.
struct CandidateDraw {
  SourceQuotas quotas;
  // As many from what each source proposes, taken in turn, so that a source which proposes little
  // counts as much; else any candidate is as likely as any other.
  bool by_source = true;
};

// A user just before an event.
struct PastAsker {
  const UserState& user;
  bool is_known = true;  // to a server: trained with the snapshot, or an event was applied
  int64_t time_s = 0;
  ItemIndex positive{};
  // The event itself and those behind it, in time order.
  std::span<const PastLog::Event> now_and_later;
};

class PastCandidates {
 public:
  // All must outlive it and follow the graph as the log passes.
  struct Sources {
    const InteractionAdjacency& adjacency;
    TrendingItems& trending;
    const EmbeddingIndex& embedding_index;
    const LiveVectors& vectors;
  };
  PastCandidates(const Sources& sources, const CandidateDraw& draw);

  // The items of the list of that moment that are no positive, in the order of the sources; until
  // the next call.
  std::span<const ItemIndex> Find(const PastAsker& asker, uint64_t seed);

  // Appends `count` of what Find found, each at most once, or all there are if they are fewer.
  // Deterministic under the state of `random`.
  void Draw(size_t count, std::mt19937_64& random, std::vector<ItemIndex>& out);

 private:
  void FindVector(const PastAsker& asker);
  ItemFilter FilterFor(const PastAsker& asker);
  void DrawUniformly(size_t count, std::mt19937_64& random, std::vector<ItemIndex>& out);
  void DrawBySource(size_t count, std::mt19937_64& random, std::vector<ItemIndex>& out);
  // One of the source that was not drawn yet; false when there is none.
  bool DrawOne(std::vector<uint32_t>& of_source, std::mt19937_64& random,
               std::vector<ItemIndex>& out);

  const Sources sources_;
  const CandidateDraw draw_;
  LearningCandidates candidates_;

  // Memory of one event at a time, grown by the first ones.
  CandidateTable table_;
  RecentItems recent_;
  LiveVectors::Scratch of_vectors_;
  std::vector<float> vector_;
  std::vector<ItemIndex> seen_;
  std::vector<ItemIndex> taken_now_;
  std::vector<ItemIndex> found_;
  std::vector<std::vector<uint32_t>> pools_;  // positions in `found_`, by source
  std::vector<bool> is_drawn_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_PAST_CANDIDATES_H_
