#include "blend/features.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "blend/arithmetic.h"

namespace groundswell {
namespace {

using blend_arithmetic::Bounded;
using blend_arithmetic::Log2;

constexpr float kAgeDoublings = 25;  // until a year is as good as for ever
constexpr float kShareDoublings = 20;
constexpr float kScoreDoublings = 16;
constexpr float kLogitRange = 16;
constexpr float kCountDoublings = 8;
constexpr float kCountMax = 1e9f;
constexpr float kSecondsMax = 1e9f;
// The least that has a logarithm here: far below what any feature tells from 0.
constexpr float kLeast = 1e-30f;

enum ItemFeature : size_t {
  kOwnTaken = kBlendScales.size(),
  kOwnCategoryTaken = kOwnTaken + 3,
  kItemYoung = kOwnCategoryTaken + 3,
  kLiveProduct,
  kAfter
};
static_assert(kAfter + 2 * kBlendNewestItems == kBlendListsBegin);

float AtLeast0(float x) { return Bounded(x > 0 ? x : 0.0f, kBlendFeatureMax); }

// 1 for now, 0 for a year and no age.
float Lateness(float age) {
  const float some = age > 0 ? age : 0.0f;
  const float bounded = some < kSecondsMax ? some : kSecondsMax;
  const float lateness = AtLeast0(1 - Log2(1 + bounded) / kAgeDoublings);
  return age >= 0 ? lateness : 0.0f;
}

float LogOfShare(float share, float doublings) {
  const float bounded = Bounded(share, 1);
  return AtLeast0(1 + Log2(bounded > kLeast ? bounded : kLeast) / doublings);
}

float LogOfCount(float count) {
  const float bounded = count < kCountMax ? count : kCountMax;
  return AtLeast0(Log2(1 + bounded) / kCountDoublings);
}

bool IsFinite(float x) { return x - x == 0; }

// The largest finite value that is above `least`, else that; in lanes, which vectorise.
template <typename Value>
float Largest(size_t count, float least, const Value& value) {
  constexpr size_t kLanes = 8;
  std::array<float, kLanes> lanes;
  lanes.fill(least);
  const auto take = [&](size_t lane, size_t at) {
    const float x = value(at);
    const float finite = IsFinite(x) ? x : least;
    lanes[lane] = finite > lanes[lane] ? finite : lanes[lane];
  };
  size_t at = 0;
  for (; at + kLanes <= count; at += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) take(lane, at + lane);
  }
  for (size_t lane = 0; at + lane < count; ++lane) take(lane, at + lane);
  return *std::ranges::max_element(lanes);
}

// Where the features of a list go; nothing overlaps.
struct ListOut {
  float* __restrict proposed;
  float* __restrict near_the_top;
  float* __restrict first;
  float* __restrict share_of_best;
  float* __restrict log_of_best;
};

void WritePlaces(const uint16_t* __restrict places, size_t count, const ListOut& out) {
  for (size_t i = 0; i < count; ++i) {
    const float place = places[i];
    const bool in_list = places[i] > 0;
    out.proposed[i] = in_list ? 1.0f : 0.0f;
    out.near_the_top[i] = in_list ? 10 / (9 + place) : 0.0f;
    out.first[i] = in_list ? 1 / (in_list ? place : 1.0f) : 0.0f;
  }
}

// Of the largest score. `score(i)` is 0 where there is none.
template <typename Score>
void WriteShares(size_t count, const Score& score, float* __restrict share_of_best,
                 float* __restrict log_of_best) {
  const float best = Largest(count, kLeast, score);
  for (size_t i = 0; i < count; ++i) {
    const float x = score(i);
    const float share = Bounded((IsFinite(x) ? x : 0.0f) / best, kBlendFeatureMax);
    share_of_best[i] = share;
    log_of_best[i] = LogOfShare(share, kScoreDoublings);
  }
}

void WriteScores(const BlendListColumns& columns, size_t count, const ListOut& out) {
  const uint16_t* __restrict places = columns.place.data();
  const float* __restrict scores = columns.score.data();
  WriteShares(
      count, [&](size_t i) { return places[i] > 0 ? scores[i] : 0.0f; }, out.share_of_best,
      out.log_of_best);
}

void WriteLogits(const BlendListColumns& columns, size_t count, const ListOut& out) {
  constexpr float kLowest = -std::numeric_limits<float>::max();
  const float best = Largest(
      count, kLowest, [&](size_t i) { return columns.place[i] > 0 ? columns.score[i] : kLowest; });
  for (size_t i = 0; i < count; ++i) {
    const bool counts = columns.place[i] > 0 && IsFinite(columns.score[i]);
    const float behind = best - (counts ? columns.score[i] : best);
    out.share_of_best[i] = counts ? 1 / (1 + behind) : 0.0f;
    out.log_of_best[i] = counts ? AtLeast0(1 - behind / kLogitRange) : 0.0f;
  }
}

}  // namespace

