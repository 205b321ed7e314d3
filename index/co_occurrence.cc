#include "index/co_occurrence.h"

#include <algorithm>
#include <cmath>

#include "index/best_admitted.h"

namespace groundswell {
namespace {

// Lists whose memory is fetched while one is read.
constexpr size_t kAhead = 8;

// The nodes of the newest `limit` neighbours, newest first. What a writer moves meanwhile may be
// missing.
void ReadNewest(const NeighborLists& lists, uint32_t node, size_t limit,
                std::vector<uint32_t>& out) {
  out.clear();
  const NeighborLists::List list = lists.Find(node);
  const size_t count = std::min(limit, list.size());
  for (size_t i = 0; i < count; ++i) {
    const auto neighbor = lists.Read(list, list.size() - 1 - i);
    if (!neighbor.has_value()) return;
    out.push_back(neighbor->node);
  }
}

}  // namespace

CoOccurrence::CoOccurrence(const InteractionAdjacency& adjacency, const Options& options)
    : adjacency_(adjacency), options_(options) {
  for (size_t distance = 0; distance < options.user_items_max; ++distance) {
    by_distance_.push_back(1 / std::log2(2 + static_cast<float>(distance)));
  }
}

void CoOccurrence::CountAround(ItemIndex item, float weight, Scratch& scratch) const {
  const NeighborLists& items_of_users = adjacency_.items_of_users();
  ReadNewest(adjacency_.users_of_items(), ToInt(item), options_.users_max, scratch.users);
  for (size_t i = 0; i < std::min(kAhead, scratch.users.size()); ++i) {
    items_of_users.Prefetch(scratch.users[i]);
  }
  for (size_t at = 0; at < scratch.users.size(); ++at) {
    if (at + kAhead < scratch.users.size()) items_of_users.Prefetch(scratch.users[at + kAhead]);
    ReadNewest(items_of_users, scratch.users[at], options_.user_items_max, scratch.items);
    const auto own = std::find(scratch.items.begin(), scratch.items.end(), ToInt(item));
    // Newest first, so what came after it stands before it. It may not be there: too long ago for
    // the limit, or taken back just now.
    if (own == scratch.items.end()) continue;
    for (auto later = scratch.items.begin(); later != own; ++later) {
      const auto distance = static_cast<size_t>(own - later);
      scratch.scores[ItemIndex{*later}] += weight * by_distance_[distance - 1];
    }
  }
}

std::vector<Candidate> CoOccurrence::Retrieve(const CandidateQuery& query, Scratch& scratch) const {
  const size_t starts = std::min(options_.items_max, query.recent.size());
  scratch.scores.Reset(starts * options_.users_max * options_.user_items_max);
  float weight = 1;
  for (const RecentItem& recent : query.recent.first(starts)) {
    CountAround(recent.item, weight, scratch);
    weight /= 2;
  }
  scratch.scored.clear();
  scratch.scores.ForEach([&](ItemIndex item, float score) {
    scratch.scored.push_back({item, score});
  });
  return BestAdmitted(scratch.scored, query.filter, query.count, kFromCoOccurrence);
}

}  // namespace groundswell
