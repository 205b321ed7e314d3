#include "server/serving/digest_comparison.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

namespace groundswell {
namespace {

uint64_t RandomServer() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

}  // namespace

DigestComparison::DigestComparison(std::function<void(bool)> on_compared)
    : server_(RandomServer()), on_compared_(std::move(on_compared)) {}

std::function<void(Offset, const std::string&, const StateDigest&)> DigestComparison::OnOwn(
    InteractionLog& log) {
  return [this, &log](Offset offset, const std::string& snapshot, const StateDigest& digest) {
    // Where there is no room for it, the others hear of the next one.
    log.Append({.seen_digest = TakeOwn(offset, snapshot, digest.ToString())},
               [](const absl::StatusOr<AppendResult>&) {})
        .IgnoreError();
  };
}

SeenDigest DigestComparison::TakeOwn(Offset offset, const std::string& snapshot_digest,
                                     const std::string& digest) {
  {
    MutexLock lock(mutex_);
    const auto [at, is_new] = seen_.try_emplace({offset, snapshot_digest});
    at->second.own = digest;
    for (const auto& [server, other] : at->second.others) Compare(at->first, at->second, other);
    KeepNewest();
  }
  return {
      .server = server_, .offset = offset, .snapshot_digest = snapshot_digest, .digest = digest};
}

void DigestComparison::Take(const SeenDigest& told) {
  if (told.server == server_) return;
  MutexLock lock(mutex_);
  const auto [at, is_new] = seen_.try_emplace({told.offset, told.snapshot_digest});
  Seen& seen = at->second;
  if (seen.others.size() < kServersMax && seen.others.emplace(told.server, told.digest).second &&
      !seen.own.empty()) {
    Compare(at->first, seen, told.digest);
  }
  KeepNewest();
}

void DigestComparison::Compare(const Place& place, const Seen& seen,
                               const std::string& other) const {
  const bool is_same = seen.own == other;
  on_compared_(is_same);
  if (is_same) return;
  spdlog::error(
      "another server of the log has the digest {} at offset {}, where this one has {}: they were "
      "to have the same graph",
      other, place.first, seen.own);
}

void DigestComparison::KeepNewest() {
  while (seen_.size() > kOffsetsMax) seen_.erase(seen_.begin());
}

std::string DigestComparison::DivergedBecause() const {
  MutexLock lock(mutex_);
  const auto newest = std::find_if(seen_.rbegin(), seen_.rend(), [](const auto& at) {
    return !at.second.own.empty() && !at.second.others.empty();
  });
  if (newest == seen_.rend()) return "";
  const Offset offset = newest->first.first;
  const Seen& seen = newest->second;
  const auto same = std::count_if(seen.others.begin(), seen.others.end(),
                                  [&](const auto& other) { return other.second == seen.own; });
  const auto different = static_cast<ptrdiff_t>(seen.others.size()) - same;
  if (different <= same + 1) return "";
  return fmt::format(
      "DIVERGED: at offset {} this server has the digest {}, and {} of the {} others that were "
      "heard of have another one: restore a backup of one of them (`groundswell-server restore "
      "--replace`)",
      offset, seen.own, different, seen.others.size());
}

}  // namespace groundswell
