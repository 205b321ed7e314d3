// A user's state as the API shows it.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_USER_STATE_RESPONSE_H_
#define GROUNDSWELL_SERVER_RECOMMEND_USER_STATE_RESPONSE_H_

#include "graph/fold/applier.h"
#include "graph/state/user_state.h"
#include "groundswell/v1/recommend.pb.h"
#include "server/pipeline/live_state.h"
#include "server/recommend/recommend_checks.h"

namespace groundswell {

// Into an empty response. `progress` was read before the user, so that the answer contains at least
// what it claims. `stale`: the caller's own write could not be waited for.
void WriteUserState(const LiveState& state, const Applier::Progress& progress,
                    const UserStateQuery& query, const UserState& user, bool stale,
                    v1::GetUserStateResponse& response);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_USER_STATE_RESPONSE_H_
