#include "server/pipeline/request_user.h"

#include <fmt/format.h>

#include <utility>

#include "server/rpc/api_time.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

absl::Status RefusedEvent(const Applier::Refusal& refusal, const Interaction& event) {
  const auto field = [&](std::string_view name) {
    return fmt::format("hypothetical_events[{}].{}", refusal.position, name);
  };
  using Outcome = FoldOutcome;
  switch (refusal.outcome) {
    case Outcome::kBelowZero:
      return InvalidField(field("weight"), std::to_string(event.weight),
                          fmt::format("must not leave a negative count: the user has {} of item {}",
                                      refusal.bound, event.item_id));
    case Outcome::kOverflow:
      return InvalidField(
          field("weight"), std::to_string(event.weight),
          fmt::format("must leave the sum of all counts at most {}", kTotalCountMax));
    case Outcome::kOutsideWindow:
      return InvalidField(field("event_time"), TimeText(event.event_time_us),
                          fmt::format("must not be before {}, where the graph's window begins",
                                      TimeText(refusal.bound)));
    case Outcome::kForgotten:
      return InvalidField(field("event_time"), TimeText(event.event_time_us),
                          fmt::format("must be after {}, when the user was forgotten or the item "
                                      "removed: what happened until then is not applied",
                                      TimeText(refusal.bound)));
    case Outcome::kUnknownItem:
      return InvalidField(field("item_id"), event.item_id, "must be in the catalogue");
    case Outcome::kApplied:
    case Outcome::kCount:
      break;
  }
  return absl::InternalError("an event that is applied was refused");
}

}  // namespace

bool IsKnown(const UserState& user, const LiveState& state) {
  return !user.edges.empty() || ToInt(user.index) < state.snapshot->user_clusters().size();
}

absl::StatusOr<RequestUser> ReadRequestUser(const LiveState& state, const std::string& user_id,
                                            std::span<const Interaction> hypothetical_events) {
  std::optional<OverlaidUser> user;
  if (!user_id.empty()) {
    absl::StatusOr<std::optional<UserState>> stored = state.generation.ReadUser(user_id);
    if (!stored.ok()) return stored.status();
    if (stored->has_value()) user = OverlaidUser{.state = **std::move(stored), .joined = {}};
  }
  if (!hypothetical_events.empty()) {
    std::optional<UserState> stored;
    if (user.has_value()) stored = std::move(user->state);
    std::optional<Applier::Refusal> refusal;
    auto overlaid = state.applier->Overlay(std::move(stored), hypothetical_events, refusal);
    if (!overlaid.ok()) return overlaid.status();
    if (refusal.has_value()) {
      return RefusedEvent(*refusal, hypothetical_events[refusal->position]);
    }
    user = *std::move(overlaid);
  }
  RequestUser found;
  if (user.has_value()) {
    for (const HiddenItem& one : user->state.hidden) found.hidden.push_back(one.item);
  }
  if (user.has_value() && IsKnown(user->state, state)) found.known = std::move(user);
  return found;
}

}  // namespace groundswell
