#include "server/recommend/trace_response.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "server/recommend/api_sources.h"
#include "server/recommend/list_response.h"

namespace groundswell {
namespace {

v1::ListOutcome OutcomeInApi(ListOutcome outcome) {
  switch (outcome) {
    case ListOutcome::kListed:
      return v1::LIST_OUTCOME_LISTED;
    case ListOutcome::kFiltered:
      return v1::LIST_OUTCOME_FILTERED;
    case ListOutcome::kNotProposed:
      return v1::LIST_OUTCOME_NOT_PROPOSED;
    case ListOutcome::kNotChosen:
      return v1::LIST_OUTCOME_NOT_CHOSEN;
    case ListOutcome::kBehindLastPage:
      return v1::LIST_OUTCOME_BEHIND_LAST_PAGE;
  }
  return v1::LIST_OUTCOME_UNSPECIFIED;
}

v1::ListFilter FilterInApi(ListFilter filter) {
  switch (filter) {
    case ListFilter::kNotAvailable:
      return v1::LIST_FILTER_NOT_AVAILABLE;
    case ListFilter::kCategory:
      return v1::LIST_FILTER_CATEGORY;
    case ListFilter::kExcluded:
      return v1::LIST_FILTER_EXCLUDED;
    case ListFilter::kSeen:
      return v1::LIST_FILTER_SEEN;
    case ListFilter::kHidden:
      return v1::LIST_FILTER_HIDDEN;
  }
  return v1::LIST_FILTER_UNSPECIFIED;
}

v1::ListStep StepInApi(ListStep step) {
  switch (step) {
    case ListStep::kBoost:
      return v1::LIST_STEP_BOOST;
    case ListStep::kDiversity:
      return v1::LIST_STEP_DIVERSITY;
    case ListStep::kPin:
      return v1::LIST_STEP_PIN;
    case ListStep::kCategoryLimit:
      return v1::LIST_STEP_CATEGORY_LIMIT;
    case ListStep::kLength:
      return v1::LIST_STEP_LENGTH;
  }
  return v1::LIST_STEP_UNSPECIFIED;
}

v1::SourceState StateInApi(SourceState state) {
  switch (state) {
    case SourceState::kAsked:
      return v1::SOURCE_STATE_ASKED;
    case SourceState::kOff:
      return v1::SOURCE_STATE_OFF;
    case SourceState::kNotNamed:
      return v1::SOURCE_STATE_NOT_NAMED;
    case SourceState::kSeenLeftOut:
      return v1::SOURCE_STATE_SEEN_LEFT_OUT;
    case SourceState::kUnderPressure:
      return v1::SOURCE_STATE_UNDER_PRESSURE;
    case SourceState::kUserUnknown:
      return v1::SOURCE_STATE_USER_UNKNOWN;
    case SourceState::kNoVector:
      return v1::SOURCE_STATE_NO_VECTOR;
  }
  return v1::SOURCE_STATE_UNSPECIFIED;
}

void WritePlace(const ScoredPlace& place, v1::ScoredPlace& out) {
  out.set_place(static_cast<int32_t>(place.place));
  out.set_score(place.score);
}

void WriteTracedSource(const TracedSource& source, v1::SourceTrace& out) {
  out.set_source(InApi(source.source));
  out.set_state(StateInApi(source.state));
  out.set_quota(static_cast<int32_t>(source.quota));
  out.set_proposed_count(static_cast<int32_t>(source.proposed));
}

void WriteTracedItem(const TracedItem& traced, const Catalogue& catalogue, v1::ItemTrace& out) {
  out.set_title(catalogue.Title(traced.item));
  out.set_category(std::string(catalogue.Category(traced.item)));
  out.set_outcome(OutcomeInApi(traced.outcome));
  for (const ListFilter filter : traced.filtered_by) out.add_filtered_by(FilterInApi(filter));
  for (const SourcePlace& place : traced.sources) {
    v1::SourcePlace& proposed = *out.add_sources();
    proposed.set_source(InApi(place.source));
    proposed.set_place(static_cast<int32_t>(place.place));
    proposed.set_score(place.score);
  }
  if (traced.blend.has_value()) WritePlace(*traced.blend, *out.mutable_blend());
  if (traced.ranker.has_value()) WritePlace(*traced.ranker, *out.mutable_ranker());
  if (traced.order.has_value()) WritePlace(*traced.order, *out.mutable_order());
  out.set_boost(traced.boost);
  out.set_pin_position(static_cast<int32_t>(traced.pin));
  for (const ListMove& move : traced.moves) {
    v1::ListMove& moved = *out.add_moves();
    moved.set_step(StepInApi(move.step));
    moved.set_from_place(static_cast<int32_t>(move.from));
    moved.set_to_place(static_cast<int32_t>(move.to));
  }
  out.set_place(static_cast<int32_t>(traced.place));
  WriteBlendTerms(traced.blend_terms, *out.mutable_blend_terms());
}

}  // namespace

void WriteTrace(const ListTrace& trace, std::span<const AskedItem> asked,
                v1::TraceRecommendResponse& response) {
  size_t next = 0;
  for (const AskedItem& one : asked) {
    v1::ItemTrace& item = *response.add_items();
    item.set_item_id(std::string(one.id));
    if (one.item.has_value()) {
      WriteTracedItem(trace.items[next++], *trace.list.catalogue, item);
    } else {
      item.set_outcome(one.was_removed ? v1::LIST_OUTCOME_REMOVED_ITEM
                                       : v1::LIST_OUTCOME_UNKNOWN_ITEM);
    }
  }
  for (const TracedSource& source : trace.sources)
    WriteTracedSource(source, *response.add_sources());
  response.set_proposed_count(static_cast<int32_t>(trace.proposed));
  response.set_chosen_count(static_cast<int32_t>(trace.chosen));
  response.set_ranked_count(static_cast<int32_t>(trace.ranked));
  response.set_listed_count(static_cast<int32_t>(trace.list.items.size()));
  WriteOrigin(trace.list, response);
}

}  // namespace groundswell
