// GraphStore: the database of one server (database.h), and in it the log and what belongs to it:
// event ids, producers, tombstones, and what an operator set. They are one per namespace. What is
// folded over a snapshot is a Generation (generation.h): the one that serves, and while another
// snapshot is made ready a second one. docs/formats.md gives every key and value.
//
// Thread-safety: all methods may be called from any thread. Errors: NotFound and FailedPrecondition
// as documented, DataLoss for bytes that are not what was written, ResourceExhausted when the disk
// is full, Unavailable for other I/O errors.
#ifndef GROUNDSWELL_GRAPH_STORE_STORE_H_
#define GROUNDSWELL_GRAPH_STORE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/log/log_entry.h"
#include "graph/log/shared_log.h"
#include "graph/mutex.h"
#include "graph/state/state_digest.h"
#include "graph/store/database.h"
#include "graph/store/event_ids.h"

namespace groundswell {

// What was taken out of the graph.
struct Removed {
  int64_t users = 0;
  int64_t edges = 0;
  Count weight = 0;  // sum of the counts
};

// That a user was forgotten or an item removed.
struct Tombstone {
  enum class Kind : char { kUser = 'u', kItem = 'i' };
  Offset offset = 0;                 // of the log entry that asked for it
  int64_t time_us = 0;               // events that happened until then are late
  int64_t newest_event_time_us = 0;  // in the log when it was asked for
  Removed removed;
  StateDigest digest;  // of the graph after it
  int64_t redacted_records = 0;
  bool redacted = false;  // no log record up to `offset` holds the id any more
};

// Where a producer's sequence stands.
struct Producer {
  int64_t last_sequence = 0;
  Offset last_offset = 0;     // the log's end when that was
  int64_t refused_count = 0;  // numbers up to there of which the log has nothing
  std::string mark;           // see AppendRequest.producer_mark; of `last_sequence`
};

// The setting (PutSetting) that has the rules for lists, as SetListRules::rules. The log writes it.
inline constexpr std::string_view kListRulesSetting = "list_rules";

class GraphStore {
 public:
  using Options = Database::Options;
  using Moment = Database::Moment;

  // As Database::Open. What a database of an older schema version has is rewritten; that takes as
  // long as it has event ids, some seconds per million.
  static absl::StatusOr<std::unique_ptr<GraphStore>> Open(const Options& options);

  // Collects changes that become visible together or not at all.
  class Batch {
   public:
    explicit Batch(const GraphStore& store) : database_(*store.database_), changes_(database_) {}
    void PutLogEntry(Offset offset, const LogEntry& entry);
    void PutLogBytes(Offset offset, std::string_view record);
    // Takes the records before `offset` out of the log, which then begins there.
    void TruncateLogBefore(Offset offset);
    // Takes out the records behind `offset`.
    void TruncateLogBehind(Offset offset);
    void PutEventId(const EventIdHash& hash, const LoggedEventId& logged);
    void DeleteEventId(const EventIdHash& hash);
    // The ids of the entries before `offset` are not kept any more.
    void PutEventIdsBegin(Offset offset);
    void PutProducer(std::string_view id, const Producer& producer);
    void DeleteProducer(std::string_view id);
    // It replaces one that is there, and what that said of its redaction.
    void PutTombstone(Tombstone::Kind kind, const IdHash& hash, const Tombstone& tombstone);
    // What an operator set while the server ran; kept as it is by everything that replaces a
    // snapshot or cuts the log.
    void PutSetting(std::string_view name, std::string_view value);
    // How far a log that several servers share was taken.
    void PutSharedLog(const SharedLog& log);
    // From here on the log is this database's alone.
    void DeleteSharedLog();
    size_t bytes() const { return changes_.bytes(); }
    void Clear();
    // What others keep in the same database goes here.
    Database::Batch& changes() { return changes_; }

   private:
    friend class GraphStore;
    const Database& database_;
    Database::Batch changes_;
    bool has_tombstones_ = false;
  };

  Database& database() const { return *database_; }
  // These are the database's.
  absl::Status Commit(Batch& batch, bool sync) ABSL_LOCKS_EXCLUDED(tombstones_mutex_);
  Moment Now() const { return database_->Now(); }
  absl::Status EraseDeleted() { return database_->EraseDeleted(); }
  absl::Status Backup(const std::string& directory) const { return database_->Backup(directory); }
  absl::Status VerifyFiles() const { return database_->VerifyFiles(); }
  absl::Status Resume() { return database_->Resume(); }
  std::vector<std::pair<std::string, double>> Figures() const { return database_->Figures(); }
  const std::string& path() const { return database_->path(); }

  // What PutSetting wrote; empty when it never did.
  absl::StatusOr<std::string> ReadSetting(std::string_view name) const;
  absl::Status ForEachSetting(
      const std::function<void(std::string_view name, std::string_view value)>& visit) const;

  // What PutSharedLog wrote; nullopt where the log is this database's alone.
  absl::StatusOr<std::optional<SharedLog>> ReadSharedLog() const;

  // Reads up to `limit` entries from offset `from` on. A gap between two records, a record that
  // fails its checksum, or a beginning of the log behind `from`, is DataLoss.
  absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> ReadLog(Offset from, size_t limit) const;
  // The records from `from` to `until`, undecoded.
  absl::Status ForEachLogRecord(
      Offset from, Offset until,
      const std::function<absl::Status(Offset offset, std::string_view record)>& visit) const;
  // Offset of the oldest record kept, or of the first that will come where one was ever cut off; 0
  // for a log that is empty and was never cut.
  absl::StatusOr<Offset> LogBegin() const;
  // Offset of the newest record; 0 when the log is empty.
  absl::StatusOr<Offset> LastLogOffset() const;
  // About how much disk the log takes.
  uint64_t LogBytes() const;
  // What is kept of the event id; nullopt when nothing is. What is kept may have left the window:
  // an id counts by its offset alone.
  absl::StatusOr<std::optional<LoggedEventId>> FindEventId(const EventIdHash& hash) const;
  // What PutEventIdsBegin wrote; nullopt in a database of an older schema version.
  absl::StatusOr<std::optional<Offset>> EventIdsBegin() const;
  absl::StatusOr<std::map<std::string, Producer>> ReadProducers() const;
  absl::StatusOr<std::optional<Tombstone>> FindTombstone(Tombstone::Kind kind,
                                                         const IdHash& hash) const;
  // Commits `batch`, synced, and with it that the log was redacted as each of these says. One that
  // was replaced since it was read stays as it is: its records may not be.
  using TombstoneKey = std::pair<Tombstone::Kind, IdHash>;
  absl::Status CommitRedacted(const std::map<TombstoneKey, Tombstone>& tombstones, Batch& batch)
      ABSL_LOCKS_EXCLUDED(tombstones_mutex_);
  absl::Status ForEachTombstone(const std::function<absl::Status(Tombstone::Kind, const IdHash&,
                                                                 const Tombstone&)>& visit) const;

  // Into `batch`: that event ids and producers' sequences of entries behind `offset`, which were
  // lost, are not known any more.
  absl::Status ForgetAcknowledgedBehind(Offset offset, Batch& batch) const;

 private:
  explicit GraphStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  const std::unique_ptr<Database> database_;
  Mutex tombstones_mutex_;  // held while some are written: by who folds the log, and who redacts it
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_STORE_H_
