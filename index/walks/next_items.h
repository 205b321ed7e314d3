// CoOccurrence: what those who took the user's newest items took after them, counted on the live
// graph.
//
//   score(p) = sum over the user's newest items q, over the newest users v of q who took p after q,
//   of
//              2^(-k_q) / log2(1 + d) * 2^((t_vp - t) / half_life)
//
// k_q is the place of q among the user's newest items (from 0), d how many items after q v took p:
// what came next counts most. t_vp is when v took p, t the newest such time: what is taken now
// counts more. The counts are those of an item-to-item table (Linden, Smith, York,
// IEEE Internet Computing 2003) with a direction, but nothing is stored that could be old: the work
// is bounded by the numbers of items and users that are read.
#ifndef GROUNDSWELL_INDEX_WALKS_CO_OCCURRENCE_H_
#define GROUNDSWELL_INDEX_WALKS_CO_OCCURRENCE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/fold/interaction_adjacency.h"
#include "index/candidate_source.h"
#include "index/item_table.h"

namespace groundswell {

// Thread-safe, each call with a scratch of its own.
class CoOccurrence {
 public:
  struct Options {
    size_t items_max = 3;        // newest items of the user
    size_t users_max = 256;      // newest users of each
    size_t user_items_max = 32;  // newest items of each of those
    double half_life_s = 7'776'000;
  };
  struct Scored {
    ItemIndex item{};
    float score = 0;
  };
  // That a user took `item` after one of the user's own.
  struct Taken {
    ItemIndex item{};
    uint32_t time_s = 0;
    float weight = 0;
  };
  // Memory of one call at a time; grown by the first calls, then reused.
  struct Scratch {
    std::vector<uint32_t> users;
    std::vector<Neighbor> later;
    std::vector<Taken> taken;
    ItemTable<float> scores;
    std::vector<Scored> scored;
  };

  // `adjacency` must outlive it.
  CoOccurrence(const InteractionAdjacency& adjacency, const Options& options);

  // At most query.count admitted items, best first, ties by ascending item. Uses the filter, the
  // count and the recent items of the query; nothing for a user without items.
  std::vector<Candidate> Retrieve(const CandidateQuery& query, Scratch& scratch) const;

 private:
  void AddTakenAfter(ItemIndex item, float weight, Scratch& scratch) const;
  bool ReadLater(const NeighborLists& items_of_users, uint32_t user, ItemIndex item,
                 std::vector<Neighbor>& later) const;

  const InteractionAdjacency& adjacency_;
  const Options options_;
  std::vector<float> by_distance_;  // 1 / log2(1 + d), by d - 1
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_WALKS_CO_OCCURRENCE_H_
