// Which interactions of the log the blend learns from: a function of the log alone, so that the
// same log teaches the same, whatever the batches, restarts and clocks.
//
//   young   every one, until 4,096 of its context (BlendContext) were learned from: a log's first
//           hour decides what is shown, and beginnings of visits, of which there are few, are not
//           outnumbered by what follows them
//   later   one in n^2, by a hash of the offset, with n the number of times that 4,096 fits into
//           those so far, at most 16; so what is learned from grows with the cubic root of the log
//           until it is long, and a million interactions teach some 37,000 steps
//   always  in the second of these, not more than one per kGapUs of event time, with up to kBurst
//           saved up; so where event time goes as fast as the clock, steps of 333 us take at
//           most 2.8% of a core with MacGNN, of 568 us 4.7% with two of SURGE (bench/learn_bench);
//           what a step costs is the rankers' and the catalogue's, and not limited here
//
// Saving some up (a leaky bucket: the "generic cell rate algorithm" of ATM networks) instead of a
// gap after each: an invoice's lines have one time, and by gaps only its first would be learned
// from. The young are let off the pace, for in a log that is all of one time nothing else would
// teach: 16,384 steps at most for each snapshot, seven seconds with MacGNN.
#ifndef GROUNDSWELL_BLEND_LEARNING_PACE_H_
#define GROUNDSWELL_BLEND_LEARNING_PACE_H_

#include <algorithm>
#include <cstdint>

namespace groundswell {

struct LearningPace {
  static constexpr uint64_t kYoung = 4'096;
  static constexpr uint64_t kTimesMax = 16;
  static constexpr int64_t kGapUs = 12'000;
  static constexpr int64_t kBurst = 32;

  // Event time up to which what was learned from is paid for: at the pace, and not before the burst
  // that is saved up.
  int64_t paid_until_us = 0;
};

// Every bit of the offset moves every bit of it (MurmurHash3's finalizer).
constexpr uint64_t HashOfOffset(int64_t offset) {
  auto hash = static_cast<uint64_t>(offset);
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return hash ^ (hash >> 33);
}

// Whether the interaction at `offset` is learned from, when `learned` of its context were before it
// and `now_us` is the newest event time up to it; `pace` then says that it was.
constexpr bool ChosenForLearning(int64_t offset, uint64_t learned, int64_t now_us,
                                 LearningPace& pace) {
  if (learned < LearningPace::kYoung) return true;
  const uint64_t times = std::min(learned / LearningPace::kYoung, LearningPace::kTimesMax);
  if ((HashOfOffset(offset) >> 32) % (times * times) != 0) return false;
  constexpr int64_t kSaved = LearningPace::kBurst * LearningPace::kGapUs;
  const int64_t paid_us = std::max(pace.paid_until_us, now_us - kSaved) + LearningPace::kGapUs;
  if (paid_us > now_us) return false;
  pace.paid_until_us = paid_us;
  return true;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_BLEND_LEARNING_PACE_H_
