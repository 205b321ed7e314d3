// WriteErrorKind: what can be wrong with a disk, as an operator tells errors apart.
#ifndef GROUNDSWELL_GRAPH_STORE_WRITE_ERROR_H_
#define GROUNDSWELL_GRAPH_STORE_WRITE_ERROR_H_

#include <cstdint>
#include <functional>
#include <string_view>

#include "absl/status/status.h"

namespace groundswell {

enum class WriteErrorKind : uint8_t {
  kIo,           // EIO: the device, or the way to it
  kNoSpace,      // ENOSPC
  kQuota,        // EDQUOT
  kDescriptors,  // EMFILE, ENFILE: this process, or the machine, has too many files open
  kStale,        // ESTALE: a network file system forgot the file
  kOther,
  kCount
};

WriteErrorKind KindOfWriteError(int error_number);
// Of an error that says what the system does of such a number, as RocksDB's do.
WriteErrorKind KindOfWriteError(std::string_view text);

// An error of the disk that may pass, unlike one that somebody has to mend first, such as missing
// permissions: who could not open a database may try again.
absl::Status MarkPassing(absl::Status status);
bool IsPassing(const absl::Status& status);

// Told of each call of the file system that failed while the database wrote, from any thread.
using OnWriteError = std::function<void(WriteErrorKind)>;

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_WRITE_ERROR_H_
