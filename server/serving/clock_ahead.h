// A clock that was wrong before the server started is told by the interactions in the log.
#ifndef GROUNDSWELL_SERVER_SERVING_CLOCK_AHEAD_H_
#define GROUNDSWELL_SERVER_SERVING_CLOCK_AHEAD_H_

#include <chrono>
#include <cstdint>
#include <optional>

#include "graph/fold/applier.h"

namespace groundswell {

// How far the clock, which says `time_us`, is after the newest interaction, less the shortest time
// that any took to come: where the log is of long ago, say a replay of last year's, the newest
// always was that far behind. nullopt: it is `clock_ahead_max` at most, which may be right, or
// nothing tells, since there is no interaction, or no `clock_ahead_max`.
std::optional<std::chrono::microseconds> ClockAhead(
    const Applier::Progress& progress, int64_t time_us,
    std::optional<std::chrono::seconds> clock_ahead_max);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_CLOCK_AHEAD_H_
