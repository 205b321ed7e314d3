#include "index/walks/next_items.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "index/best_admitted.h"

namespace groundswell {
namespace {

// Lists whose memory is fetched while one is read: their handles, and closer ahead their words.
constexpr size_t kHandlesAhead = 8;
constexpr size_t kWordsAhead = 4;
// Words of a line of the cache.
constexpr size_t kLineWords = 8;

constexpr float kPlaceFactor = .2f;     // of the next newest item of the user
constexpr float kDistanceFactor = .6f;  // of what came one interaction later
constexpr size_t kDistanceMax = 8;
constexpr float kAgePerSecond = 1.f / 600;

constexpr std::array<float, kDistanceMax> kByDistance = [] {
  std::array<float, kDistanceMax> weights{};
  float weight = 1;
  for (float& of_distance : weights) {
    of_distance = weight;
    weight *= kDistanceFactor;
  }
  return weights;
}();

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

void PrefetchNewest(const NeighborLists& lists, uint32_t node) {
  const NeighborLists::List list = lists.Find(node);
  if (list.size() == 0) return;
  list.Prefetch(list.size() - 1);
  if (list.size() > kLineWords) list.Prefetch(list.size() - 1 - kLineWords);
}

}  // namespace

void NextItems::AddTakenAfter(ItemIndex item, Scratch& scratch) const {
  const NeighborLists& traces = adjacency_.traces();
  const std::vector<uint32_t>& users = scratch.users;
  // Of an item with more users than are kept, how many there are hangs on when the oldest left; the
  // newest half hardly ever does.
  const NeighborLists& of_item = adjacency_.users_of_items();
  ReadNewest(of_item, ToInt(item), std::min(options_.users_max, of_item.neighbors_max() / 2),
             scratch.users);
  for (size_t i = 0; i < std::min(kHandlesAhead, users.size()); ++i) traces.Prefetch(users[i]);
  // Each user's list is somewhere else in memory: it is on its way while others are read.
  for (size_t at = 0; at < users.size(); ++at) {
    if (at + kHandlesAhead < users.size()) traces.Prefetch(users[at + kHandlesAhead]);
    if (at + kWordsAhead < users.size()) PrefetchNewest(traces, users[at + kWordsAhead]);
    AddOfUser(users[at], item, scratch);
  }
}

// Where the writer gives the user another list meanwhile, what was read of it counts.
void NextItems::AddOfUser(uint32_t user, ItemIndex item, Scratch& scratch) const {
  const NeighborLists::List trace = adjacency_.traces().Find(user);
  size_t end = trace.size();
  for (size_t places = 0; places < options_.places_max; ++places) {
    const auto place = NeighborLists::FindBefore(trace, end, ToInt(item));
    if (!place.has_value()) return;
    const auto step = NeighborLists::Read(trace, *place);
    if (!step.has_value()) return;
    if (!AddFrom(trace, *place, step->time_s, scratch)) return;
    end = *place;
  }
}

// What was taken after the interaction at `place`, in the same visit. False: the list is another
// one now.
bool NextItems::AddFrom(const NeighborLists::List& trace, size_t place, uint32_t time_s,
                        Scratch& scratch) const {
  const size_t end = std::min(trace.size(), place + 1 + kDistanceMax);
  for (size_t at = place + 1; at < end; ++at) {
    const auto step = NeighborLists::Read(trace, at);
    if (!step.has_value()) return false;
    // Never below 0: a trace is in the order of time.
    if (step->time_s - time_s > options_.visit_gap_s) return true;
    time_s = step->time_s;
    scratch.taken.push_back(
        {.item = ItemIndex{step->node}, .time_s = time_s, .weight = kByDistance[at - place - 1]});
  }
  return true;
}

// t is known only once all are read: hence a second pass. The newest of what is proposed, and not
// the clock, so that an idle server answers as before.
void NextItems::SumStrengths(Scratch& scratch) {
  uint32_t newest_s = 0;
  for (const Taken& taken : scratch.taken) newest_s = std::max(newest_s, taken.time_s);
  scratch.strengths.Reset(scratch.taken.size());
  size_t at = 0;
  for (size_t newest = 0; newest < kNewestItems; ++newest) {
    for (; at < scratch.taken_ends[newest]; ++at) {
      const auto& [item, time_s, of_place] = scratch.taken[at];
      scratch.strengths[item][newest] +=
          of_place / std::sqrt(1 + kAgePerSecond * static_cast<float>(newest_s - time_s));
    }
  }
}

std::vector<Candidate> NextItems::Retrieve(const CandidateQuery& query, Scratch& scratch) const {
  scratch.taken.clear();
  const size_t items = std::min({kNewestItems, options_.items_max, query.recent.size()});
  for (size_t newest = 0; newest < kNewestItems; ++newest) {
    if (newest < items) AddTakenAfter(query.recent[newest].item, scratch);
    scratch.taken_ends[newest] = scratch.taken.size();
  }
  SumStrengths(scratch);
  scratch.scored.clear();
  scratch.strengths.ForEach([&](ItemIndex item, const Strengths& strengths) {
    float score = 0;
    float weight = 1;
    for (const float strength : strengths) {
      score += weight * strength;
      weight *= kPlaceFactor;
    }
    scratch.scored.push_back({item, score});
  });
  return BestAdmitted(std::span<const Scored>(scratch.scored), query.filter, query.count,
                      kFromNextItems);
}

}  // namespace groundswell
