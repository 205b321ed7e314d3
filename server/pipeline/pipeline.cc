#include "server/pipeline/pipeline.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "groundswell/v1/recommend.pb.h"
#include "index/item_filter.h"
#include "server/pipeline/request_user.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

// Candidates scored between two looks at the clock: a multiple of what dense products are padded to
// (models/math/kernels.h).
constexpr size_t kBlock = 120;
// A user of whom nothing is known: the ranker sees an empty history and the unknown row.
OverlaidUser Nobody() {
  return {.state = {.index = UserIndex{std::numeric_limits<uint32_t>::max()}, .edges = {}},
          .joined = {}};
}

// A user with a trained embedding, if any user has one, and with the first `recent` items.
UserState WarmUpUser(size_t recent, uint32_t items) {
  UserState user;
  for (uint32_t item = 0; item < std::min<size_t>(recent, items); ++item) {
    user.edges.push_back({.item = ItemIndex{item}, .count = 1, .last = {}});
  }
  return user;
}

// A score that is not finite sinks below every one that is.
bool IsHigher(float a, float b) { return std::isfinite(a) && (!std::isfinite(b) || a > b); }

// Best first, ties by item.
void SortByScore(std::vector<Candidate>& items) {
  std::sort(items.begin(), items.end(), [](const Candidate& a, const Candidate& b) {
    if (IsHigher(a.score, b.score)) return true;
    return !IsHigher(b.score, a.score) && a.item < b.item;
  });
}

absl::Status TooLittleTime() {
  return absl::DeadlineExceededError("too little time was left to rank; allow a longer deadline");
}

absl::Status TooManyWait() {
  return absl::ResourceExhaustedError("too many requests waited for this one to be ranked");
}

// Puts the items in the order of `votes`, by their present place; equal ones stay in theirs.
void SortByVotes(std::span<const float> votes, std::vector<uint32_t>& order,
                 std::vector<Candidate>& items) {
  order.resize(items.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return votes[a] != votes[b] ? votes[a] > votes[b] : a < b;
  });
  std::vector<Candidate> ordered;
  ordered.reserve(items.size());
  for (const uint32_t at : order) ordered.push_back(items[at]);
  items = std::move(ordered);
}

float Probability(float logit) { return 1.0f / (1.0f + std::exp(-logit)); }

}  // namespace

Pipeline::Pipeline(const LiveState& state, PipelineMetrics& metrics, Options options,
                   size_t compute_threads)
    : state_(state),
      metrics_(metrics),
      options_(options),
      retrieval_(state, metrics, options.retrieval),
      scratch_(compute_threads) {
  for (const auto& ranker : state_.snapshot->rankers()) {
    const size_t width = ranker->prepared_width();
    item_caches_.push_back(std::make_unique<ItemCache>(state_.graph->items().capacity(), width,
                                                       width > 0 ? options.item_cache_bytes : 0));
  }
  for (Scratch& scratch : scratch_) {
    for (const auto& ranker : state_.snapshot->rankers()) {
      scratch.rankers.push_back(ranker->NewScratch(kBlock));
    }
  }
}

void Pipeline::WarmUp() {
  for (const auto& cache : item_caches_) cache->Touch(state_.catalogue->size());
  for (const auto& ranker : state_.snapshot->rankers()) {
    RankedList list;
    for (uint32_t item = 0; item < std::min(kBlock, state_.catalogue->size()); ++item) {
      list.items.push_back({.item = ItemIndex{item}});
    }
    StageDurations durations;
    const OverlaidUser user{
        .state = WarmUpUser(ranker->shape().recent_items, state_.catalogue->size()), .joined = {}};
    const RecommendQuery query{.ranker = ranker.get(),
                               .deadline = std::chrono::steady_clock::now() + std::chrono::hours(1),
                               .explain_items = kExplainedItemsMax};
    // A model that has no score for such a user has nothing to warm up.
    if (RankItems(query, user, options_.retrieval_weight, scratch_[0], list, durations).ok()) {
      ExplainItems(query, user.state, scratch_[0], list, durations);
    }
  }
}

absl::StatusOr<RankedList> Pipeline::Recommend(const RecommendQuery& query, ComputeThread thread,
                                               StageDurations& durations) {
  Scratch& scratch = scratch_[thread.number];
  RankedList list = NewList(query.stale);
  const absl::StatusOr<std::optional<OverlaidUser>> user = ReadUser(query, durations);
  if (!user.ok()) return user.status();

  Retrieve(query, *user, thread, scratch, list, durations);
  OrderItems(query, *user, thread, scratch, list, durations);
  ArrangeItems(query, scratch, list, durations);
  if (!list.ranker.empty()) ExplainItems(query, (*user)->state, scratch, list, durations);
  return list;
}

