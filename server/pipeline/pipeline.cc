#include "server/pipeline/pipeline.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "models/math/vector_length.h"
#include "server/pipeline/list_tracer.h"
#include "server/pipeline/request_user.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

// A user of whom nothing is known: the ranker sees an empty history and the unknown row.
OverlaidUser Nobody() {
  return {.state = {.index = UserIndex{std::numeric_limits<uint32_t>::max()}, .edges = {}},
          .joined = {}};
}

// A user with a trained embedding, if any user has one, and with the first `recent` items.
OverlaidUser WarmUpUser(size_t recent, uint32_t items) {
  OverlaidUser user{.state = {}, .joined = {}};
  for (uint32_t item = 0; item < std::min<size_t>(recent, items); ++item) {
    user.state.edges.push_back({.item = ItemIndex{item}, .count = 1, .last = {}});
  }
  return user;
}

absl::Status TooManyWait() {
  return absl::ResourceExhaustedError("too many requests waited for this one to be ranked");
}

float Probability(float logit) { return 1.0f / (1.0f + std::exp(-logit)); }

}  // namespace

// What is asked, what is known so far, and the list that it becomes. Each stage reads what those
// before it left here.
struct Pipeline::Run {
  Run(Pipeline& pipeline, const RecommendQuery& query, ComputeThread thread,
      StageDurations& durations);

  absl::Status ReadUser();
  void Retrieve();
  void ChooseCandidates(size_t count);
  void TakeItems(std::span<const ItemIndex> items);
  void Order();
  absl::Status RankItems();
  // Sorts `items`, which the list was before it was ordered, by what decides the order of the list,
  // with other boosts. REQUIRES: what that is has been found.
  void Sort(const ListBoosts& boosts, std::vector<Candidate>& items);
  void Arrange();
  void ArrangeTraced(ListTracer& tracer);
  void DiversifyList();
  void LayOut();
  // Lays `items` out with the rules of the request, but for these two limits: of a category on a
  // page, and of all.
  PageLayoutResult LayOutItems(size_t category_max, size_t items_max, std::vector<Candidate>& items,
                               std::vector<uint32_t>& page_ends);
  void Explain();
  void ExplainBlend();

  Retrieval::Query RetrievalQuery(const ItemFilter& filter, const ItemFilter& with_seen) const;
  bool IsArranged() const;  // once it is ordered
  bool LaysOut() const;
  bool IsInBlendOrder() const;
  void Degrade(DegradedStep step);
  void FallBack(Fallback reason);
  bool HasTime() const;
  ListBoosts Boosts() const;

  const Pipeline& pipeline;
  const LiveState& state;
  PipelineMetrics& metrics;
  const RecommendQuery& query;
  const ComputeThread thread;
  Scratch& scratch;
  StageDurations& durations;

  RankedList list;
  std::optional<OverlaidUser> user;  // nullopt: nothing is known
  std::span<const ItemIndex> seen;   // the user's, which the list leaves out
  std::vector<ItemIndex> hidden;     // likewise, also where seen items are asked for
  bool fewer = false;                // fewer candidates, as many requests wait
  bool blended = false;              // the blend chose the items: scratch.blend has them
  Scoring::Scores scores;            // of the ranked list
  // Of the items before they were ordered by them; empty: they keep the order that they had.
  std::span<const float> order_scores;
};

absl::StatusOr<RankedList> Pipeline::Recommend(const RecommendQuery& query, ComputeThread thread,
                                               StageDurations& durations) {
  Run run(*this, query, thread, durations);
  if (absl::Status s = run.ReadUser(); !s.ok()) return s;
  run.Retrieve();
  run.Order();
  run.Arrange();
  run.Explain();
  return std::move(run.list);
}

