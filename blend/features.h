// What the blend knows of a candidate: one row of numbers per candidate of a request, each between
// -kBlendFeatureMax and kBlendFeatureMax and none a NaN, whatever comes in.
//
// A list is what one source proposes, or a ranker orders. Of each list that has a candidate (places
// from 1, scores of the list's own scale):
//
//   proposed       1
//   near_the_top   10 / (9 + place)
//   first          1 / place
//   share_of_best  score / largest score of the list;     of logits: 1 / (1 + largest - logit)
//   log_of_best    1 + log2(the same) / 16, at least 0;   of logits: 1 + (logit - largest) / 16
//
// and 0 where it has not. Of every candidate, with l(x) = 1 - log2(1 + x) / 25, x in seconds, which
// falls from 1 to 0 within a year:
//
//   popularity.SCALE   1 + log2(share) / 20, at least 0: the item's share of all that is taken, by
//                      counts that fade at that scale; so no log's rate matters
//   own.taken, own.often, own.lately                1, log2(1 + count) / 8, l(time since)
//   own_category.taken, .often, .lately             the same of the items of its category
//   item.young         l(mean age of the item's interactions)
//   live_vector.product    inner product with the user's live vector / the largest one's magnitude
//   after_WHICH.share_of_best, .log_of_best    of how strongly it follows the user's newest, second
//                          or third newest item (index/walks/next_items.h), as of a list's scores
//
// All linear models over these are scale free: what multiplies all scores of a list, or all counts,
// changes nothing.
#ifndef GROUNDSWELL_BLEND_FEATURES_H_
#define GROUNDSWELL_BLEND_FEATURES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace groundswell {

// The names stand in files of weights; the order in stored states.
enum class BlendList : uint8_t {
  kEmbedding,
  kSimilarItems,
  kNextItems,
  kRandomWalk,
  kHistory,
  kTrending,
  kCluster,
  kPopular,
  kRanker,  // last: its features are added once the others chose what is ranked
};
inline constexpr std::array<std::string_view, 9> kBlendLists = {
    "embedding", "similar_items", "next_items", "random_walk", "history",
    "trending",  "macro_node",    "popular",    "ranker"};
inline constexpr std::array<std::string_view, 5> kBlendListFeatures = {
    "proposed", "near_the_top", "first", "share_of_best", "log_of_best"};
inline constexpr std::array<std::string_view, 5> kBlendScales = {"minutes", "hour", "day", "week",
                                                                 "month"};
// Newest items of the user that candidates are compared with, one by one.
inline constexpr size_t kBlendNewestItems = 3;
inline constexpr std::array<std::string_view, 8 + 2 * kBlendNewestItems> kBlendItemFeatures = {
    "own.taken",
    "own.often",
    "own.lately",
    "own_category.taken",
    "own_category.often",
    "own_category.lately",
    "item.young",
    "live_vector.product",
    "after_newest.share_of_best",
    "after_newest.log_of_best",
    "after_second.share_of_best",
    "after_second.log_of_best",
    "after_third.share_of_best",
    "after_third.log_of_best"};

// Features stand in this order: popularities, those of the item and the user, then list by list.
inline constexpr size_t kBlendListsBegin = kBlendScales.size() + kBlendItemFeatures.size();
inline constexpr size_t kBlendFeatures =
    kBlendListsBegin + kBlendLists.size() * kBlendListFeatures.size();
inline constexpr size_t kBlendRankerBegin = kBlendFeatures - kBlendListFeatures.size();
inline constexpr float kBlendFeatureMax = 1;

// "next_items.first", as it stands in files of weights. REQUIRES: feature < kBlendFeatures.
std::string BlendFeatureName(size_t feature);

// One list's view of the candidates, one entry per candidate, or empty where it was not asked.
struct BlendListColumns {
  std::span<const uint16_t> place;  // from 1; 0: not in the list
  std::span<const float> score;
};

// What is known of the candidates: each span has one entry per candidate, or none where it is not
// known of any. Ages are in seconds; a negative one is no age: never, or unknown.
struct BlendColumns {
  size_t count = 0;
  std::array<BlendListColumns, kBlendLists.size()> lists;
  std::array<std::span<const float>, kBlendScales.size()> share;
  std::span<const float> own_count;
  std::span<const float> own_age;
  std::span<const float> own_category_count;
  std::span<const float> own_category_age;
  std::span<const float> mean_age;
  std::span<const float> live_product;
  // By which of the user's newest items, the newest first.
  std::array<std::span<const float>, kBlendNewestItems> after;  // strength, at least 0
};

// The features of a request's candidates, feature by feature, so that a loop over candidates
// vectorises without changing the order of any candidate's sum. Its memory grows with the first
// requests, then is reused.
class BlendFeatures {
 public:
  // The features of all candidates; those of the ranker too if its list is there.
  void Extract(const BlendColumns& columns);

  // The ranker's alone, anew. REQUIRES: an entry for every candidate, or none.
  void ExtractRanker(const BlendListColumns& ranker);

  // Keeps these candidates alone, in ascending order of their present rows.
  void Keep(std::span<const uint32_t> rows);

  size_t count() const { return count_; }
  std::span<const float> Feature(size_t feature) const {
    return {values_.data() + feature * stride_, count_};
  }

 private:
  std::span<float> Column(size_t feature) { return {values_.data() + feature * stride_, count_}; }
  void ExtractList(BlendList list, const BlendListColumns& columns);
  void ExtractNewest(size_t newest, std::span<const float> after);
  void ExtractPast(size_t first, std::span<const float> taken, std::span<const float> age);

  size_t count_ = 0;
  size_t stride_ = 0;  // of a column in values_
  std::vector<float> values_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_BLEND_FEATURES_H_
