#include "server/serving/clock_ahead.h"

#include <algorithm>

namespace groundswell {

using std::chrono::microseconds;

std::optional<microseconds> ClockAhead(const Applier::Progress& progress, int64_t time_us,
                                       std::optional<std::chrono::seconds> clock_ahead_max) {
  if (!clock_ahead_max.has_value() || !progress.least_delay_us.has_value()) return std::nullopt;
  const int64_t usual_us = std::max<int64_t>(*progress.least_delay_us, 0);
  const microseconds ahead(time_us - progress.newest_event_time_us - usual_us);
  if (ahead <= *clock_ahead_max) return std::nullopt;
  return ahead;
}

}  // namespace groundswell
