#include "index/merge.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"

namespace groundswell {
namespace {

// The paper's is 60; 10, where the first places count more, was better on both logs of
// docs/retrieval.md.
constexpr float kRankConstant = 10;

std::vector<Candidate> Fuse(std::span<const std::vector<Candidate>> lists, size_t proposed) {
  std::vector<Candidate> fused;
  fused.reserve(proposed);
  absl::flat_hash_map<ItemIndex, size_t> place_of_item;
  place_of_item.reserve(proposed);
  for (const std::vector<Candidate>& items : lists) {
    for (size_t at = 0; at < items.size(); ++at) {
      const auto [place, is_new] = place_of_item.emplace(items[at].item, fused.size());
      if (is_new) fused.push_back({.item = items[at].item, .score = 0, .sources = 0});
      Candidate& candidate = fused[place->second];
      candidate.sources |= items[at].sources;
      candidate.score += 1 / (kRankConstant + 1 + static_cast<float>(at));
    }
  }
  return fused;
}

}  // namespace

std::vector<Candidate> MergeCandidates(std::span<const std::vector<Candidate>> lists,
                                       size_t count) {
  size_t proposed = 0;
  const std::vector<Candidate>* alone = nullptr;
  for (const std::vector<Candidate>& items : lists) {
    if (!items.empty()) alone = proposed == 0 ? &items : nullptr;
    proposed += items.size();
  }
  std::vector<Candidate> merged;
  if (alone != nullptr) {
    merged = *alone;
  } else {
    merged = Fuse(lists, proposed);
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
