// IngestStream: sends batches of interactions and hears, in order, when they are on disk.
#ifndef GROUNDSWELL_CLIENT_INGEST_STREAM_H_
#define GROUNDSWELL_CLIENT_INGEST_STREAM_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "groundswell/v1/interaction.pb.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace groundswell {

// For one sending thread. A stream that ends early (server gone, bad batch) fails the next Send;
// what was acknowledged before is on disk. Send what was not again, on a new stream: event ids make
// that harmless.
class IngestStream {
 public:
  struct Options {
    std::string name_space;    // empty: the client's
    std::string producer_id;   // see IngestRequest.producer_id; empty: none
    size_t inflight_max = 16;  // batches sent and not acknowledged, at least 1; Send waits at it
    // Told of every acknowledgement, in the order of the batches, from a thread of the stream.
    std::function<void(const v1::IngestResponse&)> on_ack;
  };

  IngestStream(const std::shared_ptr<grpc::Channel>& channel, Options options);
  // Cancels what was not finished.
  ~IngestStream();
  IngestStream(const IngestStream&) = delete;
  IngestStream& operator=(const IngestStream&) = delete;

  // Hands a batch of 1 to 1,000 interactions to the stream, in order; with a producer, numbered
  // from `first_sequence`, and none at all asks where the server is. For `producer_mark` see
  // IngestRequest. An error means that the stream has ended; Finish tells why.
  absl::Status Send(const std::vector<v1::Interaction>& interactions, int64_t first_sequence = 0,
                    const std::string& producer_mark = {});

  // Sends nothing more, waits for every acknowledgement, and returns how the stream ended. Call
  // once.
  absl::Status Finish();

  // From any thread: ends the stream; Send and Finish return.
  void Cancel();
  // Whether the server, or Cancel, has ended the stream.
  bool ended() const;
  // Whether Finish was called.
  bool finished() const { return finished_; }

 private:
  struct Call;  // what gRPC needs to know, and users need not compile

  void ReadAcks();

  const Options options_;
  const std::unique_ptr<Call> call_;
  bool finished_ = false;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  size_t inflight_ = 0;  // guarded by mutex_
  bool ended_ = false;   // guarded by mutex_
  std::thread reader_;   // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_INGEST_STREAM_H_
