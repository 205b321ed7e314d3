#include "server/pipeline/retrieval.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "graph/state/user_edges.h"

namespace groundswell {
namespace {

// Of quotas and candidates where there are to be fewer.
constexpr size_t kFewerDivisor = 4;
// Newest items that a user's vector is made of, and the sources of the live graph may start from.
constexpr size_t kRecentItems = LiveVectors::kNeighborsMax;
// Who fills the list up.
constexpr const CandidateSource& kFill =
    *std::ranges::find(kCandidateSources, SourcePhase::kFill, &CandidateSource::phase);

}  // namespace

Retrieval::Retrieval(const LiveState& state, PipelineMetrics& metrics, Options options)
    : metrics_(metrics),
      options_(std::move(options)),
      parts_{.state = state,
             .next_items = NextItems(*state.adjacency, options_.next_items),
             .walks = RandomWalkSource(*state.adjacency, options_.random_walk),
             .stage_reserve = options_.stage_reserve} {}

void Retrieval::FindRecent(const OverlaidUser* known, Scratch& scratch) const {
  scratch.recent.clear();
  scratch.newest.clear();
  if (known == nullptr) return;
  const UserState& user = known->state;
  NewestEdges(user, kRecentItems, scratch.newest_edges);
  for (const uint32_t at : scratch.newest_edges) {
    const Edge& edge = user.edges[at];
    scratch.newest.push_back(edge.item);
    scratch.recent.push_back({.item = edge.item,
                              .time_us = edge.last.time_us,
                              .weight = SumOf(user.EdgesTo(edge.item))});
  }
}

ComputeThread Retrieval::SiblingsFor(ComputeThread thread) const {
  const bool enough = thread.siblings != nullptr && options_.side_by_side_threads > 0 &&
                      thread.siblings->thread_count() >= options_.side_by_side_threads;
  return enough ? thread : ComputeThread{.number = thread.number};
}

size_t Retrieval::QuotaOf(const CandidateSource& source, const Query& query) const {
  const size_t quota = options_.sources[source.bit].quota;
  if (query.only_sources == 0) {
    if (!query.fewer) return quota;
    return source.spared_in_pressure ? 0 : (quota + kFewerDivisor - 1) / kFewerDivisor;
  }
  if ((query.only_sources & source.bit) == 0) return 0;
  return quota > 0 ? quota : options_.candidates;
}

size_t Retrieval::CandidatesMax(const Query& query) const {
  const bool fewer = query.fewer && query.only_sources == 0;
  return fewer ? (options_.candidates + kFewerDivisor - 1) / kFewerDivisor : options_.candidates;
}

void Retrieval::Ask(const CandidateSource& source, size_t count, SourceQuery asked,
                    SourceScratch& scratch, Proposals& proposals) const {
  if (count == 0 || (source.of_user && asked.user == nullptr)) return;
  asked.count = count;
  const size_t before = proposals.lists.size();
  source.propose(asked, scratch, proposals);
  for (ProposedList& list : std::span(proposals.lists).subspan(before)) {
    metrics_.CountCandidates(source.bit, list.items.size());
    for (Candidate& candidate : list.items) candidate.sources = source.bit;
    list.weight = options_.sources[source.bit].weight;
  }
}

void Retrieval::AskAll(SourcePhase phase, const Query& query, const SourceQuery& asked,
                       SourceScratch& scratch, Proposals& proposals) const {
  for (const CandidateSource& source : kCandidateSources) {
    if (source.phase == phase) Ask(source, QuotaOf(source, query), asked, scratch, proposals);
  }
}

Retrieval::Result Retrieval::Propose(const Query& query, ComputeThread thread,
                                     Scratch& scratch) const {
  SourceScratch& of_sources = scratch.of_sources;
  Proposals& proposed = scratch.proposed;
  Proposals& from_newest = scratch.from_newest;
  for (Proposals* proposals : {&proposed, &from_newest}) {
    proposals->lists.clear();
    proposals->skipped = false;
  }
  FindRecent(query.user, scratch);
  const SourceQuery asked{.parts = parts_,
                          .user = query.user,
                          .recent = scratch.recent,
                          .newest = scratch.newest,
                          .filter = query.filter,
                          .filter_with_seen = query.filter_with_seen,
                          .categories = query.categories,
                          .seed = query.seed,
                          .deadline = query.deadline};
  RunSideBySide(
      SiblingsFor(thread),
      [&] { AskAll(SourcePhase::kByEmbedding, query, asked, of_sources, proposed); },
      [&] { AskAll(SourcePhase::kFromNewest, query, asked, of_sources, from_newest); });
  const bool fill = std::ranges::all_of(
      proposed.lists, [](const ProposedList& list) { return list.items.empty(); });
  std::ranges::move(from_newest.lists, std::back_inserter(proposed.lists));
  AskAll(SourcePhase::kOfOthers, query, asked, of_sources, proposed);
  const size_t candidates_max = CandidatesMax(query);
  size_t filling = QuotaOf(kFill, query);
  if (filling > 0 && fill) filling = std::max(filling, candidates_max);
  Ask(kFill, filling, asked, of_sources, proposed);
  Result result;
  result.items = MergeCandidates(proposed.lists, candidates_max, options_.rank_constant);
  const size_t wanted = std::min(query.items_min, candidates_max);
  if (result.items.size() < wanted && filling < wanted && query.only_sources == 0) {
    if (filling > 0) proposed.lists.pop_back();
    Ask(kFill, wanted, asked, of_sources, proposed);
    result.items = MergeCandidates(proposed.lists, candidates_max, options_.rank_constant);
  }
  result.skipped = proposed.skipped || from_newest.skipped;
  return result;
}

}  // namespace groundswell