absl::StatusOr<RankedList> Pipeline::Rank(const RecommendQuery& query,
                                          std::span<const ItemIndex> items, ComputeThread thread,
                                          StageDurations& durations) {
  RankedList list = NewList(query.stale);
  const absl::StatusOr<std::optional<OverlaidUser>> user = ReadUser(query, durations);
  if (!user.ok()) return user.status();
  for (const ItemIndex item : items) list.items.push_back({.item = item, .sources = kFromRequest});
  metrics_.CountCandidates(kFromRequest, items.size());
  const OverlaidUser of_request = user->has_value() ? **user : Nobody();
  const absl::Status ranked = RankItems(query, of_request, /*retrieval_weight=*/0,
                                        scratch_[thread.number], list, durations);
  if (absl::IsFailedPrecondition(ranked)) {
    return PreconditionFailed("USER_NOT_SCORED", "user_id", std::string(ranked.message()));
  }
  if (!ranked.ok()) return ranked;
  list.ranker = query.ranker->name();
  ExplainItems(query, of_request.state, scratch_[thread.number], list, durations);
  return list;
}

absl::StatusOr<RankedList> Pipeline::Similar(ItemIndex item, const ItemRules& rules,
                                             StageDurations& durations) {
  RankedList list = NewList(/*stale=*/false);
  StageTimer timer(metrics_, Stage::kRetrieval, &durations.retrieval);
  const EmbeddingIndex::View items = state_.embedding_index->Now();
  const std::span<const float> vector = items.VectorOf(item);
  if (vector.empty()) {
    return PreconditionFailed(
        "EMBEDDING_MISSING", "item_id",
        "the item has no vector: it came after the served snapshot without one, "
        "and no user with a vector has taken it yet");
  }
  const ItemIndex itself[] = {item};
  const ItemFilter filter = FilterOf(rules, itself);
  auto found = state_.embedding_index->Retrieve(
      {.vector = vector, .filter = filter, .count = options_.retrieval.candidates});
  if (!found.ok()) return found.status();
  metrics_.CountCandidates(kFromEmbedding, found->size());
  list.items = *std::move(found);
  return list;
}

ItemFilter Pipeline::FilterOf(const ItemRules& rules, std::span<const ItemIndex> left_out) const {
  const Catalogue& catalogue = *state_.catalogue;
  ItemFilter filter;
  filter.RequireAvailable(catalogue, rules.now_us);
  if (!rules.excluded.empty()) filter.Exclude(rules.excluded);
  if (!left_out.empty()) filter.Exclude(left_out);
  if (!rules.categories.empty()) {
    filter.RestrictToCategories(rules.categories, catalogue.category_of_item());
  }
  return filter;
}

bool Pipeline::HasTimeFor(std::chrono::steady_clock::time_point deadline) const {
  return std::chrono::steady_clock::now() + options_.retrieval.stage_reserve < deadline;
}

// The offset is read before the state, so that the list contains at least what it claims.
RankedList Pipeline::NewList(bool stale) const {
  RankedList list;
  list.snapshot_version = state_.snapshot->manifest().FullVersion();
  list.catalogue = state_.catalogue;
  list.item_node_categories = state_.item_node_categories;
  const Applier::Progress progress = state_.applier->progress();
  list.applied_offset = progress.applied_offset;
  list.newest_event_time_us = progress.newest_event_time_us;
  if (stale) Degrade(list, v1::DEGRADATION_STALE_STATE, DegradedStep::kStaleState);
  return list;
}

void Pipeline::Degrade(RankedList& list, int degradation, DegradedStep step) const {
  list.degradations.push_back(degradation);
  metrics_.CountDegraded(step);
}

absl::StatusOr<std::optional<OverlaidUser>> Pipeline::ReadUser(const RecommendQuery& query,
                                                               StageDurations& durations) const {
  StageTimer timer(metrics_, Stage::kUserState, &durations.user_state);
  return ReadRequestUser(state_, query.user_id, query.hypothetical_events);
}

