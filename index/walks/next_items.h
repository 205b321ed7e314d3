// NextItems: what users took right after the user's newest items, read on the live graph.
//
//   score(p) = sum over the user's newest items q, over the newest users v of q, over the places of
//   q in what v took, over the items p that v took up to 8 interactions later in the same visit, of
//
//              5^-k_q * (3/5)^(d-1) * (1 + (t - t_vp) / 600 s)^(-1/2)
//
// k_q is the place of q among the user's newest items (from 0), d by how many interactions p came
// after q, t_vp when v took p, t the newest such time. A visit ends at a pause of more than
// `visit_gap_s`. So it has a direction and counts repeats: an item may follow itself, and a user
// who took p after q five times counts five times.
//
// These are the sequential rules of Ludewig and Jannach, "Evaluation of session-based
// recommendation algorithms", UMUAI 2018 (arXiv 1803.09587), with a weight for age. Memory forgets,
// and items come back, by a power of the time and not by half-lives (Anderson and Schooler,
// "Reflections of the environment in memory", Psychological Science 1991; the exponent is theirs
// too): so one weight serves news, which are read for hours, and a shop, where a year counts. The
// other constants were found on both logs of docs/retrieval.md.
//
// Nothing is stored that could be old: it is read from the traces (graph/fold/user_traces.h) when
// it is asked for, and the work is bounded by Options.
#ifndef GROUNDSWELL_INDEX_WALKS_NEXT_ITEMS_H_
#define GROUNDSWELL_INDEX_WALKS_NEXT_ITEMS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "graph/fold/interaction_adjacency.h"
#include "index/candidate_source.h"
#include "index/item_table.h"

namespace groundswell {

// Thread-safe, each call with a scratch of its own.
class NextItems {
 public:
  static constexpr size_t kNewestItems = 3;
  // Of one item, what each of the user's newest items adds to its score, by k_q, before 5^-k_q:
  // what of these came before it says more than the sum does.
  using Strengths = std::array<float, kNewestItems>;
  struct Options {
    size_t items_max = kNewestItems;  // newest items of the user; at most so many
    size_t users_max = 256;           // newest users of each
    size_t places_max = 4;            // newest places of an item in what one user took
    uint32_t visit_gap_s = 604'800;
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
    std::vector<Taken> taken;
    std::array<size_t, kNewestItems> taken_ends{};  // in `taken`, by k_q
    // Of every item that came after one of the newest, whether it was admitted or not, as the last
    // Retrieve found them.
    ItemTable<Strengths> strengths;
    std::vector<Scored> scored;
  };

  // `adjacency` must outlive it.
  NextItems(const InteractionAdjacency& adjacency, const Options& options)
      : adjacency_(adjacency), options_(options) {}

  // At most query.count admitted items, best first, ties by ascending item. Uses the filter, the
  // count and the recent items of the query; nothing for a user without items.
  std::vector<Candidate> Retrieve(const CandidateQuery& query, Scratch& scratch) const;

 private:
  void AddTakenAfter(ItemIndex item, Scratch& scratch) const;
  void AddOfUser(uint32_t user, ItemIndex item, Scratch& scratch) const;
  bool AddFrom(const NeighborLists::List& trace, size_t place, uint32_t time_s,
               Scratch& scratch) const;
  static void SumStrengths(Scratch& scratch);

  const InteractionAdjacency& adjacency_;
  const Options options_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_WALKS_NEXT_ITEMS_H_
