#include "csv/log_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>
#include <utility>

#include "csv/foreign_format.h"
#include "csv/utf8.h"

namespace groundswell {
namespace {

std::optional<double> ParseNumber(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) {
    return std::nullopt;
  }
  return number;
}

bool HoldsNumber(std::span<const std::string> fields) {
  return std::ranges::any_of(
      fields, [](const std::string& field) { return ParseNumber(field).has_value(); });
}

std::string_view ShownSeparator(std::string_view separator) {
  return separator == "\t" ? "tabs" : separator;
}

}  // namespace

LogReader::LogReader(std::istream& input, Options options)
    : input_(input), options_(std::move(options)) {}

LogReader::~LogReader() = default;

uint64_t LogReader::bytes_read() const { return source_ == nullptr ? 0 : source_->bytes_read(); }

absl::StatusOr<std::optional<LogEvent>> LogReader::Next() {
  if (!fatal_.ok()) return fatal_;
  if (source_ == nullptr) {
    if (fatal_ = Begin(); !fatal_.ok()) return fatal_;
  }
  while (true) {
    const absl::StatusOr<std::optional<LogRecord>> record = source_->Next();
    if (!record.ok()) {
      return fatal_ = absl::DataLossError(fmt::format("behind record {}: {}", record_,
                                                      std::string(record.status().message())));
    }
    if (!record->has_value()) {
      if (absl::Status s = CheckRatings(); !s.ok()) return fatal_ = s;
      return std::nullopt;
    }
    ++record_;
    ++summary_.records;
    if (!(*record)->wrong.empty()) return LeaveOut((*record)->reason, (*record)->wrong);
    absl::StatusOr<std::optional<LogEvent>> event = MakeEvent((*record)->fields);
    if (!event.ok() || event->has_value()) return event;
  }
}

absl::Status LogReader::Begin() {
  if (options_.rating_min.has_value() && std::isnan(*options_.rating_min)) {
    return absl::InvalidArgumentError("the least rating is no number; give one, such as 4");
  }
  const std::optional<std::string> first_line = input_.FirstLine(kLogLineBytesMax);
  if (absl::Status s = CheckIsText(input_.looked_at()); !s.ok()) return s;
  if (input_.failed()) return absl::DataLossError(std::string(kUnreadableLog));
  if (!first_line.has_value() && options_.format != LogFileFormat::kJsonLines) {
    return absl::DataLossError(
        fmt::format("the first line is longer than {} bytes; is it a log?", kLogLineBytesMax));
  }
  const std::string line = first_line.value_or("");
  const size_t first = std::min(line.find_first_not_of(" \t"), line.size());
  const bool is_json = line.substr(first).starts_with('{');
  if (options_.format == LogFileFormat::kAuto && line.substr(first).starts_with('[')) {
    return absl::InvalidArgumentError(
        "the log begins with \"[\"; write one JSON object on each line (jq -c '.[]')");
  }
  if (options_.format == LogFileFormat::kCsv ||
      (options_.format == LogFileFormat::kAuto && !is_json)) {
    return BeginCsv(line);
  }
  if (absl::Status s = CheckKeysApart(options_.columns); !s.ok()) return s;
  shape_.format = "JSON lines";
  source_ = MakeJsonSource(input_.stream(), options_.columns);
  return absl::OkStatus();
}

