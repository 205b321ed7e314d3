#include "server/serving/graph_follower.h"

#include <spdlog/spdlog.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/pipeline/blend_learner.h"

namespace groundswell {

void CountEdges(const UserState& user, std::span<const uint32_t> category_of_item,
                FadingCounts& fading_counts, ItemAges& item_ages, TrendingItems& trending) {
  ForEachItem(user, [&](ItemIndex item, std::span<const Edge> edges) {
    const EdgeChange came{.user = user.index,
                          .item = item,
                          .cluster_before = user.cluster,
                          .cluster_after = user.cluster,
                          .before = {},
                          .after = edges};
    fading_counts.Change(came);
    item_ages.Change(came);
    trending.Change(came, category_of_item[ToInt(item)]);
  });
}

void FollowGraph(const LiveState& state, Applier::Options& options) {
  options.fold.on_edges_changed = [&state](const EdgeChange& change) {
    state.adjacency->Change(change);
    state.fading_counts->Change(change);
    state.item_ages->Change(change);
    state.trending->Change(change, state.catalogue->CategoryNumber(change.item));
    state.new_item_vectors->Change(change);
  };
  options.fold.on_upserted = [&state](ItemIndex item, const UpsertItem& upserted,
                                      std::optional<uint32_t> category_before) {
    const bool has_vector =
        upserted.clusters_of == state.snapshot->digest() && !upserted.embedding.empty();
    if (has_vector) {
      state.new_item_vectors->Given(item);
      // Fails where there is no room, and for numbers that no server takes any more.
      state.embedding_index->Upsert(item, upserted.embedding).IgnoreError();
    }
    if (category_before.has_value()) {
      state.trending->Recategorize(item, *category_before, state.catalogue->CategoryNumber(item));
    }
  };
  options.fold.on_removed = [&state](ItemIndex item) {
    // The catalogue hides it already; this gives back its place in the index.
    state.embedding_index->Remove(item).IgnoreError();
  };
}

absl::Status FollowWithBlend(LiveState& state, const Retrieval::Options& retrieval, bool learns,
                             Applier::Options& options) {
  const auto learner = std::make_shared<BlendLearner>(state, retrieval);
  const auto stored = state.generation.ReadLearned();
  if (!stored.ok()) return stored.status();
  if (!stored->has_value()) {
    spdlog::info("the blend has learned nothing yet: it begins with the snapshot's weights");
  } else if (absl::Status s = learner->Restore(**stored); !s.ok()) {
    // Of another version, whose features were others: a server that cannot start is worse.
    spdlog::warn("{}: the blend begins anew with the snapshot's weights", std::string(s.message()));
    learner->BeginAnew();
  } else {
    const BlendModel::Learned& learned = learner->model().learned();
    spdlog::info(
        "the blend has learned from {} interactions; {} more were not among the candidates",
        learned.steps, learned.missed);
  }
  state.blend_learner = learner;
  Fold::Learning& learning = options.fold.learning;
  learning.begin_anew = [learner] { learner->BeginAnew(); };
  learning.take_changed = [learner] { return learner->TakeChanged(); };
  if (learns) {
    learning.before_applied = [learner](const Fold::Arrival& arrival) {
      learner->BeforeApplied(arrival);
    };
  }
  return absl::OkStatus();
}

void RefreshPopularity(LiveState& state) {
  std::vector<Count> totals(state.catalogue->size());
  std::vector<float> fading(totals.size());
  state.fading_counts->Read(kPopularScale, fading);
  for (uint32_t item = 0; item < totals.size(); ++item) {
    totals[item] = state.graph->items().Total(ItemIndex{item});
  }
  state.popularity.Update(fading, totals);
}

GraphFollower::GraphFollower(const ServingCell& serving, PipelineMetrics& metrics,
                             std::chrono::milliseconds interval)
    : serving_(serving),
      metrics_(metrics),
      thread_({.name = "popularity"}, interval, [this, interval](const PeriodicThread::KeepGoing&) {
        Follow();
        return interval;
      }) {}

void GraphFollower::Follow() {
  const std::shared_ptr<ServingState> state = serving_.Get();
  const Offset applied = state->applier->applied_offset();
  if (applied != published_) RefreshPopularity(*state);
  const NewItemVectors::Refreshed made = state->new_item_vectors->Refresh();
  metrics_.CountVectors(VectorSide::kItem, VectorRung::kEncoder, made.by_encoder);
  metrics_.CountVectors(VectorSide::kItem, VectorRung::kRule, made.by_rule);
  metrics_.CountVectors(VectorSide::kItem, VectorRung::kNone, made.without);
  published_ = applied;
}

}  // namespace groundswell