// The stages of Recommend, with a look at what each of them left in the run.
absl::StatusOr<ListTrace> Pipeline::Trace(const RecommendQuery& query,
                                          std::span<const ItemIndex> items, ComputeThread thread,
                                          StageDurations& durations) {
  Run run(*this, query, thread, durations);
  if (absl::Status s = run.ReadUser(); !s.ok()) return s;
  ListTracer tracer(query, state_, options_.items_max, items);
  run.Retrieve();
  const std::vector<Candidate> chosen = run.list.items;
  const ItemFilter any;
  tracer.Retrieved(retrieval_, run.RetrievalQuery(any, any), run.scratch.retrieval.table, chosen);
  if (run.blended) tracer.Blended(run.scratch.retrieval.table, run.scratch.blend);
  run.Order();
  if (!run.list.ranker.empty()) {
    const bool votes = run.blended && !query.ranker_alone;
    tracer.Ranked(votes ? run.scratch.blend.ranked : chosen, run.scores.logits, run.list.items);
  }
  if (run.IsInBlendOrder()) tracer.Explained(blend_, run.scratch.blend);
  const Boosts no_boosts;
  std::vector<Candidate> unboosted = chosen;
  run.Sort({.factors = no_boosts, .category_of_item = state_.catalogue->category_of_item()},
           unboosted);
  tracer.Ordered(chosen, run.order_scores, std::move(unboosted));
  tracer.Moved(ListStep::kBoost, run.list.items);
  if (run.IsArranged()) run.ArrangeTraced(tracer);
  return tracer.Finish(run.seen, run.hidden, std::move(run.list));
}

absl::StatusOr<RankedList> Pipeline::Rank(const RecommendQuery& query,
                                          std::span<const ItemIndex> items, ComputeThread thread,
                                          StageDurations& durations) {
  Run run(*this, query, thread, durations);
  if (absl::Status s = run.ReadUser(); !s.ok()) return s;
  if (!run.user.has_value()) run.user = Nobody();
  run.TakeItems(items);
  const absl::Status ranked = run.RankItems();
  if (absl::IsFailedPrecondition(ranked)) {
    return PreconditionFailed("USER_NOT_SCORED", "user_id", std::string(ranked.message()));
  }
  if (!ranked.ok()) return ranked;
  run.Explain();
  return std::move(run.list);
}

Pipeline::Run::Run(Pipeline& of_pipeline, const RecommendQuery& of_query, ComputeThread on_thread,
                   StageDurations& of_stages)
    : pipeline(of_pipeline),
      state(of_pipeline.state_),
      metrics(of_pipeline.metrics_),
      query(of_query),
      thread(on_thread),
      scratch(of_pipeline.scratch_[on_thread.number]),
      durations(of_stages),
      list(of_pipeline.NewList()) {
  if (query.stale) Degrade(DegradedStep::kStaleState);
}

absl::Status Pipeline::Run::ReadUser() {
  StageTimer timer(metrics, Stage::kUserState, &durations.user_state);
  auto read = ReadRequestUser(state, query.user_id, query.hypothetical_events);
  if (!read.ok()) return read.status();
  user = std::move(read->known);
  hidden = std::move(read->hidden);
  return absl::OkStatus();
}

void Pipeline::Run::Retrieve() {
  StageTimer timer(metrics, Stage::kRetrieval, &durations.retrieval);
  scratch.seen.clear();
  if (user.has_value() && !query.rules.include_seen) {
    for (const Edge& edge : user->state.edges) scratch.seen.push_back(edge.item);
  }
  seen = scratch.seen;
  const ItemFilter filter = pipeline.FilterOf(query.rules, seen, hidden);
  const ItemFilter with_seen = pipeline.FilterOf(query.rules, {}, hidden);
  fewer = thread.pressure != Pressure::kNone && query.only_sources == 0;
  if (fewer) Degrade(DegradedStep::kFewerCandidates);
  const Retrieval::Result found =
      pipeline.retrieval_.Propose(RetrievalQuery(filter, with_seen), thread, scratch.retrieval);
  if (found.skipped) Degrade(DegradedStep::kRetrievalSkipped);
  ChooseCandidates(found.candidates_max);
  metrics.ObserveListCandidates(list.items.size());
}

Retrieval::Query Pipeline::Run::RetrievalQuery(const ItemFilter& filter,
                                               const ItemFilter& with_seen) const {
  return {.user = user.has_value() ? &*user : nullptr,
          .filter = filter,
          .filter_with_seen = with_seen,
          .include_seen = query.rules.include_seen,
          .categories = query.rules.categories,
          .seed = std::hash<std::string>{}(query.user_id),
          .newest_event_us = list.newest_event_time_us,
          .only_sources = query.only_sources,
          .fewer = fewer,
          .items_min = query.page_size,
          .deadline = query.deadline};
}

