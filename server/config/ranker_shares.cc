#include "server/config/ranker_shares.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <charconv>
#include <system_error>

#include "absl/strings/str_split.h"

namespace groundswell {
namespace {

constexpr uint64_t kPercents = 100;

absl::Status WrongShares(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      fmt::format("ranking.shares is \"{}\": {}; it must be like \"macgnn=90,dot=10\", with "
                  "percents that sum up "
                  "to 100",
                  text, why));
}

}  // namespace

absl::StatusOr<RankerShares> RankerShares::Parse(std::string_view text,
                                                 std::string_view experiment) {
  RankerShares shares;
  shares.seed_ = XXH3_64bits(experiment.data(), experiment.size());
  if (text.empty()) return shares;
  uint64_t end = 0;
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(text.data(), text.size()), ',')) {
    const std::string_view share(part.data(), part.size());
    const size_t equals = share.rfind('=');
    if (equals == std::string_view::npos || equals == 0) {
      return WrongShares(text, fmt::format("\"{}\" is no share", share));
    }
    const std::string_view digits = share.substr(equals + 1);
    uint64_t percent = 0;
    const auto [last, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), percent);
    if (error != std::errc() || last != digits.data() + digits.size() || percent < 1 ||
        percent > kPercents) {
      return WrongShares(text, fmt::format("\"{}\" is no percent from 1 to 100", digits));
    }
    const std::string ranker(share.substr(0, equals));
    for (const Share& other : shares.shares_) {
      if (other.ranker == ranker) return WrongShares(text, fmt::format("{} stands twice", ranker));
    }
    end += percent;
    shares.shares_.push_back({.ranker = ranker, .end = end});
  }
  if (end != kPercents) return WrongShares(text, fmt::format("the percents sum up to {}", end));
  return shares;
}

std::string_view RankerShares::Of(std::string_view user_id) const {
  if (shares_.empty()) return {};
  const uint64_t percent = XXH3_64bits_withSeed(user_id.data(), user_id.size(), seed_) % kPercents;
  for (const Share& share : shares_) {
    if (percent < share.end) return share.ranker;
  }
  return {};
}

absl::Status RankerShares::Check(const Snapshot& snapshot) const {
  for (const Share& share : shares_) {
    if (snapshot.FindRanker(share.ranker) != nullptr) continue;
    return absl::FailedPreconditionError(
        fmt::format("ranking.shares names \"{}\", which snapshot {} does not have", share.ranker,
                    snapshot.manifest().FullVersion()));
  }
  return absl::OkStatus();
}

}  // namespace groundswell
