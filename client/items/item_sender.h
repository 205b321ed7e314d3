// ItemSender: gets a catalogue to a server through full queues, broken calls and restarts, each
// item done once.
#ifndef GROUNDSWELL_CLIENT_ITEMS_ITEM_SENDER_H_
#define GROUNDSWELL_CLIENT_ITEMS_ITEM_SENDER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "client/client.h"
#include "client/events/grouped_reasons.h"
#include "groundswell/v1/admin.pb.h"

namespace groundswell {

// A batch at a time: it is sent until the server has dealt with all of it. For one thread.
class ItemSender {
 public:
  struct Options {
    size_t batch_size = 500;
    // A batch ends before it has more bytes, unless one item alone has: well below what a server
    // takes in one message (server.message_bytes_max).
    size_t batch_bytes_max = size_t{1} << 20;
    // How long to try a batch again before giving up.
    std::chrono::milliseconds retry_for{60'000};
    std::chrono::milliseconds batch_timeout{60'000};
    // Asked all the time, from another thread too.
    std::function<bool()> stopped = [] { return false; };
  };

  struct Totals {
    uint64_t created = 0;
    uint64_t replaced = 0;
    uint64_t duplicates = 0;  // of which an earlier try of this sender had come through
    uint64_t refused = 0;     // for good
    GroupedReasons reasons;
    int64_t last_offset = 0;
    std::string consistency_token;

    uint64_t sum() const { return created + replaced + duplicates + refused; }
  };

  // `client` must outlive the sender.
  ItemSender(Client& client, Options options);

  // Hands over one item; its request_id, a UUID, keeps it from being done twice. Sends the batch
  // when it is full. Cancelled once stopped; any other error when the retries were in vain, or were
  // none worth.
  absl::Status Send(v1::UpsertItemRequest request);
  // Sends what was gathered. Errors as Send.
  absl::Status Flush();

  const Totals& totals() const { return totals_; }

 private:
  // Counts what the server dealt with, and keeps the rest in `batch_`. How long to wait before
  // sending that.
  std::chrono::milliseconds Take(const v1::UpsertItemsResponse& response);
  // False: stopped.
  bool Pause(std::chrono::milliseconds pause) const;

  Client& client_;
  const Options options_;
  v1::UpsertItemsRequest batch_;
  size_t batch_bytes_ = 0;
  Totals totals_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_ITEMS_ITEM_SENDER_H_
