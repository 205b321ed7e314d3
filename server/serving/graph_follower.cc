#include "server/serving/graph_follower.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace groundswell {

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
    if (has_vector && state.embedding_index->Upsert(item, upserted.embedding).ok()) {
      state.new_item_vectors->Given(item);
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

void RefreshPopularity(LiveState& state) {
  std::vector<Count> totals(state.catalogue->size());
  std::vector<float> fading(totals.size());
  state.fading_counts->Read(kPopularScale, fading);
  for (uint32_t item = 0; item < totals.size(); ++item) {
    totals[item] = state.graph->items().Total(ItemIndex{item});
  }
  state.popularity.Update(fading, totals);
}

GraphFollower::GraphFollower(const ServingCell& serving, std::chrono::milliseconds interval)
    : serving_(serving),
      thread_({.name = "popularity"}, interval, [this, interval](const PeriodicThread::KeepGoing&) {
        Follow();
        return interval;
      }) {}

void GraphFollower::Follow() {
  const std::shared_ptr<ServingState> state = serving_.Get();
  const Offset applied = state->applier->applied_offset();
  if (applied != published_) RefreshPopularity(*state);
  state->new_item_vectors->Refresh();
  published_ = applied;
}

}  // namespace groundswell