void Pipeline::Retrieve(const RecommendQuery& query, const std::optional<OverlaidUser>& user,
                        ComputeThread thread, Scratch& scratch, RankedList& list,
                        StageDurations& durations) const {
  StageTimer timer(metrics_, Stage::kRetrieval, &durations.retrieval);
  scratch.seen.clear();
  if (user.has_value() && !query.rules.include_seen) {
    for (const Edge& edge : user->state.edges) scratch.seen.push_back(edge.item);
  }
  const ItemFilter filter = FilterOf(query.rules, scratch.seen);
  const ItemFilter with_seen = FilterOf(query.rules, {});
  const bool fewer = thread.pressure != Pressure::kNone && query.only_sources == 0;
  if (fewer) Degrade(list, v1::DEGRADATION_FEWER_CANDIDATES, DegradedStep::kFewerCandidates);
  Retrieval::Result found = retrieval_.Propose({.user = user.has_value() ? &*user : nullptr,
                                                .filter = filter,
                                                .filter_with_seen = with_seen,
                                                .categories = query.rules.categories,
                                                .seed = std::hash<std::string>{}(query.user_id),
                                                .only_sources = query.only_sources,
                                                .fewer = fewer,
                                                .items_min = query.page_size,
                                                .deadline = query.deadline},
                                               thread, scratch.retrieval);
  if (found.skipped) {
    Degrade(list, v1::DEGRADATION_RETRIEVAL_SKIPPED, DegradedStep::kRetrievalSkipped);
  }
  list.items = std::move(found.items);
  metrics_.ObserveListCandidates(list.items.size());
}

// By the ranker, which the list then names; where there is none, or it cannot, as retrieved.
void Pipeline::OrderItems(const RecommendQuery& query, const std::optional<OverlaidUser>& user,
                          ComputeThread thread, Scratch& scratch, RankedList& list,
                          StageDurations& durations) const {
  if (!user.has_value()) {
    list.fallback_reason = v1::FALLBACK_REASON_UNKNOWN_USER;
    metrics_.CountFallback(Fallback::kUnknownUser);
  } else if (query.ranker != nullptr && !query.skip_ranking && !list.items.empty()) {
    const absl::Status ranked =
        thread.pressure == Pressure::kNoRanking
            ? TooManyWait()
            : RankItems(query, *user, options_.retrieval_weight, scratch, list, durations);
    if (ranked.ok()) {
      list.ranker = query.ranker->name();
      metrics_.ObserveFirstScore(list.items.front().score);
      return;
    }
    if (absl::IsFailedPrecondition(ranked)) {
      list.fallback_reason = v1::FALLBACK_REASON_USER_NOT_SCORED;
      metrics_.CountFallback(Fallback::kUserNotScored);
    } else {
      Degrade(list, v1::DEGRADATION_RANKING_SKIPPED, DegradedStep::kRankingSkipped);
    }
  }
  OrderByBoosts(query.applied_rules.boosts, scratch, list);
}

absl::StatusOr<std::vector<float>> Pipeline::ScoreAgain(const Ranker& ranker,
                                                        const std::string& user_id,
                                                        std::span<const Candidate> items,
                                                        ComputeThread thread) {
  const absl::StatusOr<std::optional<OverlaidUser>> user = ReadRequestUser(state_, user_id, {});
  if (!user.ok()) return user.status();
  Scratch& scratch = scratch_[thread.number];
  absl::Status scored = ScoreItems(ranker, user->has_value() ? **user : Nobody(), items,
                                   std::chrono::steady_clock::time_point::max(), scratch);
  if (!scored.ok()) return scored;
  return scratch.logits;
}

// The logits go to scratch.logits, in the order of the items.
absl::Status Pipeline::ScoreItems(const Ranker& ranker, const OverlaidUser& user,
                                  std::span<const Candidate> items,
                                  std::chrono::steady_clock::time_point deadline,
                                  Scratch& scratch) const {
  if (!HasTimeFor(deadline)) return TooLittleTime();
  scratch.items.clear();
  for (const Candidate& candidate : items) scratch.items.push_back(candidate.item);
  scratch.logits.resize(scratch.items.size());
  const UserFeatures features = GatherUserFeatures(*state_.graph, ranker.shape(), user.state,
                                                   scratch.features, user.own_two_hop);
  absl::Status prepared = ranker.PrepareUser(features, *scratch.rankers[NumberOf(ranker)]);
  if (!prepared.ok()) return prepared;
  for (size_t begin = 0; begin < scratch.items.size(); begin += kBlock) {
    if (!HasTimeFor(deadline)) return TooLittleTime();
    const size_t count = std::min(kBlock, scratch.items.size() - begin);
    const auto block = std::span<const ItemIndex>(scratch.items).subspan(begin, count);
    ScoreBlock(ranker, block, scratch, std::span(scratch.logits).subspan(begin, count));
  }
  return absl::OkStatus();
}