// Of what was proposed. A source that is asked alone, by its name, is taken at its word.
void Pipeline::Run::ChooseCandidates(size_t count) {
  Retrieval::Scratch& retrieved = scratch.retrieval;
  blended = std::popcount(query.only_sources) != 1;
  if (blended) {
    const BlendOrder::Asker asker{
        .user = user.has_value() ? &user->state : nullptr,
        .vector = retrieved.vector,
        .newest = retrieved.recent.newest,
        .after_newest = &retrieved.of_sources.next_items.strengths,
        .newest_item_us = retrieved.recent.items.empty() ? 0 : retrieved.recent.items[0].time_us,
        .now_us = list.newest_event_time_us,
        .with_seen = query.rules.include_seen};
    pipeline.blend_.Choose(retrieved.table, asker, count, scratch.blend, list.items);
    return;
  }
  const auto rows = retrieved.table.rows().first(std::min(count, retrieved.table.rows().size()));
  const CandidateTable::Column own = retrieved.table.Of(static_cast<SourceBit>(query.only_sources));
  list.items.assign(rows.begin(), rows.end());
  for (size_t i = 0; i < rows.size(); ++i) list.items[i].score = own.score[i];
}

// In place of Retrieve, where the request names the items.
void Pipeline::Run::TakeItems(std::span<const ItemIndex> items) {
  for (const ItemIndex item : items) list.items.push_back({.item = item, .sources = kFromRequest});
  metrics.CountCandidates(kFromRequest, items.size());
}

// With the ranker, which the list then names; where there is none, or it cannot, without.
void Pipeline::Run::Order() {
  if (!user.has_value()) {
    FallBack(Fallback::kUnknownUser);
  } else if (query.ranker != nullptr && !query.skip_ranking && !list.items.empty()) {
    const absl::Status ranked =
        thread.pressure == Pressure::kNoRanking ? TooManyWait() : RankItems();
    if (ranked.ok()) {
      metrics.ObserveFirstScore(list.items.front().score);
      return;
    }
    if (absl::IsFailedPrecondition(ranked)) {
      FallBack(Fallback::kUserNotScored);
    } else {
      Degrade(DegradedStep::kRankingSkipped);
    }
  }
  if (blended) order_scores = scratch.blend.scores;
  Sort(Boosts(), list.items);
}

void Pipeline::Run::Sort(const ListBoosts& boosts, std::vector<Candidate>& items) {
  if (order_scores.empty()) {
    OrderByBoosts(boosts, scratch.order, items);
  } else {
    OrderByScores(order_scores, boosts, scratch.order, items);
  }
}

// Scores the list, sorts it and names the ranker: by the blend, in which the ranker has its vote on
// the best of it, or by the ranker alone where it was named, or nothing was blended. On an error,
// which is one of Scoring::Score, the list is as it was. REQUIRES: a ranker and a user.
absl::Status Pipeline::Run::RankItems() {
  StageTimer timer(metrics, Stage::kRank, &durations.rank);
  const bool votes = blended && !query.ranker_alone;
  BlendOrder::Scratch& blend = scratch.blend;
  if (votes) {
    BlendOrder::ChooseRanked(list.items, blend.scores, pipeline.options_.retrieval.ranked, blend);
  }
  const auto scored = pipeline.scoring_.Score(
      *query.ranker, *user, query.rules.now_us, votes ? blend.ranked : list.items,
      [this] { return HasTime(); }, scratch.scoring);
  if (!scored.ok()) return scored.status();
  scores = *scored;
  if (votes) {
    pipeline.blend_.AddRanker(list.items, scores.logits, blend);
    // Those that no ranker saw; the blend's own score is on another scale.
    for (Candidate& candidate : list.items) candidate.score = 0;
  }
  for (size_t i = 0; i < scores.logits.size(); ++i) {
    list.items[votes ? blend.ranked_at[i] : i].score = Probability(scores.logits[i]);
  }
  order_scores = votes ? std::span<const float>(blend.scores) : scores.logits;
  Sort(Boosts(), list.items);
  list.ranker = query.ranker->name();
  list.asked_time_us = query.rules.now_us;
  return absl::OkStatus();
}

// What is done to a list once it is ordered.
void Pipeline::Run::Arrange() {
  if (!IsArranged()) return;
  StageTimer timer(metrics, Stage::kArrange, &durations.arrange);
  DiversifyList();
  LayOut();
}

