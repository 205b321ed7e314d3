#include "server/pipeline/blend_learner.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "server/pipeline/list_quality.h"
#include "server/pipeline/request_user.h"

namespace groundswell {
namespace {

static_assert(std::endian::native == std::endian::little);

bool LetsSeenIn(Offset offset) { return (HashOfOffset(offset) & 1) != 0; }

}  // namespace

BlendLearner::BlendLearner(LiveState& state, const Retrieval::Options& options)
    : state_(state),
      start_(state.blend_weights.Read()),
      quotas_(options.quotas),
      next_items_(*state.adjacency, options.next_items),
      blend_(state),
      model_(BlendModel::Options{}, start_) {}

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
  BlendModel model(BlendModel::Options{}, start_);
  const bool is_there = stored->has_value() && (*stored)->size() >= pace.size() &&
                        model.DecodeState(std::string_view(**stored).substr(pace.size())).ok();
  std::string bytes = is_there ? **stored : pace + model.EncodeState();
  return Stored{.model = std::move(model), .bytes = std::move(bytes)};
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
  const BlendModel::Learned& learned = model_.learned();
  return ChosenForLearning(arrival.offset, learned.steps + learned.missed, arrival.now_us, pace_);
}

void BlendLearner::BeforeApplied(const Fold::Arrival& arrival) {
  const bool with_seen = LetsSeenIn(arrival.offset);
  if (!IsLearnedFrom(arrival, with_seen)) return;
  changed_ = true;
  const UserState& user = *arrival.user;
  seen_.clear();
  hidden_.clear();
  if (!with_seen) {
    for (const Edge& edge : user.edges) seen_.push_back(edge.item);
  }
  for (const HiddenItem& hidden : user.hidden) hidden_.push_back(hidden.item);
  ItemFilter filter;
  filter.RequireAvailable(*state_.catalogue, arrival.now_us);
  if (!seen_.empty()) filter.Exclude(seen_);
  if (!hidden_.empty()) filter.Exclude(hidden_);

  state_.fading_counts->Advance(arrival.now_us);
  state_.trending->Advance(arrival.now_us);
  FindRecentItems(&user, recent_);
  Propose(arrival, filter, with_seen);
  const BlendOrder::Asker asker{
      .user = &user,
      .vector = {},
      .newest = recent_.newest,
      .newest_item_us = recent_.items.empty() ? 0 : recent_.items.front().time_us,
      .now_us = arrival.now_us};
  blend_.Extract(table_, asker, blend_scratch_);
  const auto at = std::ranges::find(table_.rows(), arrival.item, &Candidate::item);
  std::optional<size_t> taken;
  if (at != table_.rows().end()) taken = static_cast<size_t>(at - table_.rows().begin());
  model_.Learn(blend_scratch_.features, ContextOf(asker), taken, model_scratch_);
  state_.list_quality->Add(
      JudgeLists(blend_scratch_.features, table_.rows(), taken, model_scratch_.scores));
}

void BlendLearner::Propose(const Fold::Arrival& arrival, const ItemFilter& filter, bool with_seen) {
  const auto quota = [&](SourceBit source) { return quotas_[source]; };
  const auto from_newest = [&](size_t count) {
    return next_items_.Retrieve(
        {.vector = {}, .filter = filter, .count = count, .recent = recent_.items}, of_next_items_);
  };
  std::vector<std::pair<SourceBit, std::vector<Candidate>>> lists;
  if (const size_t count = quota(kFromNextItems); count > 0) {
    lists.emplace_back(kFromNextItems, from_newest(count));
  }
  if (const size_t count = quota(kFromHistory); count > 0 && with_seen) {
    lists.emplace_back(kFromHistory, RetrieveHistory(*arrival.user, filter, count, of_history_));
  }
  if (const size_t count = quota(kFromTrending); count > 0) {
    lists.emplace_back(kFromTrending, state_.trending->Retrieve({}, filter, count));
  }
  if (const size_t count = quota(kFromMacroNode); count > 0) {
    lists.emplace_back(kFromMacroNode,
                       state_.trending->RetrieveOfUserNode(arrival.user->cluster, filter, count));
  }
  size_t proposed = 0;
  for (const auto& [source, list] : lists) proposed += list.size();
  table_.Reset(proposed);
  for (const auto& [source, list] : lists) table_.Add(source, list);
}

}  // namespace groundswell