// Scores list.items and sorts them. On an error the list is as it was: DeadlineExceeded when the
// time does not suffice, FailedPrecondition when the ranker has no score for the user.
absl::Status Pipeline::RankItems(const RecommendQuery& query, const OverlaidUser& user,
                                 float retrieval_weight, Scratch& scratch, RankedList& list,
                                 StageDurations& durations) const {
  StageTimer timer(metrics_, Stage::kRank, &durations.rank);
  absl::Status scored = ScoreItems(*query.ranker, user, list.items, query.deadline, scratch);
  if (!scored.ok()) return scored;
  for (size_t i = 0; i < list.items.size(); ++i) list.items[i].score = scratch.logits[i];
  const Boosts& boosts = query.applied_rules.boosts;
  if (retrieval_weight > 0 || !boosts.empty()) {
    OrderByRankerAndRetrieval(retrieval_weight, boosts, scratch, list);
  } else {
    SortByScore(list.items);
  }
  for (Candidate& candidate : list.items) candidate.score = Probability(candidate.score);
  return absl::OkStatus();
}

// Reciprocal rank fusion of the two orders; the list is still in that of retrieval, with logits.
void Pipeline::OrderByRankerAndRetrieval(float retrieval_weight, const Boosts& boosts,
                                         Scratch& scratch, RankedList& list) const {
  std::vector<Candidate>& items = list.items;
  scratch.order.resize(items.size());
  std::iota(scratch.order.begin(), scratch.order.end(), 0);
  std::sort(scratch.order.begin(), scratch.order.end(), [&](uint32_t a, uint32_t b) {
    if (IsHigher(items[a].score, items[b].score)) return true;
    return !IsHigher(items[b].score, items[a].score) && a < b;
  });
  scratch.logits.resize(items.size());
  for (size_t place = 0; place < items.size(); ++place) {
    const uint32_t at = scratch.order[place];
    scratch.logits[at] = RankVote(place, 1) + RankVote(at, retrieval_weight);
  }
  MultiplyByBoosts(boosts, scratch.logits, items);
  SortByVotes(scratch.logits, scratch.order, items);
}

// One vote for each place that the items have.
void Pipeline::OrderByBoosts(const Boosts& boosts, Scratch& scratch, RankedList& list) const {
  if (boosts.empty()) return;
  scratch.logits.resize(list.items.size());
  for (size_t place = 0; place < list.items.size(); ++place) {
    scratch.logits[place] = RankVote(place, 1);
  }
  MultiplyByBoosts(boosts, scratch.logits, list.items);
  SortByVotes(scratch.logits, scratch.order, list.items);
}

// What is done to a list once it is ordered.
void Pipeline::ArrangeItems(const RecommendQuery& query, Scratch& scratch, RankedList& list,
                            StageDurations& durations) const {
  const bool lays_out = query.diversity.category_max > 0 || !query.applied_rules.pins.empty();
  if (query.diversity.strength <= 0 && !lays_out) return;
  StageTimer timer(metrics_, Stage::kArrange, &durations.arrange);
  if (query.diversity.strength > 0 && HasTimeFor(query.deadline)) {
    Diversify(state_.embedding_index->Now(), query.diversity.strength, options_.diversity_items_max,
              scratch.diversity, list.items);
  } else if (query.diversity.strength > 0) {
    Degrade(list, v1::DEGRADATION_DIVERSITY_SKIPPED, DegradedStep::kDiversitySkipped);
  }
  if (lays_out) LayOutItems(query, scratch, list);
}

