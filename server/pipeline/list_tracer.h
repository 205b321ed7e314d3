// ListTracer: follows items through the stages of one list, by what each stage left behind. It
// decides nothing and changes nothing.
#ifndef GROUNDSWELL_SERVER_PIPELINE_LIST_TRACER_H_
#define GROUNDSWELL_SERVER_PIPELINE_LIST_TRACER_H_

#include <cstddef>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "index/candidate_source.h"
#include "index/candidate_table.h"
#include "server/pipeline/blend_order.h"
#include "server/pipeline/list_trace.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/query.h"
#include "server/pipeline/ranked_list.h"
#include "server/pipeline/retrieval.h"

namespace groundswell {

// Told of each stage that there is, in the order of the functions. For one thread.
class ListTracer {
 public:
  // References must outlive it. `items_max`: of all pages of the list.
  ListTracer(const RecommendQuery& query, const LiveState& state, size_t items_max,
             std::span<const ItemIndex> items);

  // `asked`: as the retrieval was, filters of no account; `chosen` of the table.
  void Retrieved(const Retrieval& retrieval, const Retrieval::Query& asked, CandidateTable& table,
                 std::span<const Candidate> chosen);
  // As BlendOrder::Choose left them.
  void Blended(const CandidateTable& table, const BlendOrder::Scratch& blend);
  // `list` has the probabilities of these logits.
  void Ranked(std::span<const Candidate> scored, std::span<const float> logits,
              std::span<const Candidate> list);
  // The terms of the blend, as it ordered the list.
  void Explained(const BlendOrder& blend, const BlendOrder::Scratch& scratch);
  // `scores` are of `chosen`; empty: the candidates' own count.
  void Ordered(std::span<const Candidate> chosen, std::span<const float> scores,
               std::vector<Candidate> unboosted);
  // From what the list was when it was last told to what it is now.
  void Moved(ListStep step, const std::vector<Candidate>& list);

  // `seen` and `hidden`: what the user's list leaves out.
  ListTrace Finish(std::span<const ItemIndex> seen, std::span<const ItemIndex> hidden,
                   RankedList list);

 private:
  void TraceProposals(SourceBit source, const CandidateTable::Column& column,
                      std::span<const Candidate> rows);
  std::vector<ListFilter> FiltersOf(ItemIndex item, std::span<const ItemIndex> seen,
                                    std::span<const ItemIndex> hidden) const;

  const RecommendQuery& query_;
  const LiveState& state_;
  const size_t items_max_;
  ListTrace trace_;
  std::vector<Candidate> last_;  // the list as it was last told
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_LIST_TRACER_H_
