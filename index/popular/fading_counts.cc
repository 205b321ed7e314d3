#include "index/popular/fading_counts.h"

#include <algorithm>
#include <cmath>

namespace groundswell {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void Add(std::atomic<int64_t>& sum, int64_t term) {
  sum.store(sum.load(kRelaxed) + term, kRelaxed);
}

}  // namespace

double FadingCounts::Scale::Value(const Sums& sums) const {
  const int64_t now = span.load(std::memory_order_acquire) & 1;
  return FadingTime::Value(sums[static_cast<size_t>(now)].load(kRelaxed),
                           sums[static_cast<size_t>(1 - now)].load(kRelaxed));
}

float FadingCounts::Scale::Share(const Sums& sums, double all) const {
  const double share = all > 0 ? Value(sums) / all : 0;
  return static_cast<float>(std::clamp(share, 0.0, 1.0));
}

FadingCounts::FadingCounts(std::span<const double> half_lives_s, size_t items_max)
    : scales_(half_lives_s.begin(), half_lives_s.end()), sums_(items_max * half_lives_s.size()) {}

void FadingCounts::Change(const EdgeChange& change) {
  if (!change.after.empty()) Advance(change.after.back().last.time_us);
  // Most changes leave most edges as they were.
  const auto [before, after] = std::ranges::mismatch(change.before, change.after);
  for (size_t scale = 0; scale < scales_.size(); ++scale) {
    Add(scale, change.item, {before, change.before.end()}, -1);
    Add(scale, change.item, {after, change.after.end()}, 1);
  }
}

void FadingCounts::Add(size_t scale, ItemIndex item, std::span<const Edge> edges, int64_t sign) {
  Scale& at = scales_[scale];
  const int64_t present = at.span.load(kRelaxed);
  for (const Edge& edge : edges) {
    const int64_t span = at.time.SpanOf(edge.last.time_us);
    if (span + 1 < present) continue;
    const int64_t term = sign * edge.count * at.time.Weight(edge.last.time_us);
    const auto slot = static_cast<size_t>(span & 1);
    groundswell::Add(SumsOf(scale, ToInt(item))[slot], term);
    groundswell::Add(at.total[slot], term);
  }
}

void FadingCounts::Advance(int64_t now_us) {
  if (now_us <= now_us_.load(kRelaxed)) return;
  now_us_.store(now_us, kRelaxed);
  for (size_t scale = 0; scale < scales_.size(); ++scale) {
    const int64_t span = scales_[scale].time.SpanOf(now_us);
    if (span > scales_[scale].span.load(kRelaxed)) BeginSpan(scale, span);
  }
}

void FadingCounts::BeginSpan(size_t scale, int64_t span) {
  Scale& at = scales_[scale];
  const auto clear = [&](Sums& sums) {
    sums[static_cast<size_t>(span & 1)].store(0, kRelaxed);
    if (span > at.span.load(kRelaxed) + 1)
      sums[static_cast<size_t>(1 - (span & 1))].store(0, kRelaxed);
  };
  for (size_t item = 0; item * scales_.size() < sums_.size(); ++item) clear(SumsOf(scale, item));
  clear(at.total);
  at.span.store(span, std::memory_order_release);
}

std::vector<int64_t> FadingCounts::CopySums() const {
  std::vector<int64_t> copy;
  copy.reserve(2 * sums_.size());
  for (const Sums& sums : sums_) {
    for (const std::atomic<int64_t>& sum : sums) copy.push_back(sum.load(kRelaxed));
  }
  return copy;
}

void FadingCounts::Read(size_t scale, std::span<float> out) const {
  const Scale& at = scales_[scale];
  const auto begin_us = static_cast<double>(at.span.load(kRelaxed)) *
                        static_cast<double>(kSpan * at.time.half_life_us());
  const auto since_us = static_cast<double>(now_us_.load(kRelaxed)) - begin_us;
  const double faded = std::exp2(-since_us / static_cast<double>(at.time.half_life_us()));
  for (size_t item = 0; item < out.size(); ++item) {
    const double value = at.Value(SumsOf(scale, item)) * faded;
    out[item] = value < kFloor ? 0.0f : static_cast<float>(value);
  }
}

void FadingCounts::Shares(size_t scale, std::span<const Candidate> items,
                          std::span<float> shares) const {
  const Scale& at = scales_[scale];
  const double all = at.Value(at.total);
  for (size_t i = 0; i < items.size(); ++i) {
    shares[i] = at.Share(SumsOf(scale, ToInt(items[i].item)), all);
  }
}

}  // namespace groundswell
