// StoredLog: the log's entries in the database, and what decides of a request what enters them.
// `Take` is a function of the requests taken before it and of the settings alone: which requests
// share a batch, when records are redacted or the process is started anew changes no answer and no
// entry.
//
// De-duplication: an entry whose id is that of one of the `event_ids_max` entries before it is not
// taken again, and one that says something else under it is a conflict. A producer's sequence needs
// one number per producer, and so has no window. Ids, sequences and records are committed in the
// same batch: a crash never separates them.
//
// The rules for lists are replaced by an entry that names the etag of those before, and so here,
// where every server of a log has the same ones: they are stored, with the entry, as a setting.
//
// Thread-safety: one thread takes and commits; the const methods and TruncateBefore may be called
// from any.
#ifndef GROUNDSWELL_GRAPH_STORE_STORED_LOG_H_
#define GROUNDSWELL_GRAPH_STORE_STORED_LOG_H_

#include <atomic>
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

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/log/interaction_log.h"
#include "graph/store/store.h"

namespace groundswell {

class StoredLog {
 public:
  struct Options {
    int64_t event_ids_max = 1'000'000;
    // Producers whose sequence is known. One more takes the place of the one that was silent for
    // longest, if that one's entries have left the window of event ids; else it is refused.
    size_t producers_max = 10'000;
    // Told of rules for lists (SetListRules::rules) once they are committed, before `end` shows
    // their entry; may be empty.
    std::function<void(std::string_view rules)> on_list_rules;
  };

  // What some requests change together. Must not outlive the log.
  class Batch {
   public:
    explicit Batch(const StoredLog& log);
    // Of the newest entry, once it is committed.
    Offset end() const { return next_ - 1; }
    bool is_empty() const { return is_empty_; }
    // With what was taken: where it was taken from, so that no crash separates the two.
    void PutTaken(const SharedLog& log);

   private:
    friend class StoredLog;
    GraphStore::Batch writes_;
    const Offset first_;
    Offset next_;
    absl::flat_hash_map<EventIdHash, LoggedEventId> event_ids_;  // of the entries to be written
    Offset event_ids_begin_;
    // Those that change, as they will be; nullopt: makes room for a new one.
    std::map<std::string, std::optional<Producer>> producers_;
    size_t producer_count_;                  // of all, as they will be
    std::string list_rules_etag_;            // likewise
    std::optional<std::string> list_rules_;  // that are new
    bool is_empty_ = true;
  };

  // The log of an empty database begins behind `base`. `store` must outlive the log.
  static absl::StatusOr<std::unique_ptr<StoredLog>> Open(GraphStore& store, Offset base,
                                                         Options options);

  // Decides what of the request enters the log behind what the batch has, into the batch. For
  // FailedPrecondition and InvalidArgument, as `InteractionLog::Done` says, the request is refused
  // alone, and the batch has nothing of it. Any other error is the disk's: the batch is void.
  absl::StatusOr<AppendResult> Take(const AppendRequest& request, Batch& batch) const;
  // When all is taken: what leaves the window of event ids with it.
  absl::Status Finish(Batch& batch) const;
  // All of it or nothing. On an error the batch may be committed again.
  absl::Status Commit(Batch& batch, bool sync);

  // Offset of the oldest entry kept, or of the first that will come.
  Offset begin() const { return begin_.load(std::memory_order_acquire); }
  // Of the newest that is committed.
  Offset end() const { return end_.load(std::memory_order_acquire); }
  // As InteractionLog::Read.
  absl::StatusOr<std::vector<std::pair<Offset, LogEntry>>> Read(Offset from, size_t limit) const;
  // Takes the entries before `offset` out of the log, but none that the window of event ids needs.
  absl::Status TruncateBefore(Offset offset);

 private:
  StoredLog(GraphStore& store, Options options, Offset begin, Offset event_ids_begin, Offset end,
            std::map<std::string, Producer> producers, std::string list_rules_etag);
  absl::StatusOr<Appended> TakeEntry(const LogEntry& entry, Batch& batch) const;
  Appended TakeListRules(const EventIdHash& hash, const SetListRules& set, Batch& batch) const;
  static Offset Put(const EventIdHash& hash, uint64_t content_hash, const LogEntry& entry,
                    Batch& batch);
  // The entry of this id, if one of the `event_ids_max` before the batch's next has it.
  absl::StatusOr<std::optional<LoggedEventId>> FindEventId(const EventIdHash& hash,
                                                           const Batch& batch) const;
  std::optional<Producer> FindProducer(const std::string& id, const Batch& batch) const;
  absl::Status MakeRoomForProducer(Batch& batch) const;

  GraphStore& store_;
  const Options options_;
  std::atomic<Offset> begin_;
  const Offset end_at_opening_;  // up to there another event_ids_max may have held
  std::atomic<Offset> end_;
  std::atomic<Offset> event_ids_begin_;  // ids of older entries are gone
  std::map<std::string, Producer> producers_;
  std::string list_rules_etag_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_STORED_LOG_H_