std::string BlendFeatureName(size_t feature) {
  if (feature < kBlendScales.size()) return "popularity." + std::string(kBlendScales[feature]);
  if (feature < kBlendListsBegin) {
    return std::string(kBlendItemFeatures[feature - kBlendScales.size()]);
  }
  const size_t at = feature - kBlendListsBegin;
  return std::string(kBlendLists[at / kBlendListFeatures.size()]) + "." +
         std::string(kBlendListFeatures[at % kBlendListFeatures.size()]);
}

void BlendFeatures::Extract(const BlendColumns& columns) {
  count_ = columns.count;
  stride_ = count_;
  values_.assign(kBlendFeatures * stride_, 0.0f);
  for (size_t scale = 0; scale < kBlendScales.size(); ++scale) {
    const std::span<const float> share = columns.share[scale];
    float* __restrict out = Column(scale).data();
    for (size_t i = 0; i < share.size(); ++i) out[i] = LogOfShare(share[i], kShareDoublings);
  }
  ExtractPast(kOwnTaken, columns.own_count, columns.own_age);
  ExtractPast(kOwnCategoryTaken, columns.own_category_count, columns.own_category_age);
  float* __restrict young = Column(kItemYoung).data();
  for (size_t i = 0; i < columns.mean_age.size(); ++i) young[i] = Lateness(columns.mean_age[i]);
  const std::span<const float> products = columns.live_product;
  const float largest =
      Largest(products.size(), kLeast, [&](size_t i) { return std::abs(products[i]); });
  float* __restrict live = Column(kLiveProduct).data();
  for (size_t i = 0; i < products.size(); ++i) {
    live[i] = Bounded(products[i] / largest, kBlendFeatureMax);
  }
  for (size_t newest = 0; newest < kBlendNewestItems; ++newest) {
    ExtractNewest(newest, columns.after[newest]);
  }
  for (size_t list = 0; list < kBlendLists.size(); ++list) {
    ExtractList(static_cast<BlendList>(list), columns.lists[list]);
  }
}

void BlendFeatures::ExtractNewest(size_t newest, std::span<const float> after) {
  const float* __restrict strengths = after.data();
  const size_t first = kAfter + 2 * newest;
  WriteShares(
      after.size(), [&](size_t i) { return strengths[i]; }, Column(first).data(),
      Column(first + 1).data());
}

void BlendFeatures::ExtractPast(size_t first, std::span<const float> taken,
                                std::span<const float> age) {
  float* __restrict ever = Column(first).data();
  float* __restrict often = Column(first + 1).data();
  float* __restrict lately = Column(first + 2).data();
  for (size_t i = 0; i < taken.size(); ++i) {
    ever[i] = taken[i] > 0 ? 1.0f : 0.0f;
    often[i] = taken[i] > 0 ? LogOfCount(taken[i]) : 0.0f;
  }
  for (size_t i = 0; i < age.size(); ++i) lately[i] = ever[i] * Lateness(age[i]);
}

void BlendFeatures::ExtractRanker(const BlendListColumns& ranker) {
  for (size_t at = kBlendRankerBegin; at < kBlendFeatures; ++at) {
    std::ranges::fill(Column(at), 0.0f);
  }
  ExtractList(BlendList::kRanker, ranker);
}

void BlendFeatures::ExtractList(BlendList list, const BlendListColumns& columns) {
  if (columns.place.empty()) return;
  const size_t begin = kBlendListsBegin + static_cast<size_t>(list) * kBlendListFeatures.size();
  const ListOut out{.proposed = Column(begin).data(),
                    .near_the_top = Column(begin + 1).data(),
                    .first = Column(begin + 2).data(),
                    .share_of_best = Column(begin + 3).data(),
                    .log_of_best = Column(begin + 4).data()};
  WritePlaces(columns.place.data(), count_, out);
  if (list == BlendList::kRanker) {
    WriteLogits(columns, count_, out);
  } else {
    WriteScores(columns, count_, out);
  }
}

void BlendFeatures::Keep(std::span<const uint32_t> rows) {
  for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
    float* const column = values_.data() + feature * stride_;
    for (size_t at = 0; at < rows.size(); ++at) column[at] = column[rows[at]];
  }
  count_ = rows.size();
}

}  // namespace groundswell