// The user's seen items are still in the scratch, as Retrieve left them.
void Pipeline::LayOutItems(const RecommendQuery& query, Scratch& scratch, RankedList& list) const {
  const Catalogue& catalogue = *state_.catalogue;
  const ItemFilter filter = FilterOf(query.rules, scratch.seen);
  const std::optional<uint32_t> no_category = catalogue.FindCategory("");
  PageRules rules{.page_size = query.page_size,
                  .category_max = query.diversity.category_max,
                  .items_max = options_.items_max,
                  .pins = query.applied_rules.pins,
                  .category_of_item = catalogue.category_of_item()};
  const std::vector<uint32_t>& asked_for = query.rules.categories;
  if (no_category.has_value()) rules.no_category = *no_category;
  if (!asked_for.empty() && std::ranges::find(asked_for, rules.no_category) == asked_for.end()) {
    rules.category_count = asked_for.size();
  } else if (!no_category.has_value()) {
    rules.category_count = catalogue.category_count();
  }
  const bool fills = query.only_sources == 0 || (query.only_sources & kFromPopular) != 0;
  const std::shared_ptr<const PopularitySource::Order> popular = state_.popularity.order();
  const PageFill fill{.filter = filter,
                      .popular = fills ? popular.get() : nullptr,
                      .deadline = query.deadline - options_.retrieval.stage_reserve};
  const PageLayoutResult result =
      LayOutPages(rules, fill, scratch.page_layout, list.items, list.page_ends);
  metrics_.CountCandidates(kFromPinned, result.pinned);
  const bool is_known = std::ranges::find(list.degradations, v1::DEGRADATION_RETRIEVAL_SKIPPED) !=
                        list.degradations.end();
  if (result.cut_short && !is_known) {
    Degrade(list, v1::DEGRADATION_RETRIEVAL_SKIPPED, DegradedStep::kRetrievalSkipped);
  }
}

void Pipeline::MultiplyByBoosts(const Boosts& boosts, std::span<float> votes,
                                std::span<const Candidate> items) const {
  if (boosts.empty()) return;
  const std::span<const uint32_t> category_of_item = state_.catalogue->category_of_item();
  for (size_t i = 0; i < items.size(); ++i) votes[i] *= boosts.Of(items[i].item, category_of_item);
}

// The user's features are still in the scratch, as RankItems left them.
void Pipeline::ExplainItems(const RecommendQuery& query, const UserState& user, Scratch& scratch,
                            RankedList& list, StageDurations& durations) const {
  if (query.explain_items == 0 || list.items.empty()) return;
  StageTimer timer(metrics_, Stage::kExplain, &durations.explain);
  FeatureBuffers& features = scratch.features;
  const RankerShape shape = query.ranker->shape();
  scratch.items.clear();
  for (size_t i = 0; i < std::min(query.explain_items, list.items.size()); ++i) {
    scratch.items.push_back(list.items[i].item);
  }
  Explanations explanations;
  if (!Explain(
          {.ranker = *query.ranker,
           .user = UserFeaturesIn(features, shape, user),
           .items = GatherItemFeatures(*state_.graph, shape, scratch.items, features)},
          *scratch.rankers[NumberOf(*query.ranker)], scratch.explanations,
          [&] { return HasTimeFor(query.deadline); }, explanations)) {
    Degrade(list, v1::DEGRADATION_EXPLANATIONS_SKIPPED, DegradedStep::kExplanationsSkipped);
    return;
  }
  for (std::vector<Explanation>& of_item : explanations.of_item) {
    for (auto& [cause, contribution] : of_item) {
      if (cause.kind != Cause::Kind::kPastItem) continue;
      cause.number = ToInt(user.edges[features.newest_edges[cause.number]].item);
    }
  }
  list.explanations = std::move(explanations);
}

void Pipeline::ScoreBlock(const Ranker& ranker, std::span<const ItemIndex> block, Scratch& scratch,
                          std::span<float> logits) const {
  const size_t number = NumberOf(ranker);
  RankerScratch& ranker_scratch = *scratch.rankers[number];
  if (ranker.prepared_width() == 0) {
    ranker.ScoreItems(GatherItemFeatures(*state_.graph, ranker.shape(), block, scratch.features),
                      ranker_scratch, logits);
    return;
  }
  const std::span<const float> prepared =
      PrepareItems(*state_.graph, ranker, block, *item_caches_[number], ranker_scratch,
                   scratch.features, scratch.prepared_items);
  metrics_.CountPreparedItems(scratch.prepared_items.missing.size(), block.size());
  ranker.ScorePrepared(prepared, ranker_scratch, logits);
}

// Place among the snapshot's rankers.
size_t Pipeline::NumberOf(const Ranker& ranker) const {
  const auto rankers = state_.snapshot->rankers();
  const auto at = std::find_if(rankers.begin(), rankers.end(),
                               [&](const auto& one) { return one.get() == &ranker; });
  return static_cast<size_t>(at - rankers.begin());
}

}  // namespace groundswell
