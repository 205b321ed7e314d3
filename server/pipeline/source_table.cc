#include "server/pipeline/source_table.h"

#include <algorithm>

#include "index/merge.h"

namespace groundswell {
namespace {

// A search takes what it takes: it is begun only where there is time for it.
std::vector<Candidate> Search(std::span<const float> vector, size_t count, const SourceQuery& query,
                              Proposals& proposals) {
  if (count == 0) return {};
  if (std::chrono::steady_clock::now() + query.parts.stage_reserve >= query.deadline) {
    proposals.skipped = true;
    return {};
  }
  auto found = query.parts.state.embedding_index->Retrieve(
      {.vector = vector, .filter = query.filter, .count = count});
  if (found.ok()) return *std::move(found);
  proposals.skipped = true;
  return {};
}

CandidateQuery FromRecent(const SourceQuery& query) {
  return {.vector = {},
          .filter = query.filter,
          .count = query.count,
          .recent = query.recent,
          .seed = query.seed,
          .deadline = query.deadline};
}

}  // namespace

void ProposeNearest(const SourceQuery& query, SourceScratch& /*scratch*/, Proposals& proposals) {
  if (query.vector.empty()) return;
  proposals.Add(Search(query.vector, query.count, query, proposals));
}

void ProposeSimilar(const SourceQuery& query, SourceScratch& /*scratch*/, Proposals& proposals) {
  const EmbeddingIndex::View items = query.parts.state.embedding_index->Now();
  const size_t starts = std::min(kSimilarToItems, query.recent.size());
  std::vector<std::vector<Candidate>> lists;
  for (const RecentItem& recent : query.recent.first(starts)) {
    const std::span<const float> vector = items.VectorOf(recent.item);
    if (vector.empty()) continue;
    lists.push_back(Search(vector, query.count / starts, query, proposals));
  }
  proposals.Add(MergeCandidates(lists, query.count));
}

void ProposeNextItems(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals) {
  proposals.Add(query.parts.next_items.Retrieve(FromRecent(query), scratch.next_items));
}

void ProposeWalked(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals) {
  proposals.Add(query.parts.walks.Retrieve(FromRecent(query), scratch.walk));
}

void ProposeRanked(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals) {
  proposals.Add(query.parts.page_rank.Retrieve(FromRecent(query), scratch.page_rank));
}

void ProposeHistory(const SourceQuery& query, SourceScratch& scratch, Proposals& proposals) {
  proposals.Add(
      RetrieveHistory(query.user->state, query.filter_with_seen, query.count, scratch.history));
}

void ProposeTrending(const SourceQuery& query, SourceScratch& /*scratch*/, Proposals& proposals) {
  proposals.Add(query.parts.state.trending->Retrieve(query.categories, query.filter, query.count));
}

void ProposeOfCluster(const SourceQuery& query, SourceScratch& /*scratch*/, Proposals& proposals) {
  proposals.Add(query.parts.state.trending->RetrieveOfCluster(query.user->state.cluster,
                                                              query.filter, query.count));
}

void ProposePopular(const SourceQuery& query, SourceScratch& /*scratch*/, Proposals& proposals) {
  proposals.Add(query.parts.state.popularity.Retrieve(query.filter, query.count));
}

}  // namespace groundswell