void Pipeline::Run::ArrangeTraced(ListTracer& tracer) {
  StageTimer timer(metrics, Stage::kArrange, &durations.arrange);
  DiversifyList();
  tracer.Moved(ListStep::kDiversity, list.items);
  std::vector<Candidate> pinned = list.items;
  LayOut();
  const bool limits = query.diversity.category_max > 0;
  if (limits && !query.applied_rules.pins.empty()) {  // what the pins alone would have done
    std::vector<uint32_t> page_ends;
    LayOutItems(/*category_max=*/0, pinned.size() + query.applied_rules.pins.size(), pinned,
                page_ends);
    tracer.Moved(ListStep::kPin, pinned);
  }
  tracer.Moved(limits ? ListStep::kCategoryLimit : ListStep::kPin, list.items);
}

void Pipeline::Run::DiversifyList() {
  if (query.diversity.strength <= 0) return;
  if (HasTime()) {
    Diversify(state.embedding_index->Now(), query.diversity.strength,
              pipeline.options_.diversity_items_max, scratch.diversity, list.items);
  } else {
    Degrade(DegradedStep::kDiversitySkipped);
  }
}

bool Pipeline::Run::IsArranged() const { return query.diversity.strength > 0 || LaysOut(); }

bool Pipeline::Run::LaysOut() const {
  return query.diversity.category_max > 0 || !query.applied_rules.pins.empty();
}

void Pipeline::Run::LayOut() {
  if (!LaysOut()) return;
  const PageLayoutResult result = LayOutItems(
      query.diversity.category_max, pipeline.options_.items_max, list.items, list.page_ends);
  metrics.CountCandidates(kFromPinned, result.pinned);
  const bool is_known = std::ranges::find(list.degradations, DegradedStep::kRetrievalSkipped) !=
                        list.degradations.end();
  if (result.cut_short && !is_known) Degrade(DegradedStep::kRetrievalSkipped);
}

