#include "index/merge.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"

namespace groundswell {

std::vector<Candidate> MergeCandidates(std::span<const std::vector<Candidate>> lists,
                                       size_t count) {
  size_t proposed = 0;
  for (const std::vector<Candidate>& list : lists) proposed += list.size();
  const size_t merged_max = std::min(count, proposed);

  std::vector<Candidate> merged;
  merged.reserve(merged_max);
  absl::flat_hash_map<ItemIndex, size_t> place_of_item;
  place_of_item.reserve(merged_max);
  for (const std::vector<Candidate>& list : lists) {
    for (const Candidate& candidate : list) {
      const auto place = place_of_item.find(candidate.item);
      if (place != place_of_item.end()) {
        merged[place->second].sources |= candidate.sources;
      } else if (merged.size() < merged_max) {
        place_of_item.emplace(candidate.item, merged.size());
        merged.push_back(candidate);
      }
    }
  }
  return merged;
}

}  // namespace groundswell
