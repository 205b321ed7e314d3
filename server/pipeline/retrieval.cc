#include "server/pipeline/retrieval.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "graph/state/user_edges.h"

namespace groundswell {
namespace {

// Newest items whose neighbours are looked for, one search each.
constexpr size_t kSimilarToItems = 3;
// Of quotas and candidates where there are to be fewer.
constexpr size_t kFewerDivisor = 4;
// Newest items that a user's vector is made of, and the sources of the live graph may start from.
constexpr size_t kRecentItems = LiveVectors::kNeighborsMax;

}  // namespace

Retrieval::Retrieval(const LiveState& state, PipelineMetrics& metrics, Options options)
    : state_(state),
      metrics_(metrics),
      options_(std::move(options)),
      co_occurrence_(*state.adjacency, options_.co_occurrence),
      walks_(*state.adjacency, options_.random_walk) {}

void Retrieval::FindRecent(const UserState& user, Scratch& scratch) const {
  NewestEdges(user, kRecentItems, scratch.newest_edges);
  scratch.recent.clear();
  scratch.newest.clear();
  for (const uint32_t at : scratch.newest_edges) {
    const Edge& edge = user.edges[at];
    scratch.newest.push_back(edge.item);
    scratch.recent.push_back({.item = edge.item,
                              .time_us = edge.last.time_us,
                              .weight = SumOf(user.EdgesTo(edge.item))});
  }
}

ComputeThread Retrieval::SiblingsFor(ComputeThread thread) const {
  const bool enough = thread.siblings != nullptr && options_.side_by_side_threads > 0 &&
                      thread.siblings->thread_count() >= options_.side_by_side_threads;
  return enough ? thread : ComputeThread{.number = thread.number};
}

const Retrieval::Source& Retrieval::SourceOf(uint32_t source) const {
  const Sources& sources = options_.sources;
  return source == kFromEmbedding      ? sources.embedding
         : source == kFromWalk         ? sources.random_walk
         : source == kFromCoOccurrence ? sources.co_occurrence
         : source == kFromSimilarItems ? sources.similar_items
         : source == kFromTrending     ? sources.trending
         : source == kFromMacroNode    ? sources.macro_node
         : source == kFromHistory      ? sources.history
                                       : sources.popular;
}

size_t Retrieval::QuotaOf(uint32_t source, const Query& query) const {
  const size_t quota = SourceOf(source).quota;
  if (query.only_sources == 0) {
    if (!query.fewer) return quota;
    return source == kFromWalk ? 0 : (quota + kFewerDivisor - 1) / kFewerDivisor;
  }
  if ((query.only_sources & source) == 0) return 0;
  return quota > 0 ? quota : options_.candidates;
}

size_t Retrieval::CandidatesMax(const Query& query) const {
  const bool fewer = query.fewer && query.only_sources == 0;
  return fewer ? (options_.candidates + kFewerDivisor - 1) / kFewerDivisor : options_.candidates;
}

void Retrieval::Add(std::vector<Candidate> found, uint32_t source,
                    std::vector<ProposedList>& proposed) const {
  metrics_.CountCandidates(source, found.size());
  for (Candidate& candidate : found) candidate.sources = source;
  proposed.push_back({.items = std::move(found), .weight = SourceOf(source).weight});
}

void Retrieval::Search(std::span<const float> vector, uint32_t source, size_t count,
                       const Query& query, Scratch& scratch, Result& result) const {
  if (count == 0) return;
  if (std::chrono::steady_clock::now() + options_.stage_reserve >= query.deadline) {
    result.skipped = true;
    return;
  }
  auto found =
      state_.embedding_index->Retrieve({.vector = vector, .filter = query.filter, .count = count});
  if (found.ok()) {
    Add(*std::move(found), source, scratch.proposed);
  } else {
    result.skipped = true;
  }
}

void Retrieval::ProposeByEmbedding(const Query& query, Scratch& scratch, Result& result) const {
  const size_t nearest = QuotaOf(kFromEmbedding, query);
  const size_t similar = QuotaOf(kFromSimilarItems, query);
  if (query.user == nullptr || nearest + similar == 0) return;
  const EmbeddingIndex::View items = state_.embedding_index->Now();
  const UserState& user = query.user->state;
  scratch.vector.resize(state_.live_vectors->dim());
  if (nearest > 0 && state_.live_vectors->OfUser(user.index, scratch.newest, user.item_count(),
                                                 query.user->joined, items, scratch.vector)) {
    Search(scratch.vector, kFromEmbedding, nearest, query, scratch, result);
  }
  if (similar == 0) return;
  const size_t starts = std::min(kSimilarToItems, scratch.newest.size());
  for (const ItemIndex item : std::span(scratch.newest).first(starts)) {
    const std::span<const float> vector = items.VectorOf(item);
    if (vector.empty()) continue;
    Search(vector, kFromSimilarItems, similar / starts, query, scratch, result);
  }
}

void Retrieval::ProposeFromNeighbors(const Query& query, Scratch& scratch) const {
  scratch.from_neighbors.clear();
  if (query.user == nullptr) return;
  CandidateQuery of_recent{.vector = {},
                           .filter = query.filter,
                           .recent = scratch.recent,
                           .seed = query.seed,
                           .deadline = query.deadline};
  if (of_recent.count = QuotaOf(kFromCoOccurrence, query); of_recent.count > 0) {
    Add(co_occurrence_.Retrieve(of_recent, scratch.co_occurrence), kFromCoOccurrence,
        scratch.from_neighbors);
  }
  if (of_recent.count = QuotaOf(kFromWalk, query); of_recent.count > 0) {
    if (auto found = walks_.Retrieve(of_recent); found.ok()) {
      Add(*std::move(found), kFromWalk, scratch.from_neighbors);
    }
  }
  if (const size_t quota = QuotaOf(kFromHistory, query); quota > 0) {
    Add(RetrieveHistory(query.user->state, query.filter_with_seen, quota, scratch.history),
        kFromHistory, scratch.from_neighbors);
  }
}

void Retrieval::ProposeTrending(const Query& query, Scratch& scratch) const {
  if (const size_t quota = QuotaOf(kFromTrending, query); quota > 0) {
    Add(state_.trending->Retrieve(query.categories, query.filter, quota), kFromTrending,
        scratch.proposed);
  }
  if (const size_t quota = QuotaOf(kFromMacroNode, query); quota > 0 && query.user != nullptr) {
    Add(state_.trending->RetrieveOfUserNode(query.user->state.cluster, query.filter, quota),
        kFromMacroNode, scratch.proposed);
  }
}

void Retrieval::ProposePopular(const Query& query, size_t count, Scratch& scratch) const {
  if (count == 0) return;
  auto popular = state_.popularity.Retrieve({.vector = {}, .filter = query.filter, .count = count});
  Add(popular.ok() ? *std::move(popular) : std::vector<Candidate>(), kFromPopular,
      scratch.proposed);
}

Retrieval::Result Retrieval::Propose(const Query& query, ComputeThread thread,
                                     Scratch& scratch) const {
  Result result;
  scratch.proposed.clear();
  if (query.user != nullptr) FindRecent(query.user->state, scratch);
  RunSideBySide(
      SiblingsFor(thread), [&] { ProposeByEmbedding(query, scratch, result); },
      [&] { ProposeFromNeighbors(query, scratch); });
  const bool fill = std::all_of(scratch.proposed.begin(), scratch.proposed.end(),
                                [](const ProposedList& list) { return list.items.empty(); });
  std::move(scratch.from_neighbors.begin(), scratch.from_neighbors.end(),
            std::back_inserter(scratch.proposed));
  ProposeTrending(query, scratch);
  const size_t candidates_max = CandidatesMax(query);
  size_t popular = QuotaOf(kFromPopular, query);
  if (popular > 0 && fill) popular = std::max(popular, candidates_max);
  ProposePopular(query, popular, scratch);
  result.items = MergeCandidates(scratch.proposed, candidates_max, options_.rank_constant);
  const size_t wanted = std::min(query.items_min, candidates_max);
  if (result.items.size() < wanted && popular < wanted && query.only_sources == 0) {
    if (popular > 0) scratch.proposed.pop_back();
    ProposePopular(query, wanted, scratch);
    result.items = MergeCandidates(scratch.proposed, candidates_max, options_.rank_constant);
  }
  return result;
}

}  // namespace groundswell