PageLayoutResult Pipeline::Run::LayOutItems(size_t category_max, size_t items_max,
                                            std::vector<Candidate>& items,
                                            std::vector<uint32_t>& page_ends) {
  const Catalogue& catalogue = *state.catalogue;
  const ItemFilter filter = pipeline.FilterOf(query.rules, seen, hidden);
  const std::optional<uint32_t> no_category = catalogue.FindCategory("");
  PageRules rules{.page_size = query.page_size,
                  .category_max = category_max,
                  .items_max = items_max,
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
  const std::shared_ptr<const PopularitySource::Order> popular = state.popularity.order();
  const PageFill fill{.filter = filter,
                      .popular = fills ? popular.get() : nullptr,
                      .deadline = query.deadline - pipeline.options_.retrieval.stage_reserve};
  return LayOutPages(rules, fill, scratch.page_layout, items, page_ends);
}

// The first items, by what the blend made of them and by what a ranker did.
void Pipeline::Run::Explain() {
  ExplainBlend();
  if (query.explain_items == 0 || list.items.empty() || list.ranker.empty()) return;
  StageTimer timer(metrics, Stage::kExplain, &durations.explain);
  const auto first = std::span(list.items).first(std::min(query.explain_items, list.items.size()));
  Explanations explanations;
  if (pipeline.scoring_.Explain(
          *query.ranker, user->state, scores, first, [this] { return HasTime(); }, scratch.scoring,
          explanations)) {
    list.explanations = std::move(explanations);
  } else {
    Degrade(DegradedStep::kExplanationsSkipped);
  }
}

void Pipeline::Run::ExplainBlend() {
  if (!IsInBlendOrder()) return;
  for (const Candidate& candidate :
       std::span(list.items).first(std::min(query.explain_items, list.items.size()))) {
    list.blend_terms.push_back(pipeline.blend_.Explain(candidate.item, scratch.blend));
  }
}

bool Pipeline::Run::IsInBlendOrder() const {
  const bool by_ranker = query.ranker_alone && !list.ranker.empty();
  return blended && !by_ranker;
}

void Pipeline::Run::Degrade(DegradedStep step) {
  list.degradations.push_back(step);
  metrics.CountDegraded(step);
}

void Pipeline::Run::FallBack(Fallback reason) {
  list.fallback = reason;
  metrics.CountFallback(reason);
}

bool Pipeline::Run::HasTime() const {
  return std::chrono::steady_clock::now() + pipeline.options_.retrieval.stage_reserve <
         query.deadline;
}

ListBoosts Pipeline::Run::Boosts() const {
  return {.factors = query.applied_rules.boosts,
          .category_of_item = state.catalogue->category_of_item()};
}

absl::StatusOr<RankedList> Pipeline::Similar(ItemIndex item, Similarity similarity,
                                             const ItemRules& rules, StageDurations& durations) {
  RankedList list = NewList();
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
  const ItemFilter filter = FilterOf(rules, itself, {});
  const CandidateQuery query{
      .vector = vector, .filter = filter, .count = options_.retrieval.candidates};
  absl::StatusOr<std::vector<Candidate>> found;
  if (similarity == Similarity::kInnerProduct) {
    found = state_.embedding_index->Retrieve(query, items);
  } else if (VectorLength(vector) > 0) {
    found = NearestByCosine(items, state_.catalogue->size(), query);
  } else {
    return PreconditionFailed("EMBEDDING_ZERO", "item_id",
                              "the item's vector is 0 and has no direction: ask by the inner "
                              "product, or give the item another vector");
  }
  if (!found.ok()) return found.status();
  metrics_.CountCandidates(kFromEmbedding, found->size());
  list.items = *std::move(found);
  return list;
}

absl::StatusOr<std::vector<float>> Pipeline::ScoreAgain(const Ranker& ranker,
                                                        const std::string& user_id,
                                                        std::span<const Candidate> items,
                                                        int64_t now_us, ComputeThread thread) {
  const absl::StatusOr<RequestUser> user = ReadRequestUser(state_, user_id, {});
  if (!user.ok()) return user.status();
  const auto scored = scoring_.Score(
      ranker, user->known.has_value() ? *user->known : Nobody(), now_us, items, [] { return true; },
      scratch_[thread.number].scoring);
  if (!scored.ok()) return scored.status();
  return std::vector<float>(scored->logits.begin(), scored->logits.end());
}

ItemFilter Pipeline::FilterOf(const ItemRules& rules, std::span<const ItemIndex> left_out,
                              std::span<const ItemIndex> hidden) const {
  const Catalogue& catalogue = *state_.catalogue;
  ItemFilter filter;
  filter.RequireAvailable(catalogue, rules.now_us);
  if (!rules.excluded.empty()) filter.Exclude(rules.excluded);
  if (!left_out.empty()) filter.Exclude(left_out);
  if (!hidden.empty()) filter.Exclude(hidden);
  if (!rules.categories.empty()) {
    filter.RestrictToCategories(rules.categories, catalogue.category_of_item());
  }
  return filter;
}

// The offset is read before any state, so that the list contains at least what it claims.
RankedList Pipeline::NewList() const {
  RankedList list;
  list.snapshot_version = state_.snapshot->manifest().FullVersion();
  list.catalogue = state_.catalogue;
  list.item_cluster_categories = state_.item_cluster_categories;
  const Applier::Progress progress = state_.applier->progress();
  list.applied_offset = progress.applied_offset;
  list.newest_event_time_us = progress.newest_event_time_us;
  return list;
}

Pipeline::Pipeline(const LiveState& state, PipelineMetrics& metrics, Options options,
                   size_t compute_threads)
    : state_(state),
      metrics_(metrics),
      options_(std::move(options)),
      retrieval_(state, metrics, options_.retrieval),
      blend_(state),
      scoring_(state, &metrics, options_.item_cache_bytes),
      scratch_(compute_threads) {
  for (Scratch& scratch : scratch_) {
    scratch.scoring = scoring_.NewScratch();
    scratch.retrieval = retrieval_.NewScratch();
  }
}

void Pipeline::WarmUp() {
  scoring_.TouchCaches();
  for (const auto& ranker : state_.snapshot->rankers()) {
    const RecommendQuery query{.ranker = ranker.get(),
                               .deadline = std::chrono::steady_clock::now() + std::chrono::hours(1),
                               .explain_items = kExplainedItemsMax};
    StageDurations durations;
    Run run(*this, query, ComputeThread{.number = 0}, durations);
    run.user = WarmUpUser(ranker->shape().recent_items, state_.catalogue->size());
    for (uint32_t item = 0; item < std::min(Scoring::kBlock, state_.catalogue->size()); ++item) {
      run.list.items.push_back({.item = ItemIndex{item}});
    }
    // A model that has no score for such a user has nothing to warm up.
    if (run.RankItems().ok()) run.Explain();
  }
}

}  // namespace groundswell
