#include "server/options.h"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace groundswell {

std::vector<std::string> EventTypeNames(const Config& config) {
  std::vector<std::string> names;
  for (const auto& [name, weight] : config.event_types) names.push_back(name);
  return names;
}

RandomWalkSource::Options WalkOptionsOf(const Config& config, PipelineMetrics& metrics) {
  return {.walk = {.steps = static_cast<size_t>(config.walk.steps),
                   .restart = static_cast<double>(config.walk.restart_percent) / 100,
                   .goal_items = static_cast<size_t>(config.walk.goal_items),
                   .goal_visits = static_cast<uint32_t>(config.walk.goal_visits),
                   .recency_bias = static_cast<int>(config.walk.recency_bias)},
          .starts_max = static_cast<size_t>(config.walk.starts_max),
          .half_life = std::chrono::seconds(config.walk.half_life_s),
          .on_walk = [&metrics](const WalkSummary& summary) { metrics.CountWalk(summary); }};
}

Retrieval::Options RetrievalOptionsOf(const Config& config, PipelineMetrics& metrics) {
  const auto& retrieval = config.retrieval;
  const auto source = [](int64_t quota, int64_t weight) {
    return Retrieval::Source{.quota = static_cast<size_t>(quota),
                             .weight = static_cast<float>(weight) / 100};
  };
  return {
      .candidates = static_cast<size_t>(retrieval.candidates),
      .rank_constant = static_cast<float>(retrieval.rank_constant),
      .side_by_side_threads = static_cast<size_t>(retrieval.side_by_side_threads),
      .sources = {.embedding = source(retrieval.embedding, retrieval.embedding_weight),
                  .random_walk = source(retrieval.random_walk, retrieval.random_walk_weight),
                  .co_occurrence = source(retrieval.co_occurrence, retrieval.co_occurrence_weight),
                  .similar_items = source(retrieval.similar_items, retrieval.similar_items_weight),
                  .trending = source(retrieval.trending, retrieval.trending_weight),
                  .macro_node = source(retrieval.macro_node, retrieval.macro_node_weight),
                  .popular = source(retrieval.popular, retrieval.popular_weight),
                  .history = source(retrieval.history, retrieval.history_weight)},
      .co_occurrence = {.half_life_s = static_cast<double>(retrieval.co_occurrence_half_life_s)},
      .random_walk = WalkOptionsOf(config, metrics),
      .stage_reserve = std::chrono::microseconds(config.request.rank_reserve_us)};
}

LoadOptions LoadOptionsOf(const Config& config) {
  return {.index = {.flat_max_items = static_cast<size_t>(config.retrieval.flat_max_items),
                    .factory = config.retrieval.factory,
                    .nprobe = static_cast<size_t>(config.retrieval.nprobe),
                    .ef_search = static_cast<size_t>(config.retrieval.ef_search),
                    .rescore_factor = static_cast<size_t>(config.retrieval.rescore_factor),
                    .changes_max = static_cast<size_t>(config.retrieval.changes_max)},
          .new_items_max = static_cast<size_t>(config.graph.new_items_max),
          .trending_half_life_s = static_cast<double>(config.retrieval.trending_half_life_s),
          .popularity_half_life_s = static_cast<double>(config.retrieval.popularity_half_life_s),
          .neighbors_max = static_cast<size_t>(config.graph.neighbors_max)};
}

}  // namespace groundswell
