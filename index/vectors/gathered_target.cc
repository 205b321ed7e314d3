#include "index/vectors/gathered_target.h"

#include <algorithm>

#include "graph/state/user_edges.h"

namespace groundswell {

void GatheredTarget::Begin(const EncoderShape& shape, uint32_t index) {
  target_row_ = index < shape.target_rows ? index : kNoRow;
  rows_.clear();
  degrees_.clear();
  counts_.clear();
  times_.clear();
  vectors_.clear();
  clusters_.clear();
}

const EncoderInput& GatheredTarget::End() {
  begin_.assign({0, rows_.size()});
  input_ = {.targets = 1,
            .row = std::span(&target_row_, 1),
            .neighbors = {.begin = begin_,
                          .row = rows_,
                          .degree = degrees_,
                          .count = counts_,
                          .time_s = times_,
                          .vector = vectors_},
            .clusters = clusters_};
  return input_;
}

const EncoderInput& GatheredTarget::OfUser(const EncoderSources& sources, const EncoderShape& shape,
                                           const UserState& user, std::span<const ItemIndex> joined,
                                           const EmbeddingIndex::View& items) {
  Begin(shape, ToInt(user.index));
  NewestEdges(user, std::min(shape.neighbors, kGatheredMax), newest_edges_);
  for (const uint32_t at : newest_edges_) {
    const Edge& edge = user.edges[at];
    rows_.push_back(ToInt(edge.item) < shape.neighbor_rows ? ToInt(edge.item) : kNoRow);
    if (shape.degrees) {
      const size_t users = sources.adjacency.users_of_items().Degree(ToInt(edge.item)) +
                           std::ranges::binary_search(joined, edge.item);
      degrees_.push_back(std::min(users, kDegreeMax));
    }
    if (shape.counts) counts_.push_back(SumOf(user.EdgesTo(edge.item)));
    if (shape.times) times_.push_back(edge.last.time_us / kMicrosPerSecond);
    if (shape.vectors) vectors_.push_back(items.VectorOf(edge.item));
  }
  if (shape.clusters > 0) {
    clusters_.resize(shape.clusters);
    sources.graph->GatherUser(user, clusters_, {});
  }
  return End();
}

const EncoderInput& GatheredTarget::OfItem(const EncoderSources& sources, const EncoderShape& shape,
                                           ItemIndex item) {
  Begin(shape, ToInt(item));
  users_.clear();
  if (shape.neighbors > 0) sources.adjacency.users_of_items().CopyTo(ToInt(item), users_);
  std::ranges::reverse(users_);
  const size_t read = std::min({users_.size(), shape.neighbors, kGatheredMax});
  for (const Neighbor& user : std::span(users_).first(read)) {
    rows_.push_back(user.node < shape.neighbor_rows ? user.node : kNoRow);
    if (shape.degrees) {
      degrees_.push_back(
          std::min(sources.adjacency.items_of_users().Degree(user.node), kDegreeMax));
    }
    if (shape.counts) counts_.push_back(user.weight);
    if (shape.times) times_.push_back(user.time_s);
    if (shape.vectors) {
      const bool is_trained = (size_t{user.node} + 1) * sources.dim <= sources.trained_users.size();
      vectors_.push_back(is_trained
                             ? sources.trained_users.subspan(user.node * sources.dim, sources.dim)
                             : std::span<const float>());
    }
  }
  return End();
}

}  // namespace groundswell
