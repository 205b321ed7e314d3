#include "index/walks/co_occurrence.h"

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
    // The writer moved the list: what there is already will do, beginning again could take forever.
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

void CoOccurrence::AddTakenAfter(ItemIndex item, float weight, Scratch& scratch) const {
  const NeighborLists& items_of_users = adjacency_.items_of_users();
  ReadNewest(adjacency_.users_of_items(), ToInt(item), options_.users_max, scratch.users);
  for (size_t i = 0; i < std::min(kAhead, scratch.users.size()); ++i) {
    items_of_users.Prefetch(scratch.users[i]);
  }
  // Each user's list is somewhere else in memory: its handle is on its way while others are read.
  for (size_t at = 0; at < scratch.users.size(); ++at) {
    if (at + kAhead < scratch.users.size()) items_of_users.Prefetch(scratch.users[at + kAhead]);
    if (!ReadLater(items_of_users, scratch.users[at], item, scratch.later)) continue;
    // Newest first, so the last of them came right after the item: d = 1.
    const size_t count = scratch.later.size();
    for (size_t i = 0; i < count; ++i) {
      const Neighbor& later = scratch.later[i];
      scratch.taken.push_back({.item = ItemIndex{later.node},
                               .time_s = later.time_s,
                               .weight = weight * by_distance_[count - 1 - i]});
    }
  }
}

// What the user took after `item`, newest first. False when that is nothing, or more than the
// limit, or the item is not there: taken back just now.
bool CoOccurrence::ReadLater(const NeighborLists& items_of_users, uint32_t user, ItemIndex item,
                             std::vector<Neighbor>& later) const {
  later.clear();
  const NeighborLists::List list = items_of_users.Find(user);
  const size_t count = std::min(options_.user_items_max, list.size());
  for (size_t i = 0; i < count; ++i) {
    const auto neighbor = items_of_users.Read(list, list.size() - 1 - i);
    if (!neighbor.has_value()) return false;
    if (neighbor->node == ToInt(item)) return !later.empty();
    later.push_back(*neighbor);
  }
  return false;
}

std::vector<Candidate> CoOccurrence::Retrieve(const CandidateQuery& query, Scratch& scratch) const {
  scratch.taken.clear();
  float weight = 1;
  for (const RecentItem& recent :
       query.recent.first(std::min(options_.items_max, query.recent.size()))) {
    AddTakenAfter(recent.item, weight, scratch);
    weight /= 2;  // 2^(-k_q)
  }
  // t is known only once all are read: hence two passes. The newest of what is proposed, and not
  // the clock, so that an idle server answers as before.
  uint32_t newest_s = 0;
  for (const Taken& taken : scratch.taken) newest_s = std::max(newest_s, taken.time_s);
  const float per_s = static_cast<float>(-1 / options_.half_life_s);
  scratch.scores.Reset(scratch.taken.size());
  for (const auto& [item, time_s, of_place] : scratch.taken) {
    scratch.scores[item] += of_place * std::exp2(per_s * static_cast<float>(newest_s - time_s));
  }
  scratch.scored.clear();
  scratch.scores.ForEach([&](ItemIndex item, float score) {
    scratch.scored.push_back({item, score});
  });
  return BestAdmitted(scratch.scored, query.filter, query.count, kFromCoOccurrence);
}

}  // namespace groundswell
