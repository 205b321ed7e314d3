#include "server/pipeline/blend_order.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "graph/state/user_edges.h"
#include "index/score_key.h"
#include "models/math/elementwise.h"
#include "server/pipeline/visit.h"

namespace groundswell {
namespace {

constexpr auto kRankerList = static_cast<size_t>(BlendList::kRanker);
// By BlendList; the ranker is no source, and the last.
constexpr auto kSourceOfList = [] {
  std::array<SourceBit, kRankerList> sources{};
  for (size_t list = 0; list < sources.size(); ++list) {
    sources[list] = SourceNamed(kBlendLists[list]);
  }
  return sources;
}();
static_assert(kBlendLists.size() == kRankerList + 1);
static_assert(std::ranges::find(kSourceOfList, SourceBit{}) == kSourceOfList.end());

static_assert(kBlendNewestItems == NextItems::kNewestItems);

constexpr float kNever = -1;  // in place of an age

// What a user supposes may lie ahead of the newest event that was applied.
float AgeInSeconds(int64_t time_us, int64_t now_us) {
  return std::max(static_cast<float>(static_cast<double>(now_us - time_us) / 1e6), 0.0f);
}

// How strongly each follows the asker's newest items.
void FindAfterNewest(std::span<const Candidate> rows, const BlendOrder::Asker& asker,
                     BlendOrder::Scratch& scratch) {
  for (std::vector<float>& after : scratch.after) after.clear();
  if (asker.after_newest == nullptr || asker.after_newest->size() == 0) return;
  for (std::vector<float>& after : scratch.after) after.assign(rows.size(), 0);
  for (size_t i = 0; i < rows.size(); ++i) {
    const NextItems::Strengths* strengths = asker.after_newest->Find(rows[i].item);
    if (strengths == nullptr) continue;
    for (size_t newest = 0; newest < kBlendNewestItems; ++newest) {
      scratch.after[newest][i] = (*strengths)[newest];
    }
  }
}

// The best `count` rows by score, ties by item, ascending.
void ChooseRows(std::span<const Candidate> rows, std::span<const float> scores, size_t count,
                std::vector<uint64_t>& keys, std::vector<uint32_t>& chosen) {
  chosen.clear();
  keys.clear();
  if (count >= rows.size()) {
    chosen.resize(rows.size());
    std::iota(chosen.begin(), chosen.end(), 0);
    return;
  }
  if (count == 0) return;
  for (size_t at = 0; at < rows.size(); ++at) keys.push_back(ScoreKey(scores[at], rows[at].item));
  const auto last = keys.begin() + static_cast<ptrdiff_t>(count) - 1;
  std::nth_element(keys.begin(), last, keys.end());
  // Exactly `count`, since no two items have one key, and in the order of the rows.
  for (size_t at = 0; at < rows.size(); ++at) {
    if (ScoreKey(scores[at], rows[at].item) <= *last) chosen.push_back(static_cast<uint32_t>(at));
  }
}

BlendContext ContextOf(size_t items, int64_t newest_us, int64_t now_us, bool with_seen) {
  if (items < BlendOrder::kNewUserItems) return BlendContext::kNewUser;
  if (IsInVisit(newest_us, now_us)) return BlendContext::kInVisit;
  return with_seen ? BlendContext::kReturning : BlendContext::kReturningUnseen;
}

}  // namespace

BlendContext ContextOf(const BlendOrder::Asker& asker) {
  return ContextOf(asker.newest.size(), asker.newest_item_us, asker.now_us, asker.with_seen);
}

BlendContext ContextOf(const UserState& user, int64_t now_us, bool with_seen) {
  int64_t newest_us = std::numeric_limits<int64_t>::min();
  for (const Edge& edge : user.edges) newest_us = std::max(newest_us, edge.last.time_us);
  return ContextOf(user.item_count(), newest_us, now_us, with_seen);
}

void BlendOrder::Choose(CandidateTable& table, const Asker& asker, size_t count, Scratch& scratch,
                        std::vector<Candidate>& items) const {
  const std::span<const Candidate> rows = table.rows();
  Extract(table, asker, scratch);
  scratch.context = ContextOf(asker);
  scratch.weights = state_.blend_weights.Read();
  scratch.scores.resize(rows.size());
  ScoreBlend(scratch.weights, scratch.features, scratch.context, scratch.scores);
  ChooseRows(rows, scratch.scores, count, scratch.keys, scratch.rows);
  scratch.features.Keep(scratch.rows);
  scratch.chosen.clear();
  items.clear();
  items.reserve(scratch.rows.size());
  for (size_t at = 0; at < scratch.rows.size(); ++at) {
    // In place: rows ascend, so that none is overwritten before it was read.
    const uint32_t row = scratch.rows[at];
    scratch.scores[at] = scratch.scores[row];
    scratch.chosen.push_back(rows[row].item);
    items.push_back({rows[row].item, scratch.scores[at], rows[row].sources});
  }
  scratch.scores.resize(items.size());
}

std::vector<uint64_t> BlendOrder::ScoredRows(std::span<const Candidate> rows,
                                             const Scratch& scratch) {
  std::vector<uint64_t> keys = scratch.keys;
  if (scratch.chosen.size() == rows.size()) {  // no key was needed
    for (size_t at = 0; at < rows.size(); ++at) {
      keys.push_back(ScoreKey(scratch.scores[at], rows[at].item));
    }
  }
  std::ranges::sort(keys);
  return keys;
}

void BlendOrder::ChooseRanked(std::span<const Candidate> items, std::span<const float> scores,
                              size_t count, Scratch& scratch) {
  ChooseRows(items, scores, count, scratch.keys, scratch.ranked_at);
  scratch.ranked.clear();
  for (const uint32_t at : scratch.ranked_at) scratch.ranked.push_back(items[at]);
}

void BlendOrder::AddRanker(std::span<const Candidate> items, std::span<const float> logits,
                           Scratch& scratch) const {
  ExtractRanker(items, logits, scratch);
  AddRankerToBlend(scratch.weights, scratch.features, scratch.context, scratch.scores);
}

void BlendOrder::ExtractRanker(std::span<const Candidate> items, std::span<const float> logits,
                               Scratch& scratch) const {
  std::vector<KeyedRow>& order = scratch.keyed;
  order.clear();
  for (size_t at = 0; at < logits.size(); ++at) {
    if (!std::isfinite(logits[at])) continue;
    order.push_back({ScoreKey(logits[at], scratch.ranked[at].item), static_cast<uint32_t>(at)});
  }
  std::ranges::sort(order, {}, &KeyedRow::key);
  scratch.ranker_place.assign(items.size(), 0);
  scratch.ranker_score.assign(items.size(), 0);
  for (size_t place = 0; place < order.size(); ++place) {
    const uint32_t at = scratch.ranked_at[order[place].row];
    scratch.ranker_place[at] =
        static_cast<uint16_t>(std::min<size_t>(place + 1, std::numeric_limits<uint16_t>::max()));
    scratch.ranker_score[at] = logits[order[place].row];
  }
  scratch.features.ExtractRanker({.place = scratch.ranker_place, .score = scratch.ranker_score});
}

std::vector<BlendTermOfItem> BlendOrder::Explain(ItemIndex item, const Scratch& scratch) const {
  std::vector<BlendTermOfItem> terms;
  const auto at = std::ranges::find(scratch.chosen, item);
  if (at == scratch.chosen.end()) return terms;
  const auto row = static_cast<size_t>(at - scratch.chosen.begin());
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    const float term = BlendTerm(scratch.weights, scratch.features, scratch.context, feature, row);
    if (term != 0) terms.push_back({.feature = feature, .contribution = term});
  }
  std::ranges::stable_sort(terms, std::ranges::greater(),
                           [](const BlendTermOfItem& term) { return std::abs(term.contribution); });
  return terms;
}

