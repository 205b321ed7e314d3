// ServerCatalogue: which items a server knows, as somebody sees it who tells it of new ones.
#ifndef GROUNDSWELL_CLIENT_EVENTS_SERVER_CATALOGUE_H_
#define GROUNDSWELL_CLIENT_EVENTS_SERVER_CATALOGUE_H_

#include <chrono>
#include <functional>
#include <string>
#include <unordered_set>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"

namespace groundswell {

// Asked once per item, since nobody else is expected to change it. For one thread.
class ServerCatalogue {
 public:
  struct Options {
    // So long while the server is away, slow or full, and until a new item is applied.
    std::chrono::milliseconds retry_for{60'000};
    std::function<bool()> stopped = [] { return false; };
  };

  // `client` must outlive this object.
  ServerCatalogue(Client& client, Options options)
      : client_(client), options_(std::move(options)) {}

  absl::StatusOr<bool> Has(const std::string& item_id);
  // Returns once the server takes interactions with it. Cancelled once stopped; DeadlineExceeded
  // where that takes too long; errors of UpsertItem.
  absl::Status Create(const std::string& item_id);
  // Unless it is there. Whether it was created.
  absl::StatusOr<bool> CreateIfNew(const std::string& item_id);

 private:
  // What `call` answers, once that is no error that passes.
  template <typename Call>
  auto Retried(const Call& call);

  Client& client_;
  const Options options_;
  std::unordered_set<std::string> known_;  // of the log's items
  std::unordered_set<std::string> unknown_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_SERVER_CATALOGUE_H_
