// FadingTime: what counts for less the longer ago it was, in integers, so that a sum of it is the
// same bits in whatever order it was made, and whatever was taken out again.
//
// Time goes by spans of kSpan half-lives. What happened at t counts for the span of t, with the
// weight 2^((t - begin of the span) / half_life) in units of 2^-14, from 2^14 to below 2^30; so
// sums of weights of one span can be compared, and those of the span before count 2^-kSpan as much
// (forward decay: Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009). What is older counts 0.
#ifndef GROUNDSWELL_INDEX_POPULAR_FADING_TIME_H_
#define GROUNDSWELL_INDEX_POPULAR_FADING_TIME_H_

#include <cstdint>

namespace groundswell {

class FadingTime {
 public:
  static constexpr int64_t kSpan = 16;
  static constexpr double kUnit = 1.0 / (1 << 14);  // of weights
  // Of what happened a span ago: below it, nothing counts for sure.
  static constexpr double kFloor = 1.0 / (1 << kSpan);

  // REQUIRES: at least a microsecond.
  explicit FadingTime(double half_life_s)
      : half_life_us_(static_cast<int64_t>(half_life_s * 1e6)) {}

  int64_t half_life_us() const { return half_life_us_; }
  int64_t SpanOf(int64_t time_us) const;
  // In its own span, in units of kUnit.
  int64_t Weight(int64_t time_us) const;
  // Of sums of the present span and of the one before, relative to the begin of the present one.
  // Powers of two: no product is rounded.
  static double Value(int64_t present, int64_t before) {
    return static_cast<double>(present) * kUnit + static_cast<double>(before) * (kUnit * kFloor);
  }

 private:
  int64_t half_life_us_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_POPULAR_FADING_TIME_H_
