// The bytes of a log: a file or standard input, as they are or compressed by gzip or Zstandard; of
// a file of Parquet, the text of its rows.
#ifndef GROUNDSWELL_CSV_LOG_INPUT_H_
#define GROUNDSWELL_CSV_LOG_INPUT_H_

#include <cstdint>
#include <fstream>
#include <istream>
#include <memory>
#include <optional>
#include <streambuf>
#include <string>

#include "absl/status/status.h"
#include "csv/parquet_input.h"

namespace groundswell {

class LogInput {
 public:
  LogInput();
  ~LogInput();
  LogInput(const LogInput&) = delete;
  LogInput& operator=(const LogInput&) = delete;

  // "-": standard input. NotFound when the file cannot be opened; for Parquet, errors of
  // ParquetInput::Open. By its first bytes it is known whether it is compressed. Call once.
  absl::Status Open(const std::string& path);
  // The same of a stream, which must outlive this object.
  absl::Status Open(std::istream& input);

  // What was compressed, as text. A damaged file makes it bad(), and then damage() says why.
  std::istream& stream() { return *stream_; }
  absl::Status damage() const;

  // Size of the file; 0 when that is unknown.
  uint64_t bytes() const { return bytes_; }
  // How much of it was read, where it is compressed.
  std::optional<uint64_t> compressed_bytes_read() const;

 private:
  class Decompressor;
  class Gzip;
  class Zstandard;

  absl::Status OpenParquet(const std::string& path);

  std::ifstream file_;
  std::unique_ptr<Decompressor> decompressor_;
  std::unique_ptr<ParquetInput> parquet_;
  std::unique_ptr<std::istream> text_;  // of one of these
  std::istream* stream_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_LOG_INPUT_H_
