// The user that a request is about: as stored, with the request's hypothetical events laid over.
#ifndef GROUNDSWELL_SERVER_PIPELINE_REQUEST_USER_H_
#define GROUNDSWELL_SERVER_PIPELINE_REQUEST_USER_H_

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/fold/applier.h"
#include "graph/log/interaction.h"
#include "server/pipeline/live_state.h"

namespace groundswell {

struct RequestUser {
  std::optional<OverlaidUser> known;  // nullopt: nothing that the graph knows
  std::vector<ItemIndex> hidden;      // ascending; the user is not to see them
};

// False for a user without a trained embedding who never took anything, or of whom every
// interaction was taken back.
bool IsKnown(const UserState& user, const LiveState& state);

// An empty `user_id` is a user who was never seen.
// InvalidArgument, naming the field, for a hypothetical event that would not be applied.
// REQUIRES: the state has its applier.
absl::StatusOr<RequestUser> ReadRequestUser(const LiveState& state, const std::string& user_id,
                                            std::span<const Interaction> hypothetical_events);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_REQUEST_USER_H_
