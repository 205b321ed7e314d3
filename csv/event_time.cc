#include "csv/event_time.h"

#include <fmt/format.h>

#include <algorithm>
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

std::optional<std::string> ExtendedForm(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  const size_t point = std::min(text.find('.'), text.size());
  const std::string_view digits = text.substr(0, point);
  const bool is_number = digits.find_first_not_of(kDigits) == std::string_view::npos &&
                         text.find_first_not_of(kDigits, point + 1) == std::string_view::npos;
  constexpr std::array<size_t, 7> kLengths = {4, 6, 8, 10, 12, 14, 17};
  if (!is_number || std::find(kLengths.begin(), kLengths.end(), digits.size()) == kLengths.end() ||
      digits < "1970" || digits >= "2100") {
    return std::nullopt;
  }
  // Where a part is missing, that of the first of January, or of the full hour.
  std::string all(digits);
  all += std::string_view("YYYY0101000000000").substr(all.size());
  std::string extended =
      fmt::format("{}-{}-{}", all.substr(0, 4), all.substr(4, 2), all.substr(6, 2));
  if (digits.size() > 8) extended += fmt::format("T{}:{}", all.substr(8, 2), all.substr(10, 2));
  if (digits.size() > 12) extended += fmt::format(":{}", all.substr(12, 2));
  if (digits.size() > 14) extended += fmt::format(".{}", all.substr(14));
  if (!OfIso(extended).has_value()) return std::nullopt;
  return extended;
}

std::string BasicFormRemedy(std::string_view text, const EventTime& time) {
  const std::chrono::sys_days day = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_time<std::chrono::microseconds>(std::chrono::microseconds(time.us)));
  return fmt::format("write it as {}: as {} it is of {}",
                     ExtendedForm(text).value_or("2011-11-22T22:13:20"), NameOf(time.form),
                     static_cast<int>(std::chrono::year_month_day(day).year()));
}

absl::StatusOr<EventTime> ParseSingleTime(std::string_view text) {
  const std::optional<EventTime> time = ParseEventTime(text);
  if (!time.has_value()) {
    return absl::InvalidArgumentError(fmt::format("it must be {}", kEventTimeForms));
  }
  if (ExtendedForm(text).has_value()) {
    return absl::InvalidArgumentError(BasicFormRemedy(text, *time));
  }
  return *time;
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
