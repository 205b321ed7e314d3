#include "models/explanations.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace groundswell {
namespace {

using Kind = Cause::Kind;

// The clusters with a positive count, the `limit` highest first; of equal counts the lower number.
void HighestClusters(std::span<const int64_t> counts, size_t limit,
                     std::vector<uint32_t>& clusters) {
  clusters.clear();
  for (uint32_t cluster = 0; cluster < counts.size(); ++cluster) {
    if (counts[cluster] > 0) clusters.push_back(cluster);
  }
  const size_t kept = std::min(limit, clusters.size());
  std::partial_sort(clusters.begin(), clusters.begin() + static_cast<ptrdiff_t>(kept),
                    clusters.end(), [&](uint32_t a, uint32_t b) {
                      return counts[a] != counts[b] ? counts[a] > counts[b] : a < b;
                    });
  clusters.resize(kept);
}

// How many causes of each kind are tried.
std::array<size_t, 3> Shares(const std::array<size_t, 3>& available, size_t causes_max) {
  std::array<size_t, 3> shares{};
  size_t left = causes_max;
  for (size_t kind = 0; kind < shares.size(); ++kind) {
    shares[kind] = std::min(available[kind], causes_max / shares.size());
    left -= shares[kind];
  }
  for (size_t kind = 0; kind < shares.size(); ++kind) {
    const size_t more = std::min(available[kind] - shares[kind], left);
    shares[kind] += more;
    left -= more;
  }
  return shares;
}

size_t Positive(std::span<const int64_t> counts) {
  return static_cast<size_t>(
      std::count_if(counts.begin(), counts.end(), [](int64_t count) { return count > 0; }));
}

size_t CausesMax(const ExplanationQuery& query) {
  return query.causes_max.value_or(query.ranker.variants_max());
}

// Fills buffers.causes; returns how many there are to choose from.
size_t ChooseCauses(const ExplanationQuery& query, ExplanationBuffers& buffers) {
  const UserFeatures& user = query.user;
  const std::array<size_t, 3> available{user.recent_items.size(), Positive(user.one_hop),
                                        Positive(user.two_hop)};
  const auto [past, item_clusters, user_clusters] = Shares(available, CausesMax(query));
  buffers.causes.clear();
  for (uint32_t position = 0; position < past; ++position) {
    buffers.causes.push_back({Kind::kPastItem, position});
  }
  HighestClusters(user.one_hop, item_clusters, buffers.clusters);
  for (const uint32_t cluster : buffers.clusters)
    buffers.causes.push_back({Kind::kItemCluster, cluster});
  HighestClusters(user.two_hop, user_clusters, buffers.clusters);
  for (const uint32_t cluster : buffers.clusters)
    buffers.causes.push_back({Kind::kUserCluster, cluster});
  return available[0] + available[1] + available[2];
}

// A copy of `from` without the element at `number`, in the first places of `room`.
template <typename T>
std::span<const T> AllBut(std::span<const T> from, size_t number, std::span<T> room) {
  const std::span<T> others = room.first(from.size() - 1);
  const auto behind = std::copy_n(from.begin(), static_cast<ptrdiff_t>(number), others.begin());
  std::copy(from.begin() + static_cast<ptrdiff_t>(number) + 1, from.end(), behind);
  return others;
}

// The variant's times without that of the item at `number`. Where it was the user's first, the
// oldest of the others that are known takes its place.
void LeaveOutTime(const UserFeatures& user, size_t number, std::span<int64_t> room,
                  UserFeatures& rest) {
  if (user.recent_times_us.empty()) return;
  rest.recent_times_us = AllBut(user.recent_times_us, number, room);
  const bool was_first = user.recent_times_us[number] == user.first_time_us;
  if (was_first && !rest.recent_times_us.empty()) rest.first_time_us = rest.recent_times_us.back();
}

// Fills buffers.variants: the whole user, then the user without each of the causes.
void MakeVariants(const UserFeatures& user, ExplanationBuffers& buffers) {
  const size_t causes = buffers.causes.size();
  const size_t past = user.recent_items.size();
  const size_t times = user.recent_times_us.size();
  buffers.recent_items.resize(causes * past);
  buffers.recent_times.resize(causes * times);
  buffers.counts.resize(causes * std::max(user.one_hop.size(), user.two_hop.size()));
  buffers.variants.assign(causes + 1, user);
  const std::span<uint32_t> recent_items(buffers.recent_items);
  std::span<int64_t> free_counts(buffers.counts);
  for (size_t at = 0; at < causes; ++at) {
    UserFeatures& rest = buffers.variants[at + 1];
    const auto [kind, number] = buffers.causes[at];
    if (kind == Kind::kPastItem) {
      rest.recent_items = AllBut(user.recent_items, number, recent_items.subspan(at * past, past));
      LeaveOutTime(user, number, std::span(buffers.recent_times).subspan(at * times, times), rest);
    } else {
      std::span<const int64_t>& counts = kind == Kind::kItemCluster ? rest.one_hop : rest.two_hop;
      std::copy(counts.begin(), counts.end(), free_counts.begin());
      free_counts[number] = 0;
      counts = free_counts.first(counts.size());
      free_counts = free_counts.subspan(counts.size());
    }
  }
}

// The causes of one item, from column `item` of buffers.logits.
std::vector<Explanation> ExplanationsOf(size_t item, size_t n, const ExplanationBuffers& buffers) {
  std::vector<Explanation> found;
  for (size_t position = 0; position < buffers.causes.size(); ++position) {
    const float contribution = buffers.logits[item] - buffers.logits[(position + 1) * n + item];
    if (std::isfinite(contribution) && contribution != 0) {
      found.push_back({buffers.causes[position], contribution});
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const Explanation& a, const Explanation& b) {
    return std::abs(a.contribution) > std::abs(b.contribution);
  });
  return found;
}

}  // namespace

bool Explain(const ExplanationQuery& query, RankerScratch& scratch, ExplanationBuffers& buffers,
             const std::function<bool()>& has_time, Explanations& explanations) {
  explanations = {};
  const size_t n = query.items.rows.size();
  const size_t causes = ChooseCauses(query, buffers);
  MakeVariants(query.user, buffers);
  buffers.logits.resize(buffers.variants.size() * n);
  if (!query.ranker.ScoreVariants(buffers.variants, query.items, scratch, has_time,
                                  buffers.logits)) {
    return false;
  }
  explanations.causes = causes;
  explanations.causes_tried = buffers.causes.size();
  for (size_t item = 0; item < n; ++item) {
    explanations.of_item.push_back(ExplanationsOf(item, n, buffers));
  }
  return true;
}

}  // namespace groundswell
