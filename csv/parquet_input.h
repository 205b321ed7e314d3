// A Parquet file as CSV, by way of python3 and its package pyarrow: Debian has no library of it.
#ifndef GROUNDSWELL_CSV_PARQUET_INPUT_H_
#define GROUNDSWELL_CSV_PARQUET_INPUT_H_

#include <sys/types.h>

#include <memory>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace groundswell {

// What a file of it begins with.
inline constexpr std::string_view kParquetMagic = "PAR1";

// The text: a header, and a record for each row; columns of lists and the like are left out.
// Reading throws where python3 fails, upon which the stream above it is bad, and damage() says why.
class ParquetInput : public std::streambuf {
 public:
  // Starts the python3 that is on PATH. FailedPrecondition, with the mend, where there is none or
  // it has no pyarrow; DataLoss when it finds no columns in the file.
  static absl::StatusOr<std::unique_ptr<ParquetInput>> Open(const std::string& path);
  ~ParquetInput() override;
  ParquetInput(const ParquetInput&) = delete;
  ParquetInput& operator=(const ParquetInput&) = delete;

  const absl::Status& damage() const { return damage_; }

 protected:
  int_type underflow() override;

 private:
  ParquetInput(std::string path, pid_t process, int output);
  // Of a process that has closed its output: OK, or why it failed.
  absl::Status Ended();

  const std::string path_;
  pid_t process_;  // 0: it has ended
  const int output_;
  std::vector<char> text_;
  absl::Status damage_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_PARQUET_INPUT_H_
