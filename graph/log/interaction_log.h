// InteractionLog: the truth. Everything else in graph/ is a fold of it over a snapshot.
#ifndef GROUNDSWELL_GRAPH_LOG_INTERACTION_LOG_H_
#define GROUNDSWELL_GRAPH_LOG_INTERACTION_LOG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/log/log_entry.h"

namespace groundswell {

// What one server has at an offset, as it tells the others of a shared log. It is no entry.
struct SeenDigest {
  uint64_t server = 0;  // random, of the process
  Offset offset = 0;
  std::string snapshot_digest;  // of the snapshot whose clusters the graph has
  std::string digest;           // StateDigest::ToString of the graph of the entries up to `offset`
};

// Entries for the log, and where they stand in their producer's sequence.
struct AppendRequest {
  std::vector<LogEntry> entries;
  // A producer numbers what it sends, from 1 and without gaps, so that a broken stream goes on
  // where it was. Empty: entries are told apart by their event ids alone.
  std::string producer_id;
  // The numbers that the request covers, first to last. `sequences` are those of `entries`,
  // ascending; the others need no entry (they were refused).
  int64_t first_sequence = 0;
  int64_t last_sequence = 0;
  std::vector<int64_t> sequences;
  // What the producer says of everything up to `last_sequence`; see IngestRequest.producer_mark.
  std::string producer_mark;
  // Instead of all that, of a shared log.
  std::optional<SeenDigest> seen_digest;
};

// What became of one entry that was handed to Append, in the expected cases.
struct Appended {
  // kConflict: not taken, since its event id is that of an earlier, different entry. kEtagMismatch:
  // it is in the log, but the list rules stay as they are, for they are not those it was to
  // replace.
  enum class Outcome { kAppended, kDuplicate, kConflict, kEtagMismatch };
  Outcome outcome = Outcome::kAppended;
  // Of this entry, or of the earlier one with the same event id; for one that its sequence number
  // shows to be a duplicate, an offset that is not before it.
  Offset offset = 0;
};

struct AppendResult {
  std::vector<Appended> entries;  // as in the request
  int64_t last_sequence = 0;      // of the producer: everything up to here is dealt with, durably
  int64_t refused_count = 0;      // of it: numbers that had no entry, or one that was a conflict
  std::string producer_mark;      // where the request has no numbers: that of `last_sequence`
};

// Thread-safe.
class InteractionLog {
 public:
  // Called once per Append, from a thread of the log, when all of it is durable; or an error, and
  // then none of it is in the log, but for a shared log's Unavailable, after which it may come to
  // be there: FailedPrecondition for a gap in the producer's sequence, naming the number that would
  // be next, and for one producer too many; InvalidArgument for an event time before 1970. Must not
  // block.
  using Done = std::function<void(absl::StatusOr<AppendResult>)>;

  virtual ~InteractionLog() = default;

  // Queues the entries to be written in this order, without others between them.
  // ResourceExhausted, without a call of `done`, when the queue is full; FailedPrecondition after
  // the log was closed.
  virtual absl::Status Append(AppendRequest request, Done done) = 0;

  // Durable entries from offset `from` on, at most `limit`; empty at the end. A gap or a damaged
  // record is DataLoss, never a skip.
  virtual absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> Read(Offset from,
                                                                        size_t limit) const = 0;

  // Offset of the newest durable entry.
  virtual Offset end() const = 0;

  // `listener` is called, from a thread of the log, whenever end() has moved. The returned number
  // takes it away again; then it is not called any more.
  virtual int AddListener(std::function<void()> listener) = 0;
  virtual void RemoveListener(int number) = 0;

  // Entries waiting to be written.
  virtual size_t queued() const = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_INTERACTION_LOG_H_
