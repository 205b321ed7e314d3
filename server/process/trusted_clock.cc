#include "server/process/trusted_clock.h"

#include <fmt/format.h>
#include <time.h>

#include <cstdlib>
#include <utility>

#include "graph/ids.h"

namespace groundswell {
namespace {

int64_t ReadClockUs(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return time.tv_sec * kMicrosPerSecond + time.tv_nsec / 1'000;
}

}  // namespace

TrustedClock::Clocks TrustedClock::ReadMachine() {
  return {.time_of_day_us = ReadClockUs(CLOCK_REALTIME), .steady_us = ReadClockUs(CLOCK_BOOTTIME)};
}

TrustedClock::TrustedClock(std::chrono::microseconds jump_max, std::function<Clocks()> read)
    : jump_max_us_(jump_max.count()), read_(std::move(read)), start_(read_()) {}

TrustedClock::Reading TrustedClock::Read() const {
  const Clocks now = read_();
  const int64_t expected_us = start_.time_of_day_us + (now.steady_us - start_.steady_us);
  const int64_t jump_us = now.time_of_day_us - expected_us;
  const bool trusted = jump_max_us_ == 0 || std::abs(jump_us) <= jump_max_us_;
  return {
      .now_us = trusted ? now.time_of_day_us : expected_us, .jump_us = jump_us, .trusted = trusted};
}

std::string TrustedClock::JumpedBecause(const Reading& reading) {
  if (reading.trusted) return "";
  return fmt::format(
      "the machine's clock was set by {} s since the server started, more than "
      "ingest.clock_jump_max_s. Set it right; where it is right now, restart the server",
      reading.jump_us / kMicrosPerSecond);
}

}  // namespace groundswell