void BlendOrder::Extract(CandidateTable& table, const Asker& asker, Scratch& scratch) const {
  const std::span<const Candidate> rows = table.rows();
  BlendColumns columns{.count = rows.size()};
  for (size_t list = 0; list < kSourceOfList.size(); ++list) {
    const CandidateTable::Column column = table.Of(kSourceOfList[list]);
    columns.lists[list] = {.place = column.place, .score = column.score};
  }
  for (size_t scale = 0; scale < kBlendScales.size(); ++scale) {
    scratch.share[scale].resize(rows.size());
    state_.fading_counts->Shares(scale, rows, scratch.share[scale]);
    columns.share[scale] = scratch.share[scale];
  }
  FindOfItems(rows, asker, scratch);
  columns.mean_age = scratch.mean_age;
  if (!asker.vector.empty()) columns.live_product = scratch.live_product;
  for (size_t newest = 0; newest < kBlendNewestItems; ++newest) {
    columns.after[newest] = scratch.after[newest];
  }
  if (asker.user != nullptr) {
    FindOwn(rows, asker, scratch);
    FindOwnOfCategories(rows, asker, scratch);
    columns.own_count = scratch.own_count;
    columns.own_age = scratch.own_age;
    columns.own_category_count = scratch.own_category_count;
    columns.own_category_age = scratch.own_category_age;
  }
  scratch.features.Extract(columns);
}

