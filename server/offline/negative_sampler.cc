#include "server/offline/negative_sampler.h"

#include <utility>

#include "server/pipeline/visit.h"

namespace groundswell {
namespace {

constexpr int kAttempts = 20;

bool IsNegative(ItemIndex item, const Moment& moment) {
  return item != moment.positive && !moment.user.Has(item);
}

}  // namespace

void NegativeSampler::Draw(const Moment& moment, std::vector<DrawnItem>& out) {
  while (session_begin_ < moment.past.size() &&
         moment.past[session_begin_].time_s < moment.time_s - counts_.session_s) {
    ++session_begin_;
  }
  DrawFrom(RowSource::kUniform, counts_.uniform, moment, out);
  DrawFrom(RowSource::kPopular, counts_.popular, moment, out);
  DrawFrom(RowSource::kSession, counts_.session, moment, out);
  if (counts_.retrieval > 0) {
    FindNearest(moment);
    DrawFrom(RowSource::kRetrieval, counts_.retrieval, moment, out);
  }
  if (counts_.candidates > 0) DrawCandidates(moment, out);
}

void NegativeSampler::DrawCandidates(const Moment& moment, std::vector<DrawnItem>& out) {
  if (moment.user.Has(moment.positive)) {
    out.insert(out.end(), counts_.candidates,
               {.item = moment.positive, .source = RowSource::kNone});
    return;
  }
  candidates_->Find({.user = moment.user,
                     .is_known = moment.is_known,
                     .time_s = moment.time_s,
                     .positive = moment.positive,
                     .now_and_later = moment.now_and_later},
                    random_());
  drawn_candidates_.clear();
  candidates_->Draw(counts_.candidates, random_, drawn_candidates_);
  for (const ItemIndex item : drawn_candidates_) {
    out.push_back({.item = item, .source = RowSource::kCandidate});
  }
  for (size_t n = drawn_candidates_.size(); n < counts_.candidates; ++n) {
    out.push_back(DrawUniform(moment));
  }
}

void NegativeSampler::DrawFrom(RowSource source, uint32_t count, const Moment& moment,
                               std::vector<DrawnItem>& out) {
  const auto events =
      source == RowSource::kSession ? moment.past.subspan(session_begin_) : moment.past;
  const size_t choices = source == RowSource::kUniform     ? moment.item_count
                         : source == RowSource::kRetrieval ? nearest_.size()
                                                           : events.size();
  const bool draws_events = source == RowSource::kPopular || source == RowSource::kSession;
  for (uint32_t n = 0; n < count; ++n) {
    DrawnItem drawn{.source = RowSource::kNone};
    for (int attempt = 0; choices > 0 && attempt < kAttempts; ++attempt) {
      const size_t at = random_() % choices;
      if (draws_events && events[at].weight < 0) continue;  // what is taken back is not taken
      const ItemIndex item = source == RowSource::kUniform ? ItemIndex{static_cast<uint32_t>(at)}
                             : source == RowSource::kRetrieval ? nearest_[at]
                                                               : events[at].item;
      if (!IsNegative(item, moment)) continue;
      drawn = {.item = item, .source = source};
      break;
    }
    out.push_back(drawn.source == RowSource::kNone ? DrawUniform(moment) : drawn);
  }
}

// The next item from a random one on that will do.
DrawnItem NegativeSampler::DrawUniform(const Moment& moment) {
  const size_t begin = random_() % moment.item_count;
  for (size_t i = 0; i < moment.item_count; ++i) {
    const ItemIndex item{static_cast<uint32_t>((begin + i) % moment.item_count)};
    if (IsNegative(item, moment)) return {.item = item, .source = RowSource::kUniform};
  }
  return {.item = moment.positive, .source = RowSource::kNone};
}

void NegativeSampler::FindNearest(const Moment& moment) {
  nearest_.clear();
  NewestEdges(moment.user, LiveVectors::kNeighborsMax, newest_edges_);
  newest_.clear();
  for (const uint32_t at : newest_edges_) newest_.push_back(moment.user.edges[at].item);
  vector_.resize(search_->vectors.dim());
  const EmbeddingIndex::View items = search_->index.Now();
  const bool is_in_visit =
      !newest_edges_.empty() &&
      IsInVisit(moment.user.edges[newest_edges_[0]].last.time_us, moment.time_s * kMicrosPerSecond);
  if (search_->vectors.OfUser({.state = moment.user, .newest = newest_, .is_in_visit = is_in_visit},
                              items, of_vectors_, vector_) == VectorOrigin::kNone) {
    return;
  }
  ItemFilter filter;
  seen_.clear();
  ForEachItem(moment.user, [&](ItemIndex item, std::span<const Edge>) { seen_.push_back(item); });
  filter.Exclude(seen_);
  const auto found = search_->index.Retrieve(
      {.vector = vector_, .filter = filter, .count = counts_.retrieval_depth});
  if (!found.ok()) return;
  for (const Candidate& candidate : *found) nearest_.push_back(candidate.item);
}

}  // namespace groundswell
