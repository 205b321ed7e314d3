// What became of what was acknowledged: whether it is visible, that is, folded, so that every
// answer from then on knows it; and whether the server that is asked has it at all.
#ifndef GROUNDSWELL_CLIENT_EVENTS_VISIBILITY_H_
#define GROUNDSWELL_CLIENT_EVENTS_VISIBILITY_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"

namespace groundswell {

struct Acknowledged {
  int64_t offset = 0;
  std::string consistency_token;  // that it was acknowledged with
};

// Asks the server's status, or, where the client has no right to it, for a short list, until the
// interaction is folded. DeadlineExceeded behind `max`, with how far the graph is; Cancelled once
// `stopped`; PermissionDenied when the client may ask neither; other errors of these calls. A
// server that is away is waited for.
absl::Status AwaitVisible(Client& client, const Acknowledged& acknowledged,
                          std::chrono::milliseconds max, const std::function<bool()>& stopped);

// Offset of the newest entry of the server's log. Where that is before `expected`, the server may
// be behind a log that it shares: it is asked again once it has taken what was in there. Of a
// server that is away it is asked for so long, likewise. PermissionDenied when the client may not
// ask; other errors of GetServerStatus and of Ingest.
absl::StatusOr<int64_t> AskLogEnd(Client& client, int64_t expected,
                                  std::chrono::milliseconds retry_for,
                                  const std::function<bool()>& stopped);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_VISIBILITY_H_
