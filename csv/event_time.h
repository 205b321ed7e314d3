// The times that logs are written in.
#ifndef GROUNDSWELL_CSV_EVENT_TIME_H_
#define GROUNDSWELL_CSV_EVENT_TIME_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace groundswell {

enum class TimeForm {
  kSeconds,  // since 1970, with a fraction if need be
  kMilliseconds,
  kMicroseconds,
  kNanoseconds,
  kZoned,  // ISO 8601 with a zone
  kUtc,    // ISO 8601 without one
  kDate,   // of a day, which begins in UTC
  kCount
};

struct EventTime {
  static constexpr int64_t kMicrosPerSecond = 1'000'000;

  int64_t us = 0;  // microseconds since 1970
  TimeForm form = TimeForm::kSeconds;
};

// A number is taken for seconds below 10^11, which is in the year 5138, for milliseconds below
// 10^14, for microseconds below 10^17, and for nanoseconds from there on. Else
// YYYY-MM-DD, with or without a time of day behind a T or a blank, with or without a zone (Z, UTC,
// +02:00) behind that. nullopt for anything else, and for times before 1970 or after the year 9999.
std::optional<EventTime> ParseEventTime(std::string_view text);

// 20111122 and the like, a date of ISO 8601 without separators, which ParseEventTime takes for a
// second of 1970.
bool IsBasicDate(std::string_view text);

// Whether a time that was written as seconds may be a date as spreadsheets have them inside:
// 40867.5 days after 1899-12-30, at noon of 2011-11-20. Those of the years 1990 to 2049.
bool IsSerialDate(const EventTime& time);

inline constexpr std::string_view kEventTimeForms =
    "Unix seconds such as 1322000000 (or milli-, micro- or nanoseconds), or ISO 8601 such as "
    "2011-11-22T22:13:20Z or 2011-11-22";

// For people, e.g. "ISO 8601 without a zone (taken as UTC)".
std::string_view NameOf(TimeForm form);

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_EVENT_TIME_H_
