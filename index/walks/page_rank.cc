#include "index/walks/page_rank.h"

#include <bit>
#include <cmath>
#include <utility>

#include "index/best_admitted.h"

namespace groundswell {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// Between two looks at the clock: tens of microseconds.
constexpr size_t kEdgesPerLook = 4'096;
constexpr size_t kSlotsMin = 1'024;

std::vector<double> SharesOf(int recency_bias) {
  std::vector<double> shares(NeighborLists::kNeighborsMaxLimit);
  double before = 0;
  for (size_t k = 0; k < shares.size(); ++k) {
    const double root = std::pow(static_cast<double>(k + 1), 1.0 / recency_bias);
    shares[k] = root - std::exchange(before, root);
  }
  return shares;
}

constexpr uint32_t CodeOfItem(uint32_t item) { return 2 * item; }
constexpr bool IsUser(uint32_t code) { return (code & 1) != 0; }

}  // namespace

// One call's.
class PageRank::Pushing {
 public:
  Pushing(const PageRank& page_rank, PageRankScratch& scratch)
      : users_(page_rank.adjacency_.users_of_items()),
        items_(page_rank.adjacency_.items_of_users()),
        shares_(page_rank.shares_),
        options_(page_rank.options_),
        scratch_(scratch) {
    scratch.nodes.clear();
    scratch.queue.clear();
    SetSlots(kSlotsMin);
  }

  void Begin(std::span<const WalkStart> starts) {
    double sum = 0;
    for (const WalkStart& start : starts) sum += start.weight;
    if (!(sum > 0)) return;
    for (const WalkStart& start : starts) {
      AddResidual(CodeOfItem(ToInt(start.item)), start.weight / sum);
    }
  }

  PageRankSummary Run(SteadyTime deadline) {
    PageRankSummary summary;
    size_t look_at = kEdgesPerLook;
    // Nothing is taken from the front: places are added by edges that are touched, which are
    // bounded.
    for (size_t next = 0; next < scratch_.queue.size(); ++next) {
      const uint32_t place = scratch_.queue[next];
      CopyNeighbors(scratch_.nodes[place].code);
      const size_t edges = scratch_.neighbors.size();
      if (summary.edges + edges > options_.edges_max) {
        summary.end = PageRankEnd::kEdgesMax;
        break;
      }
      Push(place);
      ++summary.pushes;
      summary.edges += edges;
      if (summary.edges < look_at) continue;
      look_at = summary.edges + kEdgesPerLook;
      if (std::chrono::steady_clock::now() >= deadline) {
        summary.end = PageRankEnd::kDeadline;
        break;
      }
    }
    return summary;
  }

  void GatherRanked() {
    scratch_.ranked.clear();
    for (const PageRankScratch::Node& node : scratch_.nodes) {
      // Of what it has not passed on it would keep this much if it were pushed now.
      const auto score = static_cast<float>(node.rank + options_.restart * node.residual);
      if (IsUser(node.code) || !(score > 0)) continue;
      scratch_.ranked.push_back({.item = ItemIndex{node.code / 2}, .score = score});
    }
  }

 private:
  const NeighborLists& ListsOf(uint32_t code) const { return IsUser(code) ? items_ : users_; }

  // A copy: what is passed on is divided by the sum over the same neighbours, whatever the writer
  // does to the list meanwhile, or residual would be lost or made.
  void CopyNeighbors(uint32_t code) { ListsOf(code).CopyTo(code / 2, scratch_.neighbors); }

  // Of the node whose neighbours were copied. Without any it keeps its share and drops the rest.
  void Push(uint32_t place) {
    PageRankScratch::Node& node = scratch_.nodes[place];
    node.is_queued = false;
    const double residual = std::exchange(node.residual, 0);
    node.rank += options_.restart * residual;
    if (scratch_.neighbors.empty()) return;
    const double passed = (1 - options_.restart) * residual / FindChances();
    const uint32_t side = IsUser(node.code) ? 0 : 1;  // of its neighbours; nodes move from here on
    for (size_t at = 0; at < scratch_.neighbors.size(); ++at) {
      AddResidual(2 * scratch_.neighbors[at].node + side, passed * scratch_.chances[at]);
    }
  }

