#include "server/pipeline/retrieval.h"

#include <algorithm>
#include <utility>

#include "graph/state/user_edges.h"
#include "server/pipeline/visit.h"

namespace groundswell {
namespace {

// Of quotas and candidates where there are to be fewer.
constexpr size_t kFewerDivisor = 4;
// Newest items that a user's vector is made of, and the sources of the live graph may start from.
constexpr size_t kRecentItems = LiveVectors::kNeighborsMax;

// Of those that were proposed so far.
void FillTable(Retrieval::Scratch& scratch) {
  size_t proposed = 0;
  for (const Proposals* proposals : {&scratch.proposed, &scratch.from_newest}) {
    for (const ProposedList& list : proposals->lists) proposed += list.items.size();
  }
  scratch.table.Reset(proposed);
  for (const Proposals* proposals : {&scratch.proposed, &scratch.from_newest}) {
    for (const ProposedList& list : proposals->lists) scratch.table.Add(list.source, list.items);
  }
}

VectorRung RungOf(VectorOrigin origin) {
  switch (origin) {
    case VectorOrigin::kEncoder:
      return VectorRung::kEncoder;
    case VectorOrigin::kRule:
      return VectorRung::kRule;
    case VectorOrigin::kNone:
      break;
  }
  return VectorRung::kNone;
}

// Who fills the list up.
constexpr const CandidateSource& kFill =
    *std::ranges::find(kCandidateSources, SourcePhase::kFill, &CandidateSource::phase);
static_assert(!kFill.of_user);

}  // namespace

void FindRecentItems(const UserState* user, RecentItems& recent) {
  recent.items.clear();
  recent.newest.clear();
  if (user == nullptr) return;
  NewestEdges(*user, kRecentItems, recent.newest_edges);
  for (const uint32_t at : recent.newest_edges) {
    const Edge& edge = user->edges[at];
    recent.newest.push_back(edge.item);
    recent.items.push_back({.item = edge.item,
                            .time_us = edge.last.time_us,
                            .weight = SumOf(user->EdgesTo(edge.item))});
  }
}

Retrieval::Retrieval(const LiveState& state, PipelineMetrics& metrics, Options options)
    : metrics_(metrics),
      options_(std::move(options)),
      parts_{.state = state,
             .next_items = NextItems(*state.adjacency, options_.next_items),
             .walks = RandomWalkSource(*state.adjacency, options_.random_walk),
             .page_rank = PageRankSource(*state.adjacency, options_.page_rank),
             .stage_reserve = options_.stage_reserve} {}

void Retrieval::FindVector(const Query& query, Scratch& scratch) const {
  const OverlaidUser* const known = query.user;
  scratch.vector.clear();
  if (known == nullptr) return;
  const LiveVectors& live = *parts_.state.live_vectors;
  scratch.vector.resize(live.dim());
  const RecentItems& recent = scratch.recent;
  const VectorOrigin origin = live.OfUser(
      {.state = known->state,
       .newest = recent.newest,
       .joined = known->joined,
       .is_in_visit =
           !recent.items.empty() && IsInVisit(recent.items[0].time_us, query.newest_event_us),
       .by_rule = std::chrono::steady_clock::now() + options_.stage_reserve >= query.deadline},
      parts_.state.embedding_index->Now(), scratch.live_vectors, scratch.vector);
  metrics_.CountVectors(VectorSide::kUser, RungOf(origin));
  if (origin == VectorOrigin::kNone) scratch.vector.clear();
}

Retrieval::Scratch Retrieval::NewScratch() const {
  Scratch scratch;
  scratch.live_vectors = parts_.state.live_vectors->NewScratch();
  return scratch;
}

ComputeThread Retrieval::SiblingsFor(ComputeThread thread) const {
  const bool enough = thread.siblings != nullptr && options_.side_by_side_threads > 0 &&
                      thread.siblings->thread_count() >= options_.side_by_side_threads;
  return enough ? thread : ComputeThread{.number = thread.number};
}

Retrieval::Quota Retrieval::QuotaOf(const CandidateSource& source, const Query& query) const {
  const auto none = [](SourceState why) { return Quota{.items = 0, .state = why}; };
  const size_t quota = options_.quotas[source.bit];
  if (query.only_sources != 0) {
    if ((query.only_sources & source.bit) == 0) return none(SourceState::kNotNamed);
  } else {
    if (source.of_seen_items && !query.include_seen) return none(SourceState::kSeenLeftOut);
    if (quota == 0) return none(SourceState::kOff);
    if (query.fewer && source.spared_in_pressure) return none(SourceState::kUnderPressure);
  }
  if (source.of_user && query.user == nullptr) return none(SourceState::kUserUnknown);
  if (query.only_sources != 0) return {.items = quota > 0 ? quota : options_.candidates};
  return {.items = query.fewer ? (quota + kFewerDivisor - 1) / kFewerDivisor : quota};
}

size_t Retrieval::CandidatesMax(const Query& query) const {
  const bool fewer = query.fewer && query.only_sources == 0;
  return fewer ? (options_.candidates + kFewerDivisor - 1) / kFewerDivisor : options_.candidates;
}

void Retrieval::Ask(const CandidateSource& source, size_t count, SourceQuery asked,
                    SourceScratch& scratch, Proposals& proposals) const {
  if (count == 0) return;
  asked.count = count;
  const size_t before = proposals.lists.size();
  source.propose(asked, scratch, proposals);
  for (ProposedList& list : std::span(proposals.lists).subspan(before)) {
    metrics_.CountCandidates(source.bit, list.items.size());
    list.source = source.bit;
  }
}

void Retrieval::AskAll(SourcePhase phase, const Query& query, const SourceQuery& asked,
                       SourceScratch& scratch, Proposals& proposals) const {
  for (const CandidateSource& source : kCandidateSources) {
    if (source.phase == phase) Ask(source, QuotaOf(source, query).items, asked, scratch, proposals);
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
  FindRecentItems(query.user != nullptr ? &query.user->state : nullptr, scratch.recent);
  FindVector(query, scratch);
  of_sources.next_items.strengths.Reset(0);  // the request before's, should nobody ask for them now
  const SourceQuery asked{.parts = parts_,
                          .user = query.user,
                          .recent = scratch.recent.items,
                          .vector = scratch.vector,
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
  AskAll(SourcePhase::kOfOthers, query, asked, of_sources, proposed);
  const Result result{.candidates_max = CandidatesMax(query),
                      .skipped = proposed.skipped || from_newest.skipped};
  size_t filling = QuotaOf(kFill, query).items;
  if (filling > 0 && fill) filling = std::max(filling, result.candidates_max);
  Ask(kFill, filling, asked, of_sources, proposed);
  FillTable(scratch);
  const size_t wanted = std::min(query.items_min, result.candidates_max);
  // Known only once all were asked: sources propose the same items, and filters leave some out.
  if (scratch.table.rows().size() < wanted && filling < wanted && query.only_sources == 0) {
    Ask(kFill, wanted, asked, of_sources, proposed);
    FillTable(scratch);
  }
  return result;
}

}  // namespace groundswell
