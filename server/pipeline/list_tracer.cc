#include "server/pipeline/list_tracer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

#include "index/item_filter.h"
#include "index/score_key.h"
#include "server/pipeline/source_table.h"

namespace groundswell {
namespace {

// From 1; 0: it is not among them.
size_t PlaceAmong(std::span<const Candidate> items, ItemIndex item) {
  const auto at = std::ranges::find(items, item, &Candidate::item);
  return at == items.end() ? 0 : static_cast<size_t>(at - items.begin()) + 1;
}

// The place and score in sorted score keys.
std::optional<ScoredPlace> PlaceAmongKeys(std::span<const uint64_t> keys, ItemIndex item) {
  const auto at = std::ranges::find(keys, item, ItemOfKey);
  if (at == keys.end()) return std::nullopt;
  return ScoredPlace{.place = static_cast<size_t>(at - keys.begin()) + 1, .score = ScoreOfKey(*at)};
}

}  // namespace

ListTracer::ListTracer(const RecommendQuery& query, const LiveState& state, size_t items_max,
                       std::span<const ItemIndex> items)
    : query_(query), state_(state), items_max_(items_max) {
  const std::span<const uint32_t> category_of_item = state.catalogue->category_of_item();
  const AppliedRules& rules = query.applied_rules;
  for (const ItemIndex item : items) {
    TracedItem& traced = trace_.items.emplace_back();
    traced.item = item;
    traced.boost = rules.boosts.Of(item, category_of_item);
    const auto pin = std::ranges::find(rules.pins, item, &Pin::item);
    if (pin != rules.pins.end()) traced.pin = pin->place + 1;
  }
}

void ListTracer::Retrieved(const Retrieval& retrieval, const Retrieval::Query& asked,
                           CandidateTable& table, std::span<const Candidate> chosen) {
  trace_.proposed = table.rows().size();
  trace_.chosen = chosen.size();
  for (const CandidateSource& source : kCandidateSources) {
    const auto [quota, state] = retrieval.QuotaOf(source, asked);
    TracedSource traced{.source = source.bit, .state = state, .quota = quota};
    if (table.WasAsked(source.bit)) {  // one without a quota may fill the list
      traced.state = SourceState::kAsked;
    } else if (state == SourceState::kAsked) {
      traced.state = SourceState::kNoVector;
      traced.quota = 0;
    }
    const CandidateTable::Column column = table.Of(source.bit);
    traced.proposed =
        column.place.size() - static_cast<size_t>(std::ranges::count(column.place, 0));
    trace_.sources.push_back(traced);
    TraceProposals(source.bit, column, table.rows());
  }
}

void ListTracer::TraceProposals(SourceBit source, const CandidateTable::Column& column,
                                std::span<const Candidate> rows) {
  for (TracedItem& traced : trace_.items) {
    const size_t row = PlaceAmong(rows, traced.item);
    if (row == 0 || (rows[row - 1].sources & source) == 0) continue;
    traced.sources.push_back(
        {.source = source, .place = column.place[row - 1], .score = column.score[row - 1]});
  }
}

void ListTracer::Blended(const CandidateTable& table, const BlendOrder::Scratch& blend) {
  const std::vector<uint64_t> keys = BlendOrder::ScoredRows(table.rows(), blend);
  for (TracedItem& traced : trace_.items) traced.blend = PlaceAmongKeys(keys, traced.item);
}

void ListTracer::Ranked(std::span<const Candidate> scored, std::span<const float> logits,
                        std::span<const Candidate> list) {
  trace_.ranked = scored.size();
  std::vector<uint64_t> keys;
  for (size_t at = 0; at < scored.size(); ++at) {
    if (std::isfinite(logits[at])) keys.push_back(ScoreKey(logits[at], scored[at].item));
  }
  std::ranges::sort(keys);
  for (TracedItem& traced : trace_.items) {
    traced.ranker = PlaceAmongKeys(keys, traced.item);
    if (!traced.ranker.has_value()) continue;
    traced.ranker->score = list[PlaceAmong(list, traced.item) - 1].score;
  }
}

void ListTracer::Explained(const BlendOrder& blend, const BlendOrder::Scratch& scratch) {
  for (TracedItem& traced : trace_.items) {
    traced.blend_terms = blend.Explain(traced.item, scratch);
  }
}

void ListTracer::Ordered(std::span<const Candidate> chosen, std::span<const float> scores,
                         std::vector<Candidate> unboosted) {
  for (TracedItem& traced : trace_.items) {
    const size_t place = PlaceAmong(unboosted, traced.item);
    if (place == 0) continue;
    const size_t at = PlaceAmong(chosen, traced.item) - 1;
    traced.order = {.place = place, .score = scores.empty() ? chosen[at].score : scores[at]};
  }
  last_ = std::move(unboosted);
}

void ListTracer::Moved(ListStep step, const std::vector<Candidate>& list) {
  for (TracedItem& traced : trace_.items) {
    const size_t from = PlaceAmong(last_, traced.item);
    const size_t to = PlaceAmong(list, traced.item);
    if (from == to) continue;
    // The layout ends where the pages do.
    const bool is_cut = to == 0 && from > items_max_;
    traced.moves.push_back({.step = is_cut ? ListStep::kLength : step, .from = from, .to = to});
  }
  last_ = list;
}

ListTrace ListTracer::Finish(std::span<const ItemIndex> seen, std::span<const ItemIndex> hidden,
                             RankedList list) {
  list.items.resize(std::min(list.items.size(), items_max_));
  Moved(ListStep::kLength, list.items);
  for (TracedItem& traced : trace_.items) {
    traced.place = PlaceAmong(list.items, traced.item);
    if (traced.place > 0) {
      traced.outcome = ListOutcome::kListed;
    } else if (traced.order.has_value()) {
      traced.outcome = ListOutcome::kBehindLastPage;
    } else if (!traced.sources.empty()) {
      traced.outcome = ListOutcome::kNotChosen;
    } else {
      traced.filtered_by = FiltersOf(traced.item, seen, hidden);
      traced.outcome =
          traced.filtered_by.empty() ? ListOutcome::kNotProposed : ListOutcome::kFiltered;
    }
  }
  trace_.list = std::move(list);
  return std::move(trace_);
}

// The parts of the pipeline's filter, each as a filter of its own.
std::vector<ListFilter> ListTracer::FiltersOf(ItemIndex item, std::span<const ItemIndex> seen,
                                              std::span<const ItemIndex> hidden) const {
  const Catalogue& catalogue = *state_.catalogue;
  const ItemRules& rules = query_.rules;
  std::vector<ListFilter> filters;
  const auto add = [&](ListFilter name, const auto& set) {
    ItemFilter filter;
    set(filter);
    if (!filter.Admits(item)) filters.push_back(name);
  };
  add(ListFilter::kNotAvailable,
      [&](ItemFilter& filter) { filter.RequireAvailable(catalogue, rules.now_us); });
  add(ListFilter::kCategory, [&](ItemFilter& filter) {
    if (rules.categories.empty()) return;
    filter.RestrictToCategories(rules.categories, catalogue.category_of_item());
  });
  add(ListFilter::kExcluded, [&](ItemFilter& filter) { filter.Exclude(rules.excluded); });
  // Where the source of seen items is named, they are not left out.
  const bool names_history = (query_.only_sources & kFromHistory) != 0;
  add(ListFilter::kSeen, [&](ItemFilter& filter) {
    if (!names_history) filter.Exclude(seen);
  });
  add(ListFilter::kHidden, [&](ItemFilter& filter) { filter.Exclude(hidden); });
  return filters;
}

}  // namespace groundswell
