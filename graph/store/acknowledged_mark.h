// AcknowledgedMark: how far interactions were acknowledged, in a file of its own beside RocksDB's.
//
// RocksDB forgives a write-ahead log that ends in the middle of a record, as it does when a process
// is killed while it writes. So it would also forgive one whose synced end was cut off. The mark
// tells the two apart: a log that ends before it has lost what was acknowledged.
//
// The mark is rewritten after every group commit and never synced. So it is a lower bound: the
// end of the process does not change it, the loss of power may leave an older one. Two slots are
// written in turn, so that a torn write leaves the other.
//
// Thread-safety: one thread at a time.
#ifndef GROUNDSWELL_GRAPH_STORE_ACKNOWLEDGED_MARK_H_
#define GROUNDSWELL_GRAPH_STORE_ACKNOWLEDGED_MARK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"

namespace groundswell {

// What an acknowledgement means.
enum class Durability : uint8_t {
  kSync = 1,   // the disk has it: it survives the loss of power
  kFlush = 2,  // the operating system has it: it survives the end of the process
};

class AcknowledgedMark {
 public:
  struct Value {
    Offset offset = 0;
    Durability durability = Durability::kSync;
  };

  // The mark in `directory`; nullopt when there is none (a new database, a restored backup).
  // DataLoss when neither slot is whole.
  static absl::StatusOr<std::optional<Value>> Read(const std::string& directory);

  // Opens the mark of `directory` for writing, making it if need be.
  static absl::StatusOr<std::unique_ptr<AcknowledgedMark>> Open(const std::string& directory);
  ~AcknowledgedMark();
  AcknowledgedMark(const AcknowledgedMark&) = delete;
  AcknowledgedMark& operator=(const AcknowledgedMark&) = delete;

  // One small write. 0, or the errno of a failed one, which leaves an older mark.
  int Write(const Value& value);

 private:
  explicit AcknowledgedMark(int file) : file_(file) {}

  const int file_;
  uint64_t sequence_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_ACKNOWLEDGED_MARK_H_