absl::Status LogReader::BeginCsv(std::string_view first_line) {
  const std::string_view separator = SeparatorOf(first_line);
  const bool is_plain = separator == "::" || separator == "\t";
  std::vector<std::string> header = options_.header;
  const bool header_is_there = header.empty();
  if (header_is_there && is_plain) header = SplitLine(first_line, separator);
  if (header_is_there && !is_plain) {
    std::istringstream line{std::string(first_line)};
    CsvReader reader(line, separator[0]);
    const auto names = reader.Next();
    if (!names.ok()) {
      return absl::DataLossError(
          fmt::format("the header: {}", std::string(names.status().message())));
    }
    if (names->has_value()) header.assign((*names)->begin(), (*names)->end());
  }
  if (header.empty()) return absl::DataLossError("the input is empty; a CSV needs a header");
  const std::vector<std::string_view> names(header.begin(), header.end());
  std::string& type = options_.columns[kTypeField];
  if (type.empty() && std::ranges::find(names, options_.type_column_or_type) != names.end()) {
    type = options_.type_column_or_type;
  }
  const absl::StatusOr<ColumnPositions> positions = FindColumns(names, options_.columns);
  if (!positions.ok()) {
    if (!header_is_there || !HoldsNumber(header)) return positions.status();
    return absl::InvalidArgumentError(
        fmt::format("the first line, {}, is no header with names that are known; name the columns "
                    "in their order, e.g. --columns user,item,rating,timestamp",
                    ShownText(first_line)));
  }
  const size_t rating = (*positions)[kRatingField];
  if (options_.rating_min.has_value()) {
    if (absl::Status s = CheckRatingOnce(names, *positions); !s.ok()) return s;
  }
  if (options_.rating_min.has_value() && rating == kNoColumn) {
    return absl::InvalidArgumentError(
        fmt::format("no column is known to hold the rating, by which records are to be left out; "
                    "the columns are {}: say which it is with {} COLUMN",
                    ListOf(names), FlagOf(kRatingField)));
  }
  shape_.format =
      fmt::format("{} separated by {}", is_plain ? "text" : "CSV", ShownSeparator(separator));
  for (size_t column = 0; column < header.size(); ++column) {
    if (std::ranges::find(*positions, column) == positions->end()) {
      shape_.others.push_back(header[column]);
    }
  }
  source_ =
      MakeCsvSource(input_.stream(), separator, std::move(header), header_is_there, *positions);
  return absl::OkStatus();
}

LogShape LogReader::shape() const {
  LogShape shape = shape_;
  for (size_t i = 0; source_ != nullptr && i < kLogFieldCount; ++i) {
    shape.columns[i] = source_->ColumnOf(static_cast<LogField>(i));
  }
  return shape;
}

std::string_view LogReader::NameIn(LogField field) const {
  const std::string_view column = source_->ColumnOf(field);
  return column.empty() ? NameOf(field) : column;
}

uint64_t LogSummary::bad_records() const {
  uint64_t bad = left_out_records();
  for (const auto& [reason, of_reason] : left_out)
    bad -= of_reason.asked_for ? of_reason.records : 0;
  return bad;
}

absl::Status LogReader::LeaveOut(std::string_view reason, std::string_view what) {
  LogSummary::LeftOut& left_out = summary_.left_out[std::string(reason)];
  std::string message = fmt::format("record {}: {}", record_, what);
  if (left_out.records++ == 0) left_out.first = message;
  return absl::InvalidArgumentError(message);
}

absl::Status LogReader::Bad(LogField field, std::string_view reason, std::string_view value,
                            std::string_view remedy) {
  return LeaveOut(fmt::format("{} {}", NameIn(field), reason),
                  fmt::format("{} is {}; {}", NameIn(field), ShownText(value), remedy));
}

absl::Status LogReader::ReadWeight(const std::string& text, LogEvent& event) {
  if (text.empty()) return absl::OkStatus();
  const std::optional<double> number = ParseNumber(text);
  if (!number.has_value() || *number != std::trunc(*number) || *number == 0 ||
      std::abs(*number) > kLogWeightMax) {
    return Bad(kWeightField, "that is no weight", text,
               fmt::format("it must be a whole number, -{0} to {0} and not 0; leave out an event "
                           "that weighs nothing",
                           kLogWeightMax));
  }
  event.weight = static_cast<int64_t>(*number);
  return absl::OkStatus();
}

