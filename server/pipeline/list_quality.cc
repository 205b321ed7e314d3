#include "server/pipeline/list_quality.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace groundswell {
namespace {

constexpr size_t kServed = 0;

// Of kBlendListFeatures.
constexpr size_t kFirst = 2;
static_assert(kBlendListFeatures[kFirst] == "first");

uint8_t WithinPlaces(size_t place) {
  return static_cast<uint8_t>(place <= JudgedLists::kPlaces ? place : 0);
}

// Ties are by item, as in what is served.
size_t PlaceByScore(std::span<const Candidate> rows, size_t taken, std::span<const float> scores) {
  size_t place = 1;
  for (size_t row = 0; row < rows.size(); ++row) {
    const bool before = scores[row] > scores[taken] ||
                        (scores[row] == scores[taken] && rows[row].item < rows[taken].item);
    place += before ? 1 : 0;
  }
  return place;
}

}  // namespace

JudgedLists JudgeLists(BlendContext context, const BlendFeatures& features,
                       std::span<const Candidate> rows, std::optional<size_t> taken,
                       std::span<const float> scores) {
  JudgedLists judged{.context = context};
  judged.proposes[kServed] = true;  // also where there was nothing to propose: a miss is its own
  if (taken.has_value()) {
    judged.place[kServed] = WithinPlaces(PlaceByScore(rows, *taken, scores));
  }
  for (size_t list = 0; list < kBlendLists.size(); ++list) {
    const std::span<const float> first =
        features.Feature(kBlendListsBegin + list * kBlendListFeatures.size() + kFirst);
    judged.proposes[1 + list] = std::ranges::any_of(first, [](float one) { return one > 0; });
    if (!taken.has_value() || first[*taken] == 0) continue;
    judged.place[1 + list] = WithinPlaces(static_cast<size_t>(std::lround(1 / first[*taken])));
  }
  return judged;
}

void JudgeOtherRanker(size_t ranker, std::span<const Candidate> rows, ItemIndex taken,
                      std::span<const float> logits, JudgedLists& judged) {
  judged.other_ranker = static_cast<uint16_t>(ranker);
  const auto at = std::ranges::find(rows, taken, &Candidate::item);
  if (at == rows.end()) return;
  const auto row = static_cast<size_t>(at - rows.begin());
  if (std::isfinite(logits[row])) {
    judged.other_place = WithinPlaces(PlaceByScore(rows, row, logits));
  }
}

ListQuality::ListQuality(size_t window, std::vector<std::string> other_rankers)
    : other_rankers_(std::move(other_rankers)), ring_(window) {
  of_context_.fill(NoCounts());
}

std::string ListQuality::NameOf(size_t list) const {
  if (list == kServed) return "served";
  if (list < kJudgedLists) return std::string(kBlendLists[list - 1]);
  return "ranker:" + other_rankers_[list - kJudgedLists];
}

void ListQuality::Counts::CountList(size_t list, uint8_t place, bool served, uint32_t one) {
  OfList& of = lists[list];
  of.interactions += one;
  of.at_place[place] += one;
  if (served) of.served_hits += one;
  if (served && place > 0) of.shared_hits += one;
}

void ListQuality::Counts::Count(const JudgedLists& judged, uint32_t one) {
  const bool served = judged.place[kServed] > 0;
  for (size_t list = 0; list < kJudgedLists; ++list) {
    if (judged.proposes[list]) CountList(list, judged.place[list], served, one);
  }
  if (judged.other_ranker != JudgedLists::kNoRanker) {
    CountList(kJudgedLists + judged.other_ranker, judged.other_place, served, one);
  }
}

void ListQuality::Counts::Add(const Counts& other) {
  for (size_t list = 0; list < lists.size(); ++list) {
    OfList& of = lists[list];
    const OfList& more = other.lists[list];
    of.interactions += more.interactions;
    of.served_hits += more.served_hits;
    of.shared_hits += more.shared_hits;
    for (size_t place = 0; place < of.at_place.size(); ++place) {
      of.at_place[place] += more.at_place[place];
    }
  }
}

void ListQuality::Add(const JudgedLists& judged) {
  const MutexLock lock(mutex_);
  // Counting wraps around as unsigned numbers do: less one is as much as it takes.
  const bool is_full = size_ == ring_.size();
  if (is_full) CountsOf(ring_[next_]).Count(ring_[next_], uint32_t{0} - 1);
  if (!is_full) ++size_;
  ring_[next_] = judged;
  next_ = (next_ + 1) % ring_.size();
  CountsOf(judged).Count(judged, 1);
}

void ListQuality::Clear() {
  const MutexLock lock(mutex_);
  next_ = 0;
  size_ = 0;
  of_context_.fill(NoCounts());
}

QualityFigures::Lists ListQuality::Counts::Figures() const {
  QualityFigures::Lists figures(lists.size());
  for (size_t list = 0; list < lists.size(); ++list) {
    const OfList& of = lists[list];
    double hits = 0;
    double gain = 0;
    for (size_t place = 1; place <= JudgedLists::kPlaces; ++place) {
      hits += of.at_place[place];
      gain += of.at_place[place] / std::log2(1 + static_cast<double>(place));
    }
    const double interactions = std::max(of.interactions, 1u);
    figures[list] = {.interactions = of.interactions,
                     .hit_rate = hits / interactions,
                     .ndcg = gain / interactions,
                     .served_hit_rate = of.served_hits / interactions,
                     .of_served_hits = of.shared_hits / std::max<double>(of.served_hits, 1)};
  }
  return figures;
}

QualityFigures ListQuality::Read() const {
  std::array<Counts, kBlendContexts.size()> of_context;
  of_context.fill(NoCounts());  // so that copying allocates nothing under the lock
  {
    const MutexLock lock(mutex_);
    of_context = of_context_;
  }
  QualityFigures figures;
  Counts all = NoCounts();
  for (size_t context = 0; context < of_context.size(); ++context) {
    all.Add(of_context[context]);
    figures.of_context[context] = of_context[context].Figures();
  }
  figures.lists = all.Figures();
  return figures;
}

}  // namespace groundswell
