#include "server/recommend/shadow_ranking.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "server/pipeline/pipeline.h"

namespace groundswell {
namespace {

// The first items by score, ascending by item.
std::vector<ItemIndex> FirstItems(size_t first, std::span<const Candidate> items,
                                  const auto& score_of) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto end = order.begin() + static_cast<ptrdiff_t>(std::min(first, order.size()));
  std::partial_sort(order.begin(), end, order.end(), [&](size_t a, size_t b) {
    return std::pair(-score_of(a), items[a].item) < std::pair(-score_of(b), items[b].item);
  });
  std::vector<ItemIndex> found;
  for (auto at = order.begin(); at != end; ++at) found.push_back(items[*at].item);
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

double OverlapOfFirst(size_t first, std::span<const Candidate> items,
                      std::span<const float> scores) {
  if (items.empty()) return 1;
  const auto one = FirstItems(first, items, [&](size_t at) { return items[at].score; });
  const auto other = FirstItems(first, items, [&](size_t at) { return scores[at]; });
  std::vector<ItemIndex> both;
  std::set_intersection(one.begin(), one.end(), other.begin(), other.end(),
                        std::back_inserter(both));
  return static_cast<double>(both.size()) / static_cast<double>(one.size());
}

ShadowRanking::ShadowRanking(Options options, Admission& admission, PipelineMetrics& metrics)
    : options_(std::move(options)), admission_(admission), metrics_(metrics) {}

absl::Status ShadowRanking::Check(const Snapshot& snapshot) const {
  if (options_.ranker.empty() || snapshot.FindRanker(options_.ranker) != nullptr) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      fmt::format("ranking.shadow is \"{}\", which snapshot {} does not have", options_.ranker,
                  snapshot.manifest().FullVersion()));
}

void ShadowRanking::Offer(const std::shared_ptr<ServingState>& state, const std::string& user_id,
                          std::shared_ptr<const RankedList> list) {
  if (options_.ranker.empty() || list->ranker.empty() || list->ranker == options_.ranker) return;
  const uint64_t number = lists_.fetch_add(1, std::memory_order_relaxed);
  if (number % static_cast<uint64_t>(options_.one_list_in) != 0) return;
  const bool idle = admission_.queue_depth() == 0;
  const bool taken =
      idle && admission_
                  .Submit([this, state, user_id, list = std::move(list)](ComputeThread thread) {
                    Score(*state, user_id, *list, thread);
                  })
                  .ok();
  if (!taken) metrics_.CountShadow(ShadowOutcome::kLeftOut);
}

void ShadowRanking::Score(const ServingState& state, const std::string& user_id,
                          const RankedList& list, ComputeThread thread) {
  const auto scores = state.pipeline->ScoreAgain(*state.snapshot->FindRanker(options_.ranker),
                                                 user_id, list.items, list.asked_time_us, thread);
  if (!scores.ok()) {
    metrics_.CountShadow(ShadowOutcome::kNotScored);
    return;
  }
  metrics_.CountShadow(ShadowOutcome::kScored);
  metrics_.ObserveShadowOverlap(OverlapOfFirst(kComparedItems, list.items, *scores));
}

}  // namespace groundswell