  // P_v but for a factor, by which it is to be divided. Neighbours are oldest first.
  double FindChances() {
    const std::vector<Neighbor>& neighbors = scratch_.neighbors;
    scratch_.chances.resize(neighbors.size());
    double sum = 0;
    for (size_t at = 0; at < neighbors.size(); ++at) {
      const double chance = neighbors[at].weight * shares_[neighbors.size() - 1 - at];
      scratch_.chances[at] = chance;
      sum += chance;
    }
    return sum;
  }

  void AddResidual(uint32_t code, double residual) {
    const uint32_t place = PlaceOf(code);
    PageRankScratch::Node& node = scratch_.nodes[place];
    node.residual += residual;
    if (node.is_queued || !(node.residual > options_.epsilon * node.neighbors)) return;
    node.is_queued = true;
    scratch_.queue.push_back(place);
  }

  // Fibonacci hashing, as in item_table.h.
  size_t SlotOf(uint32_t code) const { return code * 0x9E3779B97F4A7C15u >> shift_; }

  // A slot has the code of a node in its upper half and the place, from 1, in its lower: empty is
  // 0.
  uint32_t PlaceOf(uint32_t code) {
    size_t at = SlotOf(code);
    while (scratch_.slots[at] != 0) {
      if (scratch_.slots[at] >> 32 == code) return static_cast<uint32_t>(scratch_.slots[at]) - 1;
      at = (at + 1) & (scratch_.slots.size() - 1);
    }
    const auto neighbors = static_cast<uint32_t>(ListsOf(code).Degree(code / 2));
    scratch_.nodes.push_back({.code = code, .neighbors = neighbors});
    scratch_.slots[at] = uint64_t{code} << 32 | scratch_.nodes.size();
    const auto place = static_cast<uint32_t>(scratch_.nodes.size() - 1);
    if (2 * scratch_.nodes.size() > scratch_.slots.size()) SetSlots(2 * scratch_.slots.size());
    return place;
  }

  // `size`, a power of two, with the nodes that there are: in little memory while they are few.
  void SetSlots(size_t size) {
    scratch_.slots.assign(size, 0);
    shift_ = 64 - std::countr_zero(size);
    uint64_t place = 0;
    for (const PageRankScratch::Node& node : scratch_.nodes) {
      size_t at = SlotOf(node.code);
      while (scratch_.slots[at] != 0) at = (at + 1) & (size - 1);
      scratch_.slots[at] = uint64_t{node.code} << 32 | ++place;
    }
  }

  const NeighborLists& users_;
  const NeighborLists& items_;
  const std::vector<double>& shares_;
  const PageRankOptions& options_;
  PageRankScratch& scratch_;
  int shift_ = 64;
};

PageRank::PageRank(const InteractionAdjacency& adjacency, const PageRankOptions& options)
    : adjacency_(adjacency), options_(options), shares_(SharesOf(options.recency_bias)) {}

PageRankSummary PageRank::Run(std::span<const WalkStart> starts, SteadyTime deadline,
                              PageRankScratch& scratch) const {
  Pushing pushing(*this, scratch);
  pushing.Begin(starts);
  const PageRankSummary summary = pushing.Run(deadline);
  pushing.GatherRanked();
  return summary;
}

PageRankSource::PageRankSource(const InteractionAdjacency& adjacency, Options options)
    : options_(std::move(options)), page_rank_(adjacency, options_.page_rank) {}

std::vector<Candidate> PageRankSource::Retrieve(const CandidateQuery& query,
                                                Scratch& scratch) const {
  FindWalkStarts(query.recent, options_.starts_max, options_.half_life, scratch.starts);
  const PageRankSummary summary = page_rank_.Run(scratch.starts, query.deadline, scratch.page_rank);
  if (options_.on_end) options_.on_end(summary);
  return BestAdmitted(std::span<const RankedItem>(scratch.page_rank.ranked), query.filter,
                      query.count, kFromPageRank);
}

}  // namespace groundswell
