// The times that logs are written in.
#ifndef GROUNDSWELL_CSV_EVENT_TIME_H_
#define GROUNDSWELL_CSV_EVENT_TIME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

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

// A date, with or without a time of day, in the basic form of ISO 8601, without separators: 2021,
// 202102, 20210213, 2021021310, 202102131030, 20210213103000 or 20210213103000123 of the years 1970
// to 2099, also with a fraction behind (a table's reader made it a number). ParseEventTime takes
// them for numbers of some other time. Gives what to write instead, such as 2021-02-13T10:30;
// nullopt for all else. Ten digits may be Unix seconds of the years 2032 to 2036 as well.
std::optional<std::string> ExtendedForm(std::string_view text);

// What is to be done about a text of digits that is such a date, though it could be read as `time`.
std::string BasicFormRemedy(std::string_view text, const EventTime& time);

// A time that stands alone, with no log around it to tell how its times are written: as
// ParseEventTime, but for numbers that have an ExtendedForm. The error says what is to be written
// instead, and neither the field nor the value.
absl::StatusOr<EventTime> ParseSingleTime(std::string_view text);

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
