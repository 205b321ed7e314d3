// EventSender: gets interactions into the log through full queues, broken streams and restarts of
// the server, each counted once.
//
// What was sent and not acknowledged is kept (a bounded window) and sent again when the stream
// breaks or the server has no room. Event ids, or the sequence of a producer, make that harmless.
#ifndef GROUNDSWELL_CLIENT_EVENTS_EVENT_SENDER_H_
#define GROUNDSWELL_CLIENT_EVENTS_EVENT_SENDER_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/events/grouped_reasons.h"
#include "client/ingest_stream.h"

namespace groundswell {

// For one sending thread.
class EventSender {
 public:
  struct Options {
    size_t batch_size = 200;
    // A batch ends before it has more bytes, unless one interaction alone has: well below what a
    // server takes in one message (server.message_bytes_max).
    size_t batch_bytes_max = size_t{1} << 20;
    size_t inflight_max = 16;  // batches
    // Numbers what is sent; see IngestRequest.producer_id. Empty: event ids alone.
    std::string producer_id;
    // How long to try again without a single acknowledgement before giving up.
    std::chrono::milliseconds retry_for{60'000};
    // Asked all the time; once true, what was sent is waited for a moment longer, then given up.
    std::function<bool()> stopped = [] { return false; };
    // Told, from a thread of the sender, of the first record that the server refused for good,
    // before `on_progress` is told of its batch.
    std::function<void(uint64_t record)> on_first_refused;
    // Told likewise that every record up to this one is dealt with, `refused` of this sender's by a
    // refusal.
    std::function<void(uint64_t record, uint64_t refused)> on_progress;
    // Told likewise, before that, of every batch that is dealt with: the number of its first
    // interaction, how many it has, and the server's answer.
    std::function<void(int64_t first_sequence, size_t count, const v1::IngestResponse& response)>
        on_settled;
  };

  struct Totals {
    uint64_t accepted = 0;
    uint64_t duplicates = 0;
    uint64_t refused = 0;               // for good
    uint64_t first_refused_record = 0;  // 0: none was
    GroupedReasons reasons;
    int64_t last_offset = 0;
    std::string consistency_token;
    uint64_t acknowledged_record = 0;  // every record up to here is dealt with

    uint64_t sum() const { return accepted + duplicates + refused; }
  };

  // `client` must outlive the sender. `first_record` is where the records go on.
  EventSender(Client& client, Options options, uint64_t first_record = 0);
  // Gives up what was not acknowledged.
  ~EventSender();
  EventSender(const EventSender&) = delete;
  EventSender& operator=(const EventSender&) = delete;

  // Where this producer stands: `last_sequence`, `refused_sequence_count` and `producer_mark` of
  // the server's answer. The next one sent gets the number behind it. Before the first Send. Errors
  // as SendSingleBatch.
  absl::StatusOr<v1::IngestResponse> AskProducer();
  // The next one sent gets this number. Before the first Send.
  void ContinueAt(int64_t sequence) { next_sequence_ = sequence; }

  // Hands over one interaction, the `record`-th of its source (ascending). Cancelled once stopped;
  // any other error when the retries were in vain. `mark` goes with the producer's numbers where a
  // batch ends with this one; see IngestRequest.producer_mark.
  absl::Status Send(uint64_t record, v1::Interaction interaction, std::string mark = {});
  // Sends what was gathered, without waiting for an answer; takes a broken stream up again. To be
  // called now and then when little comes. Errors as Send.
  absl::Status SendGathered();
  // Sends what was gathered and waits until all is dealt with; then goes on. Errors as Send.
  absl::Status Flush();
  // As Flush, and ends the stream.
  absl::Status Finish();

  Totals totals() const;

 private:
  struct Batch {
    std::vector<v1::Interaction> interactions;
    std::vector<uint64_t> records;  // of them
    int64_t first_sequence = 0;
    std::string mark;  // of the last
    size_t bytes = 0;  // of the interactions

    int64_t last_sequence() const {
      return first_sequence + static_cast<int64_t>(interactions.size()) - 1;
    }
  };

  void OpenStream();
  void OnAck(const v1::IngestResponse& response);
  absl::Status SendBatch();
  absl::Status Transmit();
  // Why the stream ended; waits before it is worth another try.
  absl::Status WaitToRetry(const absl::Status& why);
  absl::Status CloseStream();
  void Watch();

  Client& client_;
  const Options options_;
  Batch batch_;  // being filled
  int64_t next_sequence_ = 1;
  size_t transmitted_ = 0;  // batches of `window_` that this stream has sent
  std::unique_ptr<IngestStream> stream_;
  std::chrono::milliseconds pause_{0};
  absl::Status failure_;  // why it was given up

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> window_;  // guarded by mutex_, as is what follows
  size_t acknowledged_ = 0;   // batches of this stream
  // The server refused for now, or did not take all of a batch: the stream is to be begun anew.
  bool no_room_ = false;
  std::chrono::milliseconds asked_pause_{0};
  std::chrono::steady_clock::time_point last_ack_;
  Totals totals_;
  bool finished_ = false;
  std::thread watcher_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_EVENT_SENDER_H_
