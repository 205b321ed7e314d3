// Made-up candidates of a request for the tests of the blend.
#ifndef GROUNDSWELL_TESTS_UNIT_BLEND_BLEND_FIXTURE_H_
#define GROUNDSWELL_TESTS_UNIT_BLEND_BLEND_FIXTURE_H_

#include <array>
#include <bit>
#include <cstdint>
#include <iterator>
#include <limits>
#include <random>
#include <vector>

#include "blend/features.h"

namespace groundswell {

// Owns what BlendColumns looks at.
struct MadeUpCandidates {
  explicit MadeUpCandidates(size_t of_count) : count(of_count) {
    for (auto& column : place) column.resize(count);
    for (auto& column : score) column.resize(count);
    for (auto& column : share) column.resize(count);
    for (auto* column : Others()) column->resize(count);
  }

  std::array<std::vector<float>*, 6 + kBlendNewestItems> Others() {
    return {&own_count,    &own_age,  &own_category_count, &own_category_age, &mean_age,
            &live_product, &after[0], &after[1],           &after[2]};
  }

  BlendColumns columns() const {
    BlendColumns all{.count = count,
                     .lists = {},
                     .share = {},
                     .own_count = own_count,
                     .own_age = own_age,
                     .own_category_count = own_category_count,
                     .own_category_age = own_category_age,
                     .mean_age = mean_age,
                     .live_product = live_product,
                     .after = {}};
    for (size_t i = 0; i < place.size(); ++i) {
      all.lists[i] = {.place = place[i], .score = score[i]};
    }
    for (size_t i = 0; i < share.size(); ++i) all.share[i] = share[i];
    for (size_t i = 0; i < after.size(); ++i) all.after[i] = after[i];
    return all;
  }

  size_t count;
  std::array<std::vector<uint16_t>, kBlendLists.size()> place;
  std::array<std::vector<float>, kBlendLists.size()> score;
  std::array<std::vector<float>, kBlendScales.size()> share;
  std::array<std::vector<float>, kBlendNewestItems> after;
  std::vector<float> own_count, own_age, own_category_count, own_category_age, mean_age,
      live_product;
};

// As a request has them: lists of a hundred or so, scores of any scale, ages up to two years.
inline MadeUpCandidates RandomCandidates(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> part(0, 1);
  MadeUpCandidates made(count);
  for (size_t i = 0; i < count; ++i) {
    for (size_t list = 0; list < kBlendLists.size(); ++list) {
      made.place[list][i] = static_cast<uint16_t>(random() % 6 == 0 ? 1 + random() % 100 : 0);
      made.score[list][i] = 40 * part(random) - (list == 0 ? 20.0f : 0.0f);
    }
    for (auto& column : made.share) column[i] = part(random) * part(random) * .01f;
    made.own_count[i] = static_cast<float>(random() % 3);
    made.own_age[i] = part(random) * 6e7f;
    made.own_category_count[i] = static_cast<float>(random() % 30);
    made.own_category_age[i] = part(random) * 6e7f;
    made.mean_age[i] = part(random) * 6e7f;
    made.live_product[i] = part(random) - .5f;
    for (auto& column : made.after) column[i] = random() % 3 == 0 ? 4 * part(random) : 0;
  }
  return made;
}

// Any float at all in every place, NaN, infinities, subnormals and the largest among them.
inline MadeUpCandidates HostileCandidates(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  const auto any = [&random]() -> float {
    constexpr float kOdd[] = {std::numeric_limits<float>::quiet_NaN(),
                              std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::max(),
                              std::numeric_limits<float>::lowest(),
                              std::numeric_limits<float>::denorm_min(),
                              0.0f,
                              -0.0f,
                              -1.0f};
    return random() % 2 == 0 ? kOdd[random() % std::size(kOdd)]
                             : std::bit_cast<float>(static_cast<uint32_t>(random()));
  };
  MadeUpCandidates made(count);
  for (size_t i = 0; i < count; ++i) {
    for (auto& column : made.place) column[i] = static_cast<uint16_t>(random());
    for (auto& column : made.score) column[i] = any();
    for (auto& column : made.share) column[i] = any();
    for (auto* column : made.Others()) (*column)[i] = any();
  }
  return made;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_UNIT_BLEND_BLEND_FIXTURE_H_
