// The records of a log as fields, in each of the forms that logs have; for LogReader.
#ifndef GROUNDSWELL_CSV_LOG_SOURCES_H_
#define GROUNDSWELL_CSV_LOG_SOURCES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <span>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "csv/csv_reader.h"
#include "csv/log_columns.h"

namespace groundswell {

// A record's text of each field; empty where it has none.
using LogFields = std::array<std::string, kLogFieldCount>;

// An input of which the first lines are looked at before somebody reads it from its beginning.
class LogFront {
 public:
  // `input` must outlive this object.
  explicit LogFront(std::istream& input);
  ~LogFront();

  // The first line that is not blank, without its end and a byte order mark; empty when there is
  // none, nullopt when none ends within `bytes_max`. Call once, before reading.
  std::optional<std::string> FirstLine(size_t bytes_max);
  // What FirstLine looked at.
  std::string_view looked_at() const;
  // Whether the input failed before that line's end.
  bool failed() const { return input_.bad(); }
  // The input as if nothing had been read.
  std::istream& stream() { return *stream_; }

 private:
  class Buffer;
  std::istream& input_;
  std::unique_ptr<Buffer> buffer_;
  std::unique_ptr<std::istream> stream_;
};

// One record: its fields, or what is wrong with it.
struct LogRecord {
  LogFields fields;
  std::string wrong;   // for people; empty: nothing is
  std::string reason;  // the kind of it
};

class RecordSource {
 public:
  virtual ~RecordSource() = default;
  // nullopt at the end. DataLoss when the rest cannot be read.
  virtual absl::StatusOr<std::optional<LogRecord>> Next() = 0;
  virtual uint64_t bytes_read() const = 0;
  // Empty where nothing holds the field, as far as is known.
  virtual std::string_view ColumnOf(LogField field) const = 0;
};

// Between fields: one character, or "::". Where they are separated by tabs or "::", quotation marks
// are no more than a pair around a field.
std::unique_ptr<RecordSource> MakeCsvSource(std::istream& input, std::string_view separator,
                                            std::vector<std::string> header, bool header_is_there,
                                            const ColumnPositions& positions);
// `named` columns; others are found by the names in use as they come.
std::unique_ptr<RecordSource> MakeJsonSource(std::istream& input, const LogColumns& named);

// The next line, without its end: true; nothing more is there: false. DataLoss when it is too long,
// or the input fails.
absl::StatusOr<bool> ReadLine(std::istream& input, std::string& line);

// A line's fields, without the quotation marks around them. `broken`: the places of those that
// begin with one and are not one quotation as in CSV; they are given as they are.
std::vector<std::string> SplitLine(std::string_view line, std::string_view separator,
                                   std::vector<size_t>* broken = nullptr);

// What separates the fields of a log whose first line this is: that of , ; tab | and :: by which
// most of them have names that are known, or, on a tie, by which they are the most.
std::string_view SeparatorOf(std::string_view first_line);
// Likewise of another table, whose names `is_known` knows.
std::string_view SeparatorOf(std::string_view first_line,
                             const std::function<bool(std::string_view name)>& is_known);

inline constexpr size_t kLogLineBytesMax = 65'536;
inline constexpr std::string_view kUnreadableLog =
    "the input cannot be read; check the file and its disk";

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_LOG_SOURCES_H_
