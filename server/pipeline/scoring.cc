#include "server/pipeline/scoring.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace groundswell {
namespace {

absl::Status TooLittleTime() {
  return absl::DeadlineExceededError("too little time was left to rank; allow a longer deadline");
}

void TakeItems(std::span<const Candidate> candidates, std::vector<ItemIndex>& items) {
  items.clear();
  for (const Candidate& candidate : candidates) items.push_back(candidate.item);
}

}  // namespace

Scoring::Scoring(const LiveState& state, PipelineMetrics* metrics, size_t item_cache_bytes,
                 Vectors vectors)
    : state_(state), metrics_(metrics), vectors_(vectors) {
  for (const auto& ranker : state_.snapshot->rankers()) {
    const size_t width = ranker->prepared_width();
    item_caches_.push_back(std::make_unique<ItemCache>(state_.graph->items().capacity(), width,
                                                       width > 0 ? item_cache_bytes : 0));
  }
}

Scoring::Scratch Scoring::NewScratch() const {
  Scratch scratch;
  for (const auto& ranker : state_.snapshot->rankers()) {
    scratch.rankers.push_back(ranker->NewScratch(kBlock));
  }
  scratch.vectors.live = state_.live_vectors->NewScratch();
  return scratch;
}

void Scoring::TouchCaches() {
  for (const auto& cache : item_caches_) cache->Touch(state_.catalogue->size());
}

absl::StatusOr<Scoring::Scores> Scoring::Score(const Ranker& ranker, const OverlaidUser& user,
                                               int64_t now_us, std::span<const Candidate> items,
                                               HasTime has_time, Scratch& scratch) const {
  if (!has_time()) return TooLittleTime();
  TakeItems(items, scratch.items);
  scratch.logits.resize(items.size());
  const RankerShape shape = ranker.shape();
  UserFeatures features = GatherUserFeatures(*state_.graph, shape, user.state, now_us,
                                             scratch.features, user.own_two_hop);
  const std::optional<EmbeddingIndex::View> vectors = VectorsFor(shape);
  if (vectors) GatherUserVector(state_, *vectors, user, scratch.vectors, features);
  absl::Status prepared = ranker.PrepareUser(features, *scratch.rankers[NumberOf(ranker)]);
  if (!prepared.ok()) return prepared;
  for (size_t begin = 0; begin < items.size(); begin += kBlock) {
    if (!has_time()) return TooLittleTime();
    const size_t count = std::min(kBlock, items.size() - begin);
    const auto block = std::span<const ItemIndex>(scratch.items).subspan(begin, count);
    ScoreBlock(ranker, block, vectors ? &*vectors : nullptr, scratch,
               std::span(scratch.logits).subspan(begin, count));
  }
  SinkOverflown(scratch.logits);
  return Scores{
      .logits = scratch.logits, .user = features, .newest_edges = scratch.features.newest_edges};
}

std::optional<EmbeddingIndex::View> Scoring::VectorsFor(const RankerShape& shape) const {
  if (shape.vector_width == 0) return std::nullopt;
  return vectors_ == Vectors::kNow ? state_.embedding_index->Now()
                                   : state_.embedding_index->Trained();
}

ItemFeatures Scoring::FeaturesOf(const RankerShape& shape, std::span<const ItemIndex> items,
                                 const EmbeddingIndex::View* items_now, Scratch& scratch) const {
  ItemFeatures features = GatherItemFeatures(*state_.graph, shape, items, scratch.features);
  if (items_now != nullptr) GatherItemVectors(*items_now, items, scratch.vectors, features);
  return features;
}

void Scoring::ScoreBlock(const Ranker& ranker, std::span<const ItemIndex> block,
                         const EmbeddingIndex::View* items_now, Scratch& scratch,
                         std::span<float> logits) const {
  const size_t number = NumberOf(ranker);
  RankerScratch& ranker_scratch = *scratch.rankers[number];
  if (ranker.prepared_width() == 0) {
    ranker.ScoreItems(FeaturesOf(ranker.shape(), block, items_now, scratch), ranker_scratch,
                      logits);
    return;
  }
  const std::span<const float> prepared =
      PrepareItems(*state_.graph, ranker, block, *item_caches_[number], ranker_scratch,
                   scratch.features, scratch.prepared_items);
  if (metrics_ != nullptr) {
    metrics_->CountPreparedItems(scratch.prepared_items.missing.size(), block.size());
  }
  ranker.ScorePrepared(prepared, ranker_scratch, logits);
}

void Scoring::SinkOverflown(std::span<float> logits) const {
  size_t count = 0;
  for (float& logit : logits) {
    if (!std::isnan(logit) && logit != std::numeric_limits<float>::infinity()) continue;
    logit = -std::numeric_limits<float>::infinity();
    ++count;
  }
  if (count > 0 && metrics_ != nullptr) metrics_->CountOverflownScores(count);
}

bool Scoring::Explain(const Ranker& ranker, const UserState& user, const Scores& scores,
                      std::span<const Candidate> items, HasTime has_time, Scratch& scratch,
                      Explanations& explanations) const {
  TakeItems(items, scratch.items);
  const std::optional<EmbeddingIndex::View> vectors = VectorsFor(ranker.shape());
  const ExplanationQuery query{
      .ranker = ranker,
      .user = scores.user,
      .items = FeaturesOf(ranker.shape(), scratch.items, vectors ? &*vectors : nullptr, scratch)};
  if (!groundswell::Explain(
          query, *scratch.rankers[NumberOf(ranker)], scratch.explanations,
          [&] { return has_time(); }, explanations)) {
    return false;
  }
  for (std::vector<Explanation>& of_item : explanations.of_item) {
    for (auto& [cause, contribution] : of_item) {
      if (cause.kind != Cause::Kind::kPastItem) continue;
      // The ranker knows places in the history alone; callers know items.
      cause.number = ToInt(user.edges[scores.newest_edges[cause.number]].item);
    }
  }
  return true;
}

// Place among the snapshot's rankers.
size_t Scoring::NumberOf(const Ranker& ranker) const {
  const auto rankers = state_.snapshot->rankers();
  const auto at = std::find_if(rankers.begin(), rankers.end(),
                               [&](const auto& one) { return one.get() == &ranker; });
  return static_cast<size_t>(at - rankers.begin());
}

}  // namespace groundswell