void BlendOrder::FindOfItems(std::span<const Candidate> rows, const Asker& asker,
                             Scratch& scratch) const {
  scratch.mean_age.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    scratch.mean_age[i] = state_.item_ages->MeanAge(rows[i].item, asker.now_us);
  }
  FindAfterNewest(rows, asker, scratch);
  if (asker.vector.empty()) return;
  const EmbeddingIndex::View vectors =
      asker.items != nullptr ? *asker.items : state_.embedding_index->Now();
  scratch.live_product.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::span<const float> vector = vectors.VectorOf(rows[i].item);
    scratch.live_product[i] = vector.empty() ? 0.0f : Dot(asker.vector, vector);
  }
}

void BlendOrder::FindOwn(std::span<const Candidate> rows, const Asker& asker,
                         Scratch& scratch) const {
  scratch.own_count.resize(rows.size());
  scratch.own_age.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::span<const Edge> edges = asker.user->EdgesTo(rows[i].item);
    scratch.own_count[i] = static_cast<float>(SumOf(edges));
    scratch.own_age[i] =
        edges.empty() ? kNever : AgeInSeconds(edges.back().last.time_us, asker.now_us);
  }
}

// Items without a category are of one, too: what all candidates have changes no order.
void BlendOrder::FindOwnOfCategories(std::span<const Candidate> rows, const Asker& asker,
                                     Scratch& scratch) const {
  const std::span<const uint32_t> category_of_item = state_.catalogue->category_of_item();
  std::vector<OfCategory>& of_category = scratch.of_category;
  const auto category_of = [&](ItemIndex item) {
    const uint32_t category = CategoryIn(category_of_item, item);
    if (category >= of_category.size()) of_category.resize(category + 1);
    return category;
  };
  for (const Edge& edge : asker.user->edges) {
    const uint32_t category = category_of(edge.item);
    OfCategory& own = of_category[category];
    if (own.count == 0) scratch.categories.push_back(category);
    own.newest_us = own.count == 0 ? edge.last.time_us : std::max(own.newest_us, edge.last.time_us);
    own.count += static_cast<float>(edge.count);
  }
  scratch.own_category_count.resize(rows.size());
  scratch.own_category_age.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const OfCategory& own = of_category[category_of(rows[i].item)];
    scratch.own_category_count[i] = own.count;
    scratch.own_category_age[i] =
        own.count > 0 ? AgeInSeconds(own.newest_us, asker.now_us) : kNever;
  }
  for (const uint32_t category : scratch.categories) of_category[category] = {};
  scratch.categories.clear();
}

}  // namespace groundswell
