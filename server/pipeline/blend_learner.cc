#include "server/pipeline/blend_learner.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "server/pipeline/request_user.h"
#include "server/pipeline/visit.h"

namespace groundswell {
namespace {

static_assert(std::endian::native == std::endian::little);

bool LetsSeenIn(Offset offset) { return (HashOfOffset(offset) & 1) != 0; }

}  // namespace

BlendLearner::BlendLearner(LiveState& state, const Retrieval::Options& options)
    : state_(state),
      start_(state.blend_weights.Read()),
      blend_(state),
      scoring_(state, nullptr, 0, Scoring::Vectors::kTrained),
      ranker_(state.snapshot->FindRanker("")),
      ranked_max_(options.ranked),
      candidates_(state, options),
      model_(start_),
      of_vectors_(state.live_vectors->NewScratch()),
      of_ranker_(scoring_.NewScratch()) {}

std::string BlendLearner::EncodeState() const {
  std::string state(sizeof(pace_.paid_until_us), '\0');
  std::memcpy(state.data(), &pace_.paid_until_us, sizeof(pace_.paid_until_us));
  return state + model_.EncodeState();
}

absl::Status BlendLearner::Restore(std::string_view stored) {
  LearningPace pace;
  if (stored.size() < sizeof(pace.paid_until_us)) {
    return absl::DataLossError("what was learned from the log is cut off");
  }
  std::memcpy(&pace.paid_until_us, stored.data(), sizeof(pace.paid_until_us));
  if (absl::Status s = model_.DecodeState(stored.substr(sizeof(pace.paid_until_us))); !s.ok()) {
    return s;
  }
  pace_ = pace;
  state_.blend_weights.Publish(model_.weights());
  return absl::OkStatus();
}

void BlendLearner::BeginAnew() {
  model_.Reset(start_);
  pace_ = {};
  changed_ = true;
  state_.list_quality->Clear();
}

absl::StatusOr<BlendLearner::Stored> BlendLearner::ReadStored() const {
  const auto stored = state_.generation.ReadLearned();
  if (!stored.ok()) return stored.status();
  std::string pace(sizeof(pace_.paid_until_us), '\0');
  BlendModel model(start_);
  const bool is_there = stored->has_value() && (*stored)->size() >= pace.size() &&
                        model.DecodeState(std::string_view(**stored).substr(pace.size())).ok();
  std::string bytes = is_there ? **stored : pace + model.EncodeState();
  return Stored{.model = model, .bytes = std::move(bytes)};
}

std::optional<std::string> BlendLearner::TakeChanged() {
  if (!std::exchange(changed_, false)) return std::nullopt;
  state_.blend_weights.Publish(model_.weights());
  return EncodeState();
}

bool BlendLearner::IsLearnedFrom(const Fold::Arrival& arrival, bool with_seen) {
  if (arrival.user == nullptr || !IsKnown(*arrival.user, state_)) return false;
  if (arrival.user->edges.size() > kEdgesMax) return false;
  if (!with_seen && !arrival.user->EdgesTo(arrival.item).empty()) return false;
  return ChosenForLearning(arrival.offset, LearnedLike(arrival, with_seen), arrival.now_us, pace_);
}

uint64_t BlendLearner::LearnedLike(const Fold::Arrival& arrival, bool with_seen) const {
  const auto context = static_cast<size_t>(ContextOf(*arrival.user, arrival.now_us, with_seen));
  return model_.learned().of_context[context];
}

ItemFilter BlendLearner::FilterFor(const Fold::Arrival& arrival, bool with_seen) {
  seen_.clear();
  hidden_.clear();
  if (!with_seen) {
    for (const Edge& edge : arrival.user->edges) seen_.push_back(edge.item);
  }
  for (const HiddenItem& hidden : arrival.user->hidden) hidden_.push_back(hidden.item);
  ItemFilter filter;
  filter.RequireAvailable(*state_.catalogue, arrival.now_us);
  if (!seen_.empty()) filter.Exclude(seen_);
  if (!hidden_.empty()) filter.Exclude(hidden_);
  return filter;
}

void BlendLearner::FindVector(const UserState& user, int64_t now_us,
                              const EmbeddingIndex::View& trained) {
  vector_.resize(state_.live_vectors->dim());
  const LiveVectors::User asked{
      .state = user,
      .newest = recent_.newest,
      .is_in_visit = !recent_.items.empty() && IsInVisit(recent_.items[0].time_us, now_us)};
  if (state_.live_vectors->OfUser(asked, trained, of_vectors_, vector_) == VectorOrigin::kNone) {
    vector_.clear();
  }
}

void BlendLearner::BeforeApplied(const Fold::Arrival& arrival) {
  const bool with_seen = LetsSeenIn(arrival.offset);
  if (!IsLearnedFrom(arrival, with_seen)) return;
  changed_ = true;
  const UserState& user = *arrival.user;
  const ItemFilter filter = FilterFor(arrival, with_seen);
  const bool whole =
      IsWhole(arrival.offset, LearnedLike(arrival, with_seen) < LearningPace::kYoung);
  const EmbeddingIndex::View trained = state_.embedding_index->Trained();
  FindRecentItems(&user, recent_);
  vector_.clear();
  if (whole) FindVector(user, arrival.now_us, trained);
  // To the newest time of the log, not the clock's, and before they are read: another fold of the
  // same log finds the same.
  state_.fading_counts->Advance(arrival.now_us);
  state_.trending->Advance(arrival.now_us);
  candidates_.Propose({.user = user,
                       .recent = recent_,
                       .vector = vector_,
                       .filter = filter,
                       .with_seen = with_seen,
                       .whole = whole,
                       .seed = HashOfOffset(arrival.offset)},
                      table_);
  const BlendOrder::Asker asker{
      .user = &user,
      .vector = vector_,
      .items = &trained,
      .newest = recent_.newest,
      .after_newest = &candidates_.after_newest(),
      .newest_item_us = recent_.items.empty() ? 0 : recent_.items.front().time_us,
      .now_us = arrival.now_us,
      .with_seen = with_seen};
  blend_.Extract(table_, asker, blend_scratch_);
  if (whole) AskRanker(user, ContextOf(asker), arrival.now_us);
  const auto at = std::ranges::find(table_.rows(), arrival.item, &Candidate::item);
  std::optional<size_t> taken;
  if (at != table_.rows().end()) taken = static_cast<size_t>(at - table_.rows().begin());
  model_.Learn(blend_scratch_.features, ContextOf(asker), taken, model_scratch_);
  JudgedLists judged = JudgeLists(ContextOf(asker), blend_scratch_.features, table_.rows(), taken,
                                  model_scratch_.scores);
  if (whole) JudgeAnotherRanker(arrival, judged);
  state_.list_quality->Add(judged);
}

// About those that a request would ask it about. A ranker that has no score for the user says
// nothing.
void BlendLearner::AskRanker(const UserState& user, BlendContext context, int64_t now_us) {
  if (ranker_ == nullptr) return;
  std::vector<float>& without_ranker = blend_scratch_.scores;
  without_ranker.resize(table_.rows().size());
  ScoreBlend(model_.weights(), blend_scratch_.features, context, without_ranker);
  BlendOrder::ChooseRanked(table_.rows(), without_ranker, ranked_max_, blend_scratch_);
  const auto scores = ScoreRanked(*ranker_, user, now_us);
  if (scores.ok()) blend_.ExtractRanker(table_.rows(), scores->logits, blend_scratch_);
}

absl::StatusOr<Scoring::Scores> BlendLearner::ScoreRanked(const Ranker& ranker,
                                                          const UserState& user, int64_t now_us) {
  return scoring_.Score(
      ranker, OverlaidUser{.state = user}, now_us, blend_scratch_.ranked, [] { return true; },
      of_ranker_);
}

// About the same candidates. One at a time, so that a step costs one forward pass more however many
// there are.
void BlendLearner::JudgeAnotherRanker(const Fold::Arrival& arrival, JudgedLists& judged) {
  const auto rankers = state_.snapshot->rankers();
  if (rankers.size() < 2) return;
  const auto others = rankers.subspan(1);  // the first one votes
  const size_t asked = (HashOfOffset(arrival.offset) >> 4) % others.size();
  const auto scores = ScoreRanked(*others[asked], *arrival.user, arrival.now_us);
  if (scores.ok()) {
    JudgeOtherRanker(asked, blend_scratch_.ranked, arrival.item, scores->logits, judged);
  }
}

}  // namespace groundswell
