#include "models/explanations.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace groundswell {
namespace {

using Kind = Cause::Kind;

// The nodes with a positive count, the `limit` highest first; of equal counts the lower number.
void HighestNodes(std::span<const int64_t> counts, size_t limit, std::vector<uint32_t>& nodes) {
  nodes.clear();
  for (uint32_t node = 0; node < counts.size(); ++node) {
    if (counts[node] > 0) nodes.push_back(node);
  }
  const size_t kept = std::min(limit, nodes.size());
  std::partial_sort(nodes.begin(), nodes.begin() + static_cast<ptrdiff_t>(kept), nodes.end(),
                    [&](uint32_t a, uint32_t b) {
                      return counts[a] != counts[b] ? counts[a] > counts[b] : a < b;
                    });
  nodes.resize(kept);
}

// How many causes of each kind are tried.
std::array<size_t, 3> Shares(const std::array<size_t, 3>& available) {
  std::array<size_t, 3> shares{};
  size_t left = kCausesMax;
  for (size_t kind = 0; kind < shares.size(); ++kind) {
    shares[kind] = std::min(available[kind], kCausesMax / shares.size());
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

void ChooseCauses(const ExplanationQuery& query, ExplanationBuffers& buffers) {
  const auto [past, item_nodes, user_nodes] =
      Shares({query.user.recent_items.size(), Positive(query.user.one_hop), Positive(query.user.two_hop)});
  buffers.causes.clear();
  for (uint32_t position = 0; position < past; ++position) {
    buffers.causes.push_back({Kind::kPastItem, position});
  }
  HighestNodes(query.user.one_hop, item_nodes, buffers.nodes);
  for (const uint32_t node : buffers.nodes) buffers.causes.push_back({Kind::kItemNode, node});
  HighestNodes(query.user.two_hop, user_nodes, buffers.nodes);
  for (const uint32_t node : buffers.nodes) buffers.causes.push_back({Kind::kUserNode, node});
}

UserFeatures Without(const UserFeatures& user, const Cause& cause, ExplanationBuffers& buffers) {
  UserFeatures rest = user;
  if (cause.kind == Kind::kPastItem) {
    buffers.recent_items.assign(user.recent_items.begin(), user.recent_items.end());
    buffers.recent_items.erase(buffers.recent_items.begin() + static_cast<ptrdiff_t>(cause.number));
    rest.recent_items = buffers.recent_items;
    return rest;
  }
  std::span<const int64_t>& counts = cause.kind == Kind::kItemNode ? rest.one_hop : rest.two_hop;
  buffers.counts.assign(counts.begin(), counts.end());
  buffers.counts[cause.number] = 0;
  counts = buffers.counts;
  return rest;
}

// NaN throughout when the ranker has no score for such a user.
void Score(const ExplanationQuery& query, const UserFeatures& user, RankerScratch& scratch,
           std::span<float> logits) {
  if (query.ranker.PrepareUser(user, scratch).ok()) {
    query.ranker.ScoreItems(query.items, scratch, logits);
  } else {
    std::fill(logits.begin(), logits.end(), std::numeric_limits<float>::quiet_NaN());
  }
}

// The causes of one item, from column `item` of buffers.without.
std::vector<Explanation> ExplanationsOf(size_t item, const ExplanationBuffers& buffers) {
  const size_t n = buffers.logits.size();
  std::vector<Explanation> found;
  for (size_t position = 0; position < buffers.causes.size(); ++position) {
    const float contribution = buffers.logits[item] - buffers.without[position * n + item];
    if (std::isfinite(contribution) && contribution != 0) {
      found.push_back({buffers.causes[position], contribution});
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const Explanation& a, const Explanation& b) {
    return std::abs(a.contribution) > std::abs(b.contribution);
  });
  if (found.size() > kCausesPerItemMax) found.resize(kCausesPerItemMax);
  return found;
}

}  // namespace

bool Explain(const ExplanationQuery& query, RankerScratch& scratch, ExplanationBuffers& buffers,
             const std::function<bool()>& has_time,
             std::vector<std::vector<Explanation>>& explanations) {
  explanations.clear();
  const size_t n = query.items.rows.size();
  ChooseCauses(query, buffers);
  buffers.logits.resize(n);
  buffers.without.resize(buffers.causes.size() * n);
  if (!has_time()) return false;
  Score(query, query.user, scratch, buffers.logits);
  for (size_t position = 0; position < buffers.causes.size(); ++position) {
    if (!has_time()) return false;
    Score(query, Without(query.user, buffers.causes[position], buffers), scratch,
          std::span(buffers.without).subspan(position * n, n));
  }
  for (size_t item = 0; item < n; ++item) explanations.push_back(ExplanationsOf(item, buffers));
  return true;
}

}  // namespace groundswell
