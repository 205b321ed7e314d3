// TrustedClock: the machine's clock, and whether it may be believed. Somebody who sets it while the
// server runs, by days say, would otherwise have the log cut of what is young, and true
// interactions refused as of the future. Told by the clock that nobody sets, and that goes on while
// the machine sleeps (CLOCK_BOOTTIME): it and the time of day go alike, also while NTP slews them
// both; only what sets the time of day, or a hypervisor that holds the whole machine, moves one
// against the other.
//
// Thread-safe.
#ifndef GROUNDSWELL_SERVER_PROCESS_TRUSTED_CLOCK_H_
#define GROUNDSWELL_SERVER_PROCESS_TRUSTED_CLOCK_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace groundswell {

class TrustedClock {
 public:
  // Both clocks at one moment.
  struct Clocks {
    int64_t time_of_day_us;  // since 1970-01-01 UTC
    int64_t steady_us;       // since some moment
  };
  struct Reading {
    int64_t now_us;   // the time of day; while not trusted, what it would be without the jump
    int64_t jump_us;  // the time of day against the steady clock since the construction
    bool trusted;
  };

  static Clocks ReadMachine();

  // Believes the time of day as it is now. It may be set by as much as `jump_max` in all, forwards
  // or backwards; 0: by any time. One that comes back within that is trusted again.
  explicit TrustedClock(std::chrono::microseconds jump_max,
                        std::function<Clocks()> read = ReadMachine);

  Reading Read() const;
  // Of Read: as what goes on without a clock that is right needs it.
  int64_t NowUs() const { return Read().now_us; }
  // Why it is not trusted; empty: it is.
  std::string JumpedBecause() const { return JumpedBecause(Read()); }
  static std::string JumpedBecause(const Reading& reading);

 private:
  const int64_t jump_max_us_;
  const std::function<Clocks()> read_;
  const Clocks start_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_TRUSTED_CLOCK_H_
