// What an interaction must be before it is logged, or laid over a user's state; as in
// field_checks.h.
#ifndef GROUNDSWELL_SERVER_RPC_EVENT_CHECKS_H_
#define GROUNDSWELL_SERVER_RPC_EVENT_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/log/interaction.h"
#include "graph/state/catalogue.h"
#include "groundswell/v1/interaction.pb.h"
#include "groundswell/v1/recommend.pb.h"

namespace groundswell {

inline constexpr size_t kInteractionsMax = 1'000;
inline constexpr size_t kHypotheticalEventsMax = 100;

// What an event may be.
struct EventTerms {
  std::map<std::string, int64_t> types;     // with their weights
  int64_t ahead_max_us = 600 * 1'000'000L;  // its time after the server's clock
};

// The interaction as the log stores it. `now_us` is the server's clock. With `may_create_item`, one
// with an item that the catalogue lacks is allowed to create it, unless it takes back.
absl::StatusOr<Interaction> CheckInteraction(const v1::Interaction& interaction,
                                             const EventTerms& terms, const Catalogue& catalogue,
                                             int64_t now_us, bool may_create_item = false);

// The user of a list: an id, or none where `has_events` of an anonymous session.
absl::Status CheckUser(std::string_view user_id, bool has_events);

// What a request lays over the state of `user_id`, which may be empty; likewise, and an unknown
// item is InvalidArgument too. An event without a time happens now.
absl::StatusOr<std::vector<Interaction>> CheckHypotheticalEvents(
    const google::protobuf::RepeatedPtrField<v1::HypotheticalEvent>& events,
    std::string_view user_id, const EventTerms& terms, const Catalogue& catalogue, int64_t now_us);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_EVENT_CHECKS_H_
