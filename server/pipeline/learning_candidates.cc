#include "server/pipeline/learning_candidates.h"

#include <algorithm>
#include <chrono>

#include "index/merge.h"

namespace groundswell {
namespace {

// As many as next items read.
constexpr size_t kWalkedUsersMax = 256;

RandomWalkSource::Options ExactWalks(RandomWalkSource::Options options) {
  options.walk.newest_max = kWalkedUsersMax;
  options.on_walk = nullptr;
  return options;
}

}  // namespace

LearningCandidates::LearningCandidates(const Parts& parts, const Retrieval::Options& options)
    : parts_(parts),
      quotas_(options.quotas),
      next_items_(parts.adjacency, options.next_items),
      walks_(parts.adjacency, ExactWalks(options.random_walk)) {}

LearningCandidates::LearningCandidates(const LiveState& state, const Retrieval::Options& options)
    : LearningCandidates({.adjacency = *state.adjacency,
                          .trending = *state.trending,
                          .embedding_index = *state.embedding_index},
                         options) {}

void LearningCandidates::Add(SourceBit source, std::vector<Candidate> list) {
  lists_.emplace_back(source, std::move(list));
}

void LearningCandidates::Propose(const Query& query, CandidateTable& table) {
  lists_.clear();
  ProposeOfGraph(query);
  if (query.whole) ProposeOfVectors(query);
  size_t proposed = 0;
  for (const auto& [source, list] : lists_) proposed += list.size();
  table.Reset(proposed);
  for (const auto& [source, list] : lists_) table.Add(source, list);
}

void LearningCandidates::ProposeOfGraph(const Query& query) {
  CandidateQuery from_recent{.vector = {},
                             .filter = query.filter,
                             .count = quotas_[kFromNextItems],
                             .recent = query.recent.items,
                             .seed = query.seed,
                             .deadline = std::chrono::steady_clock::time_point::max()};
  if (from_recent.count > 0) {
    Add(kFromNextItems, next_items_.Retrieve(from_recent, of_next_items_));
  }
  from_recent.count = quotas_[kFromWalk];
  if (query.whole && from_recent.count > 0) {
    Add(kFromWalk, walks_.Retrieve(from_recent, of_walks_));
  }
  if (const size_t count = quotas_[kFromHistory]; count > 0 && query.with_seen) {
    Add(kFromHistory, RetrieveHistory(query.user, query.filter, count, of_history_));
  }
  if (const size_t count = quotas_[kFromTrending]; count > 0) {
    Add(kFromTrending, parts_.trending.Retrieve({}, query.filter, count));
  }
  if (const size_t count = quotas_[kFromCluster]; count > 0 && query.has_cluster) {
    Add(kFromCluster, parts_.trending.RetrieveOfCluster(query.user.cluster, query.filter, count));
  }
}

void LearningCandidates::ProposeOfVectors(const Query& query) {
  const EmbeddingIndex::View trained = parts_.embedding_index.Trained();
  if (const size_t count = quotas_[kFromEmbedding]; count > 0 && !query.vector.empty()) {
    Add(kFromEmbedding, Search(query.vector, count, query, trained));
  }
  const size_t count = quotas_[kFromSimilarItems];
  const size_t starts = std::min(kSimilarToItems, query.recent.newest.size());
  if (count == 0 || starts == 0) return;
  std::vector<std::vector<Candidate>> lists;
  for (const ItemIndex item : std::span(query.recent.newest).first(starts)) {
    const std::span<const float> vector = trained.VectorOf(item);
    if (!vector.empty()) lists.push_back(Search(vector, count / starts, query, trained));
  }
  Add(kFromSimilarItems, MergeCandidates(lists, count));
}

std::vector<Candidate> LearningCandidates::Search(std::span<const float> vector, size_t count,
                                                  const Query& query,
                                                  const EmbeddingIndex::View& trained) const {
  if (count == 0) return {};
  auto found = parts_.embedding_index.Retrieve(
      {.vector = vector, .filter = query.filter, .count = count}, trained);
  return found.ok() ? *std::move(found) : std::vector<Candidate>();
}

}  // namespace groundswell
