// Availability: when an item may be answered.
#ifndef GROUNDSWELL_GRAPH_LOG_AVAILABILITY_H_
#define GROUNDSWELL_GRAPH_LOG_AVAILABILITY_H_

#include <cstdint>
#include <limits>

namespace groundswell {

// From the first moment on, until just before the second, both in microseconds since 1970.
struct Availability {
  int64_t from_us = std::numeric_limits<int64_t>::min();
  int64_t until_us = std::numeric_limits<int64_t>::max();
  bool operator==(const Availability&) const = default;
};

// Into and out of a stored message, which leaves out a beginning or an end that there is not.
template <typename Message>
void WriteAvailability(const Availability& availability, Message& message) {
  if (availability.from_us != Availability().from_us) {
    message.set_available_from_us(availability.from_us);
  }
  if (availability.until_us != Availability().until_us) {
    message.set_available_until_us(availability.until_us);
  }
}

template <typename Message>
Availability ReadAvailability(const Message& message) {
  Availability availability;
  if (message.has_available_from_us()) availability.from_us = message.available_from_us();
  if (message.has_available_until_us()) availability.until_us = message.available_until_us();
  return availability;
}

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_AVAILABILITY_H_