// Of JSON lines only the end tells that no record has what is to decide.
absl::Status LogReader::CheckRatings() const {
  if (!options_.rating_min.has_value() || has_ratings_ || summary_.events == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("none of the {} records had a rating, by which they were to be left out, so all "
                  "were taken: say which key it is with {} KEY",
                  summary_.records, FlagOf(kRatingField)));
}

absl::StatusOr<bool> LogReader::IsRatedLower(const std::string& text) {
  if (!options_.rating_min.has_value() || text.empty()) return false;
  has_ratings_ = true;
  const std::optional<double> rating = ParseNumber(text);
  if (!rating.has_value()) {
    return Bad(kRatingField, "that is no number", text, "it must be a number, or empty");
  }
  if (*rating >= *options_.rating_min) return false;
  const std::string reason = fmt::format("{} below the least", NameIn(kRatingField));
  LeaveOut(reason, fmt::format("{} is {}, below {}", NameIn(kRatingField), ShownText(text),
                               *options_.rating_min))
      .IgnoreError();
  summary_.left_out[reason].asked_for = true;
  return true;
}

// A log that begins with such a date is of dates. Within others they are numbers as any.
absl::Status LogReader::CheckNoBasicForm(const EventTime& time, const std::string& text) {
  if (summary_.events == 0 && ExtendedForm(text).has_value()) begins_in_basic_form_ = time.form;
  if (begins_in_basic_form_ != time.form) return absl::OkStatus();
  return Bad(kTimeField, "that is a date without separators", text, BasicFormRemedy(text, time));
}

// Likewise.
absl::Status LogReader::CheckNoSerialDate(const EventTime& time, const std::string& text) {
  if (summary_.events == 0) begins_as_serial_dates_ = IsSerialDate(time);
  if (!begins_as_serial_dates_ || !IsSerialDate(time)) return absl::OkStatus();
  return Bad(kTimeField, "that looks like a spreadsheet's number of a date", text,
             "format that column as yyyy-mm-dd hh:mm:ss before it is saved as CSV: as Unix seconds "
             "it is of 1970. Seconds of another clock: add what makes them Unix seconds");
}

absl::StatusOr<std::optional<LogEvent>> LogReader::MakeEvent(const LogFields& fields) {
  for (size_t i = 0; i < kLogFieldCount; ++i) {
    const auto field = static_cast<LogField>(i);
    if (!IsUtf8(fields[field])) {
      return Bad(field, "that is not UTF-8", fields[field], "it must be UTF-8");
    }
  }
  for (const LogField field : {kUserField, kItemField}) {
    if (fields[field].empty()) return Bad(field, "empty", "", "it must not be empty");
  }
  const std::optional<EventTime> time = ParseEventTime(fields[kTimeField]);
  if (!time.has_value()) {
    return Bad(kTimeField, fields[kTimeField].empty() ? "empty" : "that is no time",
               fields[kTimeField], fmt::format("it must be {}", kEventTimeForms));
  }
  if (absl::Status s = CheckNoBasicForm(*time, fields[kTimeField]); !s.ok()) return s;
  if (absl::Status s = CheckNoSerialDate(*time, fields[kTimeField]); !s.ok()) return s;
  LogEvent event{.record = record_,
                 .time_us = time->us,
                 .user = fields[kUserField],
                 .item = fields[kItemField],
                 .type = fields[kTypeField],
                 .weight = std::nullopt,
                 .event_id = fields[kEventIdField]};
  if (absl::Status s = ReadWeight(fields[kWeightField], event); !s.ok()) return s;
  const absl::StatusOr<bool> rated_lower = IsRatedLower(fields[kRatingField]);
  if (!rated_lower.ok()) return rated_lower.status();
  if (*rated_lower) return std::nullopt;
  ++summary_.times[static_cast<size_t>(time->form)];
  ++summary_.events;
  summary_.out_of_order += event.time_us < newest_us_ ? 1 : 0;
  newest_us_ = std::max(newest_us_, event.time_us);
  return event;
}

}  // namespace groundswell
