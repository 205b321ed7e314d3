// PartitionIngest: one partition's offsets on their way to the server, each exactly once.
//
// sequence = offset - begin + 1, and the server takes sequences without gaps. So every offset is
// sent: with the interaction of its record, or, where there is none to be taken (a marker of a
// transaction, a record that compaction or retention took, one that is passed over), with an empty
// one, which the server refuses and whose number is used up by that.
#ifndef GROUNDSWELL_CLIENT_KAFKA_PARTITION_INGEST_H_
#define GROUNDSWELL_CLIENT_KAFKA_PARTITION_INGEST_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "client/events/event_sender.h"
#include "client/kafka/kafka_topic.h"

namespace groundswell {

// What became of offsets that the server had not dealt with before.
struct PartitionCounts {
  uint64_t accepted = 0;
  uint64_t duplicates = 0;   // event ids that the server had already
  uint64_t refused = 0;      // by the server
  uint64_t bad = 0;          // records that are no interactions
  uint64_t passed_over = 0;  // by the mapping, and tombstones
  uint64_t empty = 0;        // offsets without a record
};

// For one thread.
class PartitionIngest {
 public:
  // A record that the server refused.
  struct Refused {
    KafkaRecord record;  // without key and value, unless they are kept
    std::string reason;
  };
  enum class NoInteraction { kBad, kPassedOver, kEmpty };

  // `client` must outlive it. `begin` is the offset of number 1; `position` the first that the
  // server has not dealt with; `next` the first that is sent, which may be one before. `sender`
  // says how; its producer's sequence must stand at `position`. `keep_records`: Refused has them
  // whole;
  // a batch then ends at 1 MiB of records, too.
  PartitionIngest(Client& client, EventSender::Options sender, int64_t begin, int64_t position,
                  int64_t next, bool keep_records);

  // The offset that is sent next.
  int64_t next() const { return next_; }
  // Every offset before it is dealt with, durably.
  int64_t position() const;
  PartitionCounts counts() const;

  // Sends the record at next(). Errors of all of these as EventSender::Send.
  absl::Status Take(KafkaRecord record, v1::Interaction interaction);
  // Sends that there is none from next() until `end`.
  absl::Status PassOver(int64_t end, NoInteraction why);
  // To be called now and then when little comes.
  absl::Status SendGathered();
  // Waits until all is dealt with, or, once the sender is stopped, for a moment.
  absl::Status Finish() { return sender_.Finish(); }

  bool has_refused() const { return has_refused_; }
  // Those of which the server told since the last call. Records from before `position` are among
  // them: whether they were told of before, nobody knows.
  std::vector<Refused> TakeRefused();

 private:
  struct Sent {
    bool is_interaction = true;
    NoInteraction why = NoInteraction::kEmpty;
    KafkaRecord record;
  };
  absl::Status Send(Sent sent, v1::Interaction interaction);
  void Settle(int64_t first_sequence, size_t count, const v1::IngestResponse& response);

  const int64_t begin_;
  const int64_t known_;  // the last number that the server dealt with before
  const bool keep_records_;
  int64_t next_;
  size_t kept_bytes_ = 0;  // of records since the last SendGathered: a batch has no more

  mutable std::mutex mutex_;
  int64_t settled_;          // guarded by mutex_, as is what follows: a number
  std::deque<Sent> window_;  // not yet dealt with
  PartitionCounts counts_;
  std::vector<Refused> refused_;
  std::atomic<bool> has_refused_{false};
  EventSender sender_;  // last: its threads use everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_KAFKA_PARTITION_INGEST_H_
