// CsvReader: the records of an RFC 4180 file, one after the other, in bounded memory. Usage:
//
//   groundswell::CsvReader reader(input);
//   while (true) {
//     const auto record = reader.Next();
//     if (!record.ok()) return record.status();
//     if (!record->has_value()) break;
//     for (std::string_view field : **record) ...
//   }
#ifndef GROUNDSWELL_CSV_CSV_READER_H_
#define GROUNDSWELL_CSV_CSV_READER_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"

namespace groundswell {

// What spreadsheets put in front of UTF-8.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Lines without anything are passed over, as are blanks around a field without quotation marks, and
// a byte order mark at the beginning. A record is there as soon as its line can be read, also where
// the input waits for the next one.
class CsvReader {
 public:
  static constexpr size_t kRecordBytesMax = 65'536;

  // `input` must outlive the reader. `separator` stands between fields.
  explicit CsvReader(std::istream& input, char separator = ',');
  ~CsvReader();
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

  // The fields of the next record, valid until the next call; nullopt at the end. DataLoss, saying
  // what is wrong, when the rest cannot be read (a quotation that is broken or never closed, a
  // record beyond kRecordBytesMax, a failing disk): the records before the damage were returned,
  // and every further call says so again.
  absl::StatusOr<std::optional<std::span<const std::string_view>>> Next();

  uint64_t bytes_read() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_CSV_READER_H_
