#include "index/merge.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"

namespace groundswell {
namespace {

std::vector<Candidate> Fuse(std::span<const ProposedList> lists, size_t proposed,
                            float rank_constant) {
  std::vector<Candidate> fused;
  fused.reserve(proposed);
  absl::flat_hash_map<ItemIndex, size_t> place_of_item;
  place_of_item.reserve(proposed);
  for (const auto& [items, weight] : lists) {
    for (size_t at = 0; at < items.size(); ++at) {
      const auto [place, is_new] = place_of_item.emplace(items[at].item, fused.size());
      if (is_new) fused.push_back({.item = items[at].item, .score = 0, .sources = 0});
      Candidate& candidate = fused[place->second];
      candidate.sources |= items[at].sources;
      candidate.score += RankVote(at, weight, rank_constant);
    }
  }
  return fused;
}

}  // namespace

std::vector<Candidate> MergeCandidates(std::span<const ProposedList> lists, size_t count,
                                       float rank_constant) {
  size_t proposed = 0;
  const std::vector<Candidate>* alone = nullptr;
  for (const auto& [items, weight] : lists) {
    if (!items.empty()) alone = proposed == 0 ? &items : nullptr;
    proposed += items.size();
  }
  std::vector<Candidate> merged;
  if (alone != nullptr) {
    merged = *alone;
  } else {
    merged = Fuse(lists, proposed, rank_constant);
    const auto is_better = [](const Candidate& a, const Candidate& b) {
      return a.score != b.score ? a.score > b.score : a.item < b.item;
    };
    const size_t kept = std::min(count, merged.size());
    std::partial_sort(merged.begin(), merged.begin() + static_cast<ptrdiff_t>(kept), merged.end(),
                      is_better);
  }
  merged.resize(std::min(count, merged.size()));
  return merged;
}

}  // namespace groundswell
