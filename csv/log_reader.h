// LogReader: what users did, read from a log of whatever make, one record after the other.
//
//   CSV with the separators , ; tab | and ::, with or without quotes and a byte order mark, and
//   with a header; or JSON lines. The columns are found by the names in use for them (log_columns),
//   times in the forms of event_time; a text that needs decompressing comes from log_input.
//
// It counts what it read, and what it left out and why.
#ifndef GROUNDSWELL_CSV_LOG_READER_H_
#define GROUNDSWELL_CSV_LOG_READER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "csv/event_time.h"
#include "csv/log_columns.h"
#include "csv/log_sources.h"

namespace groundswell {

enum class LogFileFormat { kAuto, kCsv, kJsonLines };

// One thing that a user did. All texts are UTF-8; user and item are not empty.
struct LogEvent {
  uint64_t record = 0;  // number in the log, from 1, a header not counted
  int64_t time_us = 0;  // since 1970
  std::string user;
  std::string item;
  std::string type;               // empty: it names none
  std::optional<int64_t> weight;  // not 0
  std::string event_id;           // empty: it has none
};

// What an event may weigh, one way and the other; as a server takes it.
inline constexpr int64_t kLogWeightMax = 1'000'000;

// What was read until now.
struct LogSummary {
  struct LeftOut {
    uint64_t records = 0;
    std::string first;       // why, of the first of them
    bool asked_for = false;  // by Options::rating_min
  };
  uint64_t records = 0;
  uint64_t events = 0;
  uint64_t out_of_order = 0;                // events that are older than one before them
  std::map<std::string, LeftOut> left_out;  // by what is wrong with them
  std::array<uint64_t, static_cast<size_t>(TimeForm::kCount)> times{};  // in each form

  uint64_t left_out_records() const { return records - events; }
  // Those that nobody asked to leave out.
  uint64_t bad_records() const;
};

// How the log is read, for people.
struct LogShape {
  std::string format;                               // e.g. "CSV separated by ;"
  std::array<std::string, kLogFieldCount> columns;  // that hold the fields; empty: none does
  std::vector<std::string> others;                  // columns that are passed over
};

class LogReader {
 public:
  struct Options {
    LogFileFormat format = LogFileFormat::kAuto;
    LogColumns columns;
    // The names of the columns of a CSV without a header.
    std::vector<std::string> header;
    // Where the log has a column of this name, it holds the types. May be empty.
    std::string type_column_or_type;
    // Events that are rated lower are left out.
    std::optional<double> rating_min;
  };
  static constexpr size_t kLineBytesMax = 65'536;  // of JSON, and of what is separated by ::

  // `input` must outlive the reader; nothing is read before the first Next.
  LogReader(std::istream& input, Options options);
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  // The next event, past what is rated lower; nullopt at the end. InvalidArgument for a record that
  // is none, naming the record, the field, the value and what would be right: the next call goes on
  // behind it, unless `ended`. InvalidArgument, and `ended`, when the columns cannot be told.
  // DataLoss, and `ended`, when the rest cannot be read (a quotation that is broken or never
  // closed, a line that is too long, a failing disk): what precedes the damage was returned. What
  // ended the reading is said again by every further call.
  absl::StatusOr<std::optional<LogEvent>> Next();
  bool ended() const { return !fatal_.ok(); }

  uint64_t bytes_read() const;
  const LogSummary& summary() const { return summary_; }
  // Once something was read.
  LogShape shape() const;

 private:
  absl::Status Begin();
  absl::Status BeginCsv(std::string_view first_line);
  absl::Status CheckRatings() const;
  // nullopt: it is rated lower.
  absl::StatusOr<std::optional<LogEvent>> MakeEvent(const LogFields& fields);
  // Refuses a date without separators, in a log that begins with such.
  absl::Status CheckNoBasicForm(const EventTime& time, const std::string& text);
  // Refuses a date as a spreadsheet counts them, in a log that begins with such.
  absl::Status CheckNoSerialDate(const EventTime& time, const std::string& text);
  absl::Status ReadWeight(const std::string& text, LogEvent& event);
  // Notes one that is rated lower; InvalidArgument when the text is no number.
  absl::StatusOr<bool> IsRatedLower(const std::string& text);
  // Notes that the record is left out, for this kind of reason; the error of it.
  absl::Status LeaveOut(std::string_view reason, std::string_view what);
  absl::Status Bad(LogField field, std::string_view reason, std::string_view value,
                   std::string_view remedy);
  std::string_view NameIn(LogField field) const;

  LogFront input_;
  Options options_;
  std::unique_ptr<RecordSource> source_;  // null before the first Next
  uint64_t record_ = 0;
  int64_t newest_us_ = 0;
  LogSummary summary_;
  LogShape shape_;
  std::optional<TimeForm> begins_in_basic_form_;
  bool begins_as_serial_dates_ = false;
  bool has_ratings_ = false;
  absl::Status fatal_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_LOG_READER_H_
