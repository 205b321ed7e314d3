#include "server/serving/counts_verification.h"

#include <fmt/format.h>

#include <cstddef>
#include <string_view>

#include "server/serving/graph_follower.h"

namespace groundswell {
namespace {

// Both kinds of sums come in pairs.
template <typename Sum>
bool IsSamePair(const std::vector<Sum>& a, const std::vector<Sum>& b, size_t pair) {
  return a[2 * pair] == b[2 * pair] && a[2 * pair + 1] == b[2 * pair + 1];
}

}  // namespace

VerifiedView CountsVerification::View() {
  return {.begin = [this] { Begin(); },
          .visit =
              [this](std::string_view, const UserState& user) {
                CountEdges(user, category_of_item_, *fading_counts_, *item_ages_, *trending_);
              },
          .finish = [this](Verification& result) { return Finish(result); }};
}

void CountsVerification::Begin() {
  const auto categories = state_.catalogue->category_of_item();
  category_of_item_.assign(categories.begin(), categories.end());
  fading_sums_ = state_.fading_counts->CopySums();
  age_sums_ = state_.item_ages->CopySums();
  trending_digest_ = state_.trending->Digest();
  const size_t items_max = state_.catalogue->capacity();
  fading_counts_ = std::make_unique<FadingCounts>(kBlendHalfLivesS, items_max);
  item_ages_ = std::make_unique<ItemAges>(items_max);
  trending_ = std::make_unique<TrendingItems>(state_.trending->time(),
                                              state_.snapshot->manifest().user_clusters);
  // What has left since may have been newer than all edges.
  fading_counts_->Advance(state_.fading_counts->now_us());
  trending_->Advance(state_.trending->now_us());
}

void CountsVerification::CompareFading(Verification& result) const {
  const std::vector<int64_t> expected = fading_counts_->CopySums();
  for (size_t pair = 0; pair < expected.size() / 2; ++pair) {
    if (IsSamePair(fading_sums_, expected, pair)) continue;
    const auto item = static_cast<uint32_t>(pair / fading_counts_->scales());
    result.AddDifference(fmt::format(
        "item \"{}\": its popularity at the half-life of {} s is not what "
        "the users' edges say",
        state_.catalogue->Id(ItemIndex{item}), kBlendHalfLivesS[pair % fading_counts_->scales()]));
  }
}

void CountsVerification::CompareAges(Verification& result) const {
  const std::vector<uint64_t> expected = item_ages_->CopySums();
  for (size_t item = 0; item < expected.size() / 2; ++item) {
    if (IsSamePair(age_sums_, expected, item)) continue;
    result.AddDifference(fmt::format("item \"{}\": its mean age is not what the users' edges say",
                                     state_.catalogue->Id(ItemIndex{static_cast<uint32_t>(item)})));
  }
}

absl::Status CountsVerification::Finish(Verification& result) const {
  CompareFading(result);
  CompareAges(result);
  if (trending_->Digest() != trending_digest_) {
    result.AddDifference("the boards of trending items are not what the users' edges say");
  }
  return absl::OkStatus();
}

}  // namespace groundswell
