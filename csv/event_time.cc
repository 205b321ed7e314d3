#include "csv/event_time.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>

namespace groundswell {
namespace {

constexpr int64_t kLatestUs =
    253'402'300'799 * EventTime::kMicrosPerSecond;  // the end of the year 9999

struct Unit {
  double below;  // the number
  double us;     // in microseconds
  TimeForm form;
};
constexpr Unit kUnits[] = {{1e11, 1e6, TimeForm::kSeconds},
                           {1e14, 1e3, TimeForm::kMilliseconds},
                           {1e17, 1, TimeForm::kMicroseconds},
                           {1e20, 1e-3, TimeForm::kNanoseconds}};

std::optional<EventTime> OfNumber(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !(number >= 0)) {
    return std::nullopt;
  }
  for (const Unit& unit : kUnits) {
    if (number >= unit.below) continue;
    return EventTime{.us = static_cast<int64_t>(std::llround(number * unit.us)), .form = unit.form};
  }
  return std::nullopt;
}

// Takes what it reads off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  // Exactly so many digits.
  bool Digits(size_t count, int& value) {
    if (rest_.size() < count) return false;
    value = 0;
    for (const char digit : rest_.substr(0, count)) {
      if (digit < '0' || digit > '9') return false;
      value = 10 * value + (digit - '0');
    }
    rest_.remove_prefix(count);
    return true;
  }
  bool OneOf(std::string_view characters, char* found = nullptr) {
    if (rest_.empty() || characters.find(rest_.front()) == std::string_view::npos) return false;
    if (found != nullptr) *found = rest_.front();
    rest_.remove_prefix(1);
    return true;
  }
  bool Word(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  // Any number of digits, of a second; those beyond microseconds are left out.
  bool Fraction(int64_t& us) {
    int64_t unit = EventTime::kMicrosPerSecond / 10;
    bool any = false;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      us += (rest_.front() - '0') * unit;
      unit /= 10;
      any = true;
      rest_.remove_prefix(1);
    }
    return any;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// The date; in microseconds.
std::optional<int64_t> ScanDate(Scanner& scanner) {
  int year = 0;
  int month = 0;
  int day = 0;
  char separator = 0;
  const bool is_date = scanner.Digits(4, year) && scanner.OneOf("-/", &separator) &&
                       scanner.Digits(2, month) && scanner.OneOf({&separator, 1}) &&
                       scanner.Digits(2, day);
  const std::chrono::year_month_day date(std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)});
  if (!is_date || !date.ok()) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::sys_days(date).time_since_epoch())
      .count();
}

// The time of day; in microseconds.
std::optional<int64_t> ScanTime(Scanner& scanner) {
  int hour = 0;
  int minute = 0;
  int second = 0;
  int64_t fraction_us = 0;
  if (!scanner.Digits(2, hour) || !scanner.OneOf(":") || !scanner.Digits(2, minute)) {
    return std::nullopt;
  }
  if (scanner.OneOf(":") && !scanner.Digits(2, second)) return std::nullopt;
  if (scanner.OneOf(".,") && !scanner.Fraction(fraction_us)) return std::nullopt;
  if (hour > 23 || minute > 59 || second > 60) return std::nullopt;  // 60: a leap second
  return ((hour * 60 + minute) * 60 + second) * EventTime::kMicrosPerSecond + fraction_us;
}

// What is to be taken off for the zone, in microseconds; nullopt when there is none. False when it
// is none.
bool ScanZone(Scanner& scanner, std::optional<int64_t>& offset_us) {
  if (scanner.at_end()) return true;
  scanner.OneOf(" ");
  if (scanner.Word("UTC") || scanner.Word("GMT") || scanner.OneOf("Zz")) {
    offset_us = 0;
    return scanner.at_end();
  }
  char sign = 0;
  int hours = 0;
  int minutes = 0;
  if (!scanner.OneOf("+-", &sign) || !scanner.Digits(2, hours)) return false;
  if (!scanner.at_end()) {
    scanner.OneOf(":");
    if (!scanner.Digits(2, minutes)) return false;
  }
  if (hours > 23 || minutes > 59 || !scanner.at_end()) return false;
  constexpr int64_t kMinuteUs = 60 * EventTime::kMicrosPerSecond;
  const int64_t ahead_us = hours * (60 * kMinuteUs) + minutes * kMinuteUs;
  offset_us = sign == '-' ? -ahead_us : ahead_us;
  return true;
}

std::optional<EventTime> OfIso(std::string_view text) {
  Scanner scanner(text);
  const std::optional<int64_t> date_us = ScanDate(scanner);
  if (!date_us.has_value()) return std::nullopt;
  if (scanner.at_end()) return EventTime{.us = *date_us, .form = TimeForm::kDate};
  if (!scanner.OneOf("Tt ")) return std::nullopt;
  const std::optional<int64_t> time_us = ScanTime(scanner);
  std::optional<int64_t> offset_us;
  if (!time_us.has_value() || !ScanZone(scanner, offset_us)) return std::nullopt;
  return EventTime{.us = *date_us + *time_us - offset_us.value_or(0),
                   .form = offset_us.has_value() ? TimeForm::kZoned : TimeForm::kUtc};
}

}  // namespace

std::optional<EventTime> ParseEventTime(std::string_view text) {
  std::optional<EventTime> time = OfNumber(text);
  if (!time.has_value()) time = OfIso(text);
  if (!time.has_value() || time->us < 0 || time->us > kLatestUs) return std::nullopt;
  return time;
}

bool IsBasicDate(std::string_view text) {
  const bool is_recent = text.starts_with("19") || text.starts_with("20");
  if (text.size() != 8 || !is_recent || text.find_first_not_of("0123456789") != text.npos) {
    return false;
  }
  return OfIso(fmt::format("{}-{}-{}", text.substr(0, 4), text.substr(4, 2), text.substr(6)))
      .has_value();
}

bool IsSerialDate(const EventTime& time) {
  constexpr int64_t kFirstDay = 32'874;
  constexpr int64_t kEndDay = 54'789;
  return time.form == TimeForm::kSeconds && time.us >= kFirstDay * EventTime::kMicrosPerSecond &&
         time.us < kEndDay * EventTime::kMicrosPerSecond;
}

std::string_view NameOf(TimeForm form) {
  static constexpr std::array<std::string_view, static_cast<size_t>(TimeForm::kCount)> kNames = {
      "Unix seconds",
      "Unix milliseconds",
      "Unix microseconds",
      "Unix nanoseconds",
      "ISO 8601",
      "ISO 8601 without a zone (taken as UTC)",
      "dates (taken as the beginning of the day, UTC)"};
  return kNames[static_cast<size_t>(form)];
}

}  // namespace groundswell
