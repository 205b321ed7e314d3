#include "index/walks/random_walk.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace groundswell {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// Walks that go in step: enough to hide the memory's latency behind each other.
constexpr size_t kWalksAtOnce = 32;
// Rounds of all lanes between two looks at the clock: some hundred steps, tens of microseconds.
// Another start is another look.
constexpr size_t kRoundsPerLook = 16;

// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  uint64_t operator()() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

// 0 to below 1, from the upper and from the lower half of a random word: one word serves two draws
// that must not depend on each other.
double UpperUniform(uint64_t random) { return static_cast<double>(random >> 32) * 0x1p-32; }
double LowerUniform(uint64_t random) { return static_cast<double>(random & 0xFFFF'FFFF) * 0x1p-32; }

}  // namespace

void AllocateSteps(std::span<const size_t> degrees, std::span<const double> weights,
                   size_t degree_max, size_t steps, std::vector<size_t>& out) {
  const auto scaled = [&](size_t q) {
    const auto degree = static_cast<double>(degrees[q]);
    if (degrees[q] == 0) return 0.0;  // 0 log 0
    return weights[q] * degree * (static_cast<double>(degree_max) - std::log(degree));
  };
  double sum = 0;
  for (size_t q = 0; q < degrees.size(); ++q) sum += scaled(q);
  out.assign(degrees.size(), 0);
  for (size_t q = 0; sum > 0 && q < degrees.size(); ++q) {
    out[q] = static_cast<size_t>(std::llround(static_cast<double>(steps) * scaled(q) / sum));
  }
}

// The walks from one start, in step.
class RandomWalk::Walkers {
 public:
  Walkers(const InteractionAdjacency& adjacency, const WalkOptions& options, ItemIndex start,
          uint64_t seed)
      : users_(adjacency.users_of_items()),
        items_(adjacency.items_of_users()),
        restart_(options.restart),
        bias_(options.recency_bias),
        newest_max_(options.newest_max > 0 ? options.newest_max
                                           : std::numeric_limits<size_t>::max()),
        start_(ToInt(start)),
        // Of the start alone, so that its walks are the same whatever the others are; hashed, so
        // that two starts' states are far apart.
        random_(SplitMix64(seed ^ start_)()) {
    at_.fill(start_);
  }

  // One step of each of the first `count` lanes; `visit` is told where they end.
  //
  // Each loop asks memory for what the next one reads, of all lanes: when a lane's turn comes
  // again, its word has had the time of the others' to arrive.
  template <typename Visit>
  void Step(size_t count, const ItemTable<uint32_t>& visits, const Visit& visit) {
    for (size_t lane = 0; lane < count; ++lane) Propose(users_, at_[lane], lane);
    for (size_t lane = 0; lane < count; ++lane) {
      at_[lane] = Take(users_, at_[lane], lane);
      if (at_[lane] != kNowhere) items_.Prefetch(at_[lane]);
    }
    // A lane that is nowhere finds an empty list, and stays there.
    for (size_t lane = 0; lane < count; ++lane) Propose(items_, at_[lane], lane);
    for (size_t lane = 0; lane < count; ++lane) {
      at_[lane] = Take(items_, at_[lane], lane);
      if (at_[lane] == kNowhere) continue;
      users_.Prefetch(at_[lane]);
      visits.Prefetch(ItemIndex{at_[lane]});
    }
    for (size_t lane = 0; lane < count; ++lane) {
      if (at_[lane] != kNowhere) visit(ItemIndex{at_[lane]});
      const bool restarts = at_[lane] == kNowhere || LowerUniform(random_()) < restart_;
      if (restarts) at_[lane] = start_;
    }
  }

 private:
  // Of a walk that came to a node whose neighbours have just left.
  static constexpr uint32_t kNowhere = std::numeric_limits<uint32_t>::max();

  // The k-th newest with probability ((k+1)/n)^(1/b) - (k/n)^(1/b): the inverse of that is a power,
  // and b a small whole number. Lists are oldest first.
  size_t Position(const NeighborLists::List& list, uint64_t random) const {
    const double uniform = UpperUniform(random);
    double share = uniform;
    for (int i = 1; i < bias_; ++i) share *= uniform;
    const auto drawn_from = static_cast<double>(std::min(list.size(), newest_max_));
    return list.size() - 1 - static_cast<size_t>(drawn_from * share);
  }

  // Draws a neighbour of `node`, and brings it on its way from memory.
  void Propose(const NeighborLists& lists, uint32_t node, size_t lane) {
    lists_[lane] = lists.Find(node);
    if (lists_[lane].size() == 0) return;
    drawn_[lane] = random_();
    lists_[lane].Prefetch(Position(lists_[lane], drawn_[lane]));
  }

  // The neighbour that was drawn, or, if it was not to be, one that is drawn instead.
  uint32_t Take(const NeighborLists& lists, uint32_t node, size_t lane) {
    NeighborLists::List& list = lists_[lane];
    uint64_t drawn = drawn_[lane];
    for (int proposal = 1; list.size() > 0; ++proposal, drawn = random_()) {
      const auto neighbor = lists.Read(list, Position(list, drawn));
      if (!neighbor.has_value()) {
        // The writer moved the list meanwhile; it may be empty now.
        list = lists.Find(node);
        continue;
      }
      // The upper half was the position, the lower one decides on the weight; the first comparison
      // spares the product.
      const bool taken =
          neighbor->weight >= list.weight_max() || proposal >= kProposalsMax ||
          list.size() > newest_max_ ||
          LowerUniform(drawn) * list.weight_max() < static_cast<double>(neighbor->weight);
      if (taken) return neighbor->node;
    }
    return kNowhere;
  }

  const NeighborLists& users_;
  const NeighborLists& items_;
  const double restart_;
  const int bias_;
  const size_t newest_max_;
  const uint32_t start_;
  SplitMix64 random_;
  std::array<uint32_t, kWalksAtOnce> at_;
  std::array<NeighborLists::List, kWalksAtOnce> lists_;
  std::array<uint64_t, kWalksAtOnce> drawn_{};
};

RandomWalk::RandomWalk(const InteractionAdjacency& adjacency, const WalkOptions& options)
    : adjacency_(adjacency), options_(options) {}

void RandomWalk::WalkFrom(ItemIndex start, size_t budget, uint64_t seed, SteadyTime deadline,
                          ItemTable<uint32_t>& visits, WalkSummary& summary) const {
  visits.Reset(budget);
  Walkers walkers(adjacency_, options_, start, seed);
  // n_p is of all the steps together.
  const size_t goal = options_.goal_items * budget / options_.steps;
  size_t reached = 0;
  const auto visit = [&](ItemIndex item) { reached += ++visits[item] == options_.goal_visits; };
  size_t steps = 0;
  for (size_t round = 1; steps < budget; ++round) {
    const size_t count = std::min(kWalksAtOnce, budget - steps);
    walkers.Step(count, visits, visit);
    steps += count;
    if (options_.goal_items > 0 && reached > goal && steps < budget) {
      ++summary.ended_early;
      break;
    }
    // Not in the first rounds: whoever is late gets some visits rather than none.
    summary.cut_off = round % kRoundsPerLook == 0 && std::chrono::steady_clock::now() >= deadline;
    if (summary.cut_off) break;
  }
  summary.steps += steps;
}

WalkSummary RandomWalk::Run(std::span<const WalkStart> starts, uint64_t seed, SteadyTime deadline,
                            WalkScratch& scratch) const {
  scratch.degrees.clear();
  scratch.weights.clear();
  scratch.visited.clear();
  const size_t newest_max = options_.newest_max;
  for (const WalkStart& start : starts) {
    const size_t degree = adjacency_.users_of_items().Degree(ToInt(start.item));
    scratch.degrees.push_back(newest_max > 0 ? std::min(degree, newest_max) : degree);
    scratch.weights.push_back(start.weight);
  }
  const size_t degree_max = newest_max > 0 ? newest_max : adjacency_.users_of_items().degree_max();
  AllocateSteps(scratch.degrees, scratch.weights, degree_max, options_.steps, scratch.steps);
  // Rounding adds less than a step per start.
  const size_t visited_max = options_.steps + starts.size();
  scratch.visits.Reset(visited_max);
  scratch.roots.Reset(visited_max);
  scratch.visited.reserve(visited_max);
  WalkSummary summary;
  for (size_t q = 0; q < starts.size() && !summary.cut_off; ++q) {
    if (scratch.steps[q] == 0) continue;
    // Short walks never come to a look at the clock of their own. The first start begins always.
    summary.cut_off = summary.steps > 0 && std::chrono::steady_clock::now() >= deadline;
    if (summary.cut_off) break;
    // One start after the other, so that one table serves all: V_q is added up before it is reused.
    WalkFrom(starts[q].item, scratch.steps[q], seed, deadline, scratch.visits, summary);
    scratch.visits.ForEach([&](ItemIndex item, uint32_t visits) {
      scratch.roots[item] += std::sqrt(static_cast<float>(visits));
    });
  }
  scratch.roots.ForEach([&](ItemIndex item, float root) {
    scratch.visited.push_back({.item = item, .score = root * root});
  });
  return summary;
}

}  // namespace groundswell
