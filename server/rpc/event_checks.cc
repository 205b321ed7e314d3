#include "server/rpc/event_checks.h"

#include <fmt/format.h>

#include <utility>

#include "server/rpc/field_checks.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

// `prefix` is what leads to the fields of the event, such as "events[2].".
std::string FieldOf(std::string_view prefix, std::string_view name) {
  return fmt::format("{}{}", prefix, name);
}

absl::StatusOr<int64_t> CheckEventTime(std::string_view prefix,
                                       const google::protobuf::Timestamp& time, int64_t now_us,
                                       int64_t ahead_max_us) {
  // Checked in seconds first, where nothing can overflow.
  const int64_t latest_s = (now_us + ahead_max_us) / kMicrosPerSecond;
  if (time.seconds() < 0 || time.seconds() > latest_s || time.nanos() < 0 ||
      time.nanos() > 999'999'999) {
    return InvalidField(FieldOf(prefix, "event_time"),
                        fmt::format("{}.{:09d} s since 1970", time.seconds(), time.nanos()),
                        fmt::format("must be between 1970 and {} s after the server's clock, which "
                                    "says {} (ingest.event_ahead_max_s); is it UTC?",
                                    ahead_max_us / kMicrosPerSecond, now_us / kMicrosPerSecond));
  }
  return time.seconds() * kMicrosPerSecond + time.nanos() / 1'000;
}

// Event: v1::Interaction or v1::HypotheticalEvent.
template <typename Event>
absl::StatusOr<Count> CheckWeight(std::string_view prefix, const Event& event,
                                  const std::map<std::string, int64_t>& event_types) {
  const auto type = event_types.find(event.event_type());
  if (type == event_types.end()) {
    std::string known;
    for (const auto& [name, weight] : event_types) known += (known.empty() ? "" : ", ") + name;
    return InvalidField(
        FieldOf(prefix, "event_type"), event.event_type(),
        fmt::format("must be one of the types of [event_types] in the configuration: {}", known));
  }
  if (!event.has_weight()) return type->second;
  const int64_t weight = event.weight();
  if (weight == 0 || weight < -kWeightMax || weight > kWeightMax) {
    return InvalidField(FieldOf(prefix, "weight"), std::to_string(weight),
                        fmt::format("must be -{0} to {0} and not 0", kWeightMax));
  }
  return weight;
}

absl::StatusOr<Interaction> CheckHypotheticalEvent(const v1::HypotheticalEvent& event,
                                                   std::string_view prefix, const EventTerms& terms,
                                                   const Catalogue& catalogue, int64_t now_us) {
  const std::string item_field = FieldOf(prefix, "item_id");
  if (absl::Status s = CheckId(item_field, event.item_id()); !s.ok()) return s;
  if (!catalogue.Find(event.item_id()).has_value()) {
    return InvalidField(item_field, event.item_id(), "must be in the catalogue");
  }
  const absl::StatusOr<Count> weight = CheckWeight(prefix, event, terms.types);
  if (!weight.ok()) return weight.status();
  const absl::StatusOr<int64_t> time_us =
      event.has_event_time()
          ? CheckEventTime(prefix, event.event_time(), now_us, terms.ahead_max_us)
          : now_us;
  if (!time_us.ok()) return time_us.status();
  return Interaction{.item_id = event.item_id(),
                     .event_type = event.event_type(),
                     .weight = *weight,
                     .event_time_us = *time_us,
                     .received_time_us = now_us};
}

}  // namespace

absl::StatusOr<Interaction> CheckInteraction(const v1::Interaction& interaction,
                                             const EventTerms& terms, const Catalogue& catalogue,
                                             int64_t now_us, bool may_create_item) {
  if (absl::Status s = CheckId("event_id", interaction.event_id()); !s.ok()) return s;
  if (absl::Status s = CheckId("user_id", interaction.user_id()); !s.ok()) return s;
  if (absl::Status s = CheckId("item_id", interaction.item_id()); !s.ok()) return s;
  const absl::StatusOr<Count> weight = CheckWeight("", interaction, terms.types);
  if (!weight.ok()) return weight.status();
  if (!interaction.has_event_time()) {
    return InvalidField("event_time", "", "is required: when the interaction happened");
  }
  const absl::StatusOr<int64_t> time_us =
      CheckEventTime("", interaction.event_time(), now_us, terms.ahead_max_us);
  if (!time_us.ok()) return time_us.status();
  const bool is_known = catalogue.Find(interaction.item_id()).has_value();
  const bool creates = !is_known && may_create_item && *weight >= 0;
  if (!is_known && !creates) {
    return UnknownResource("item", interaction.item_id(), "ITEM_UNKNOWN",
                           may_create_item ? "nobody has it, so it cannot be taken back"
                                           : "the catalogue of the served snapshot does not have "
                                             "it; create it first (groundswell upsert-item), or "
                                             "set ingest.create_items = \"always\"");
  }
  return Interaction{.event_id = interaction.event_id(),
                     .user_id = interaction.user_id(),
                     .item_id = interaction.item_id(),
                     .event_type = interaction.event_type(),
                     .weight = *weight,
                     .event_time_us = *time_us,
                     .received_time_us = now_us,
                     .user_cluster = std::nullopt,
                     .item_creation = creates ? ItemCreation::kAllowed : ItemCreation::kNo};
}

absl::Status CheckUser(std::string_view user_id, bool has_events) {
  if (user_id.empty() && has_events) return absl::OkStatus();
  return CheckId("user_id", user_id);
}

absl::StatusOr<std::vector<Interaction>> CheckHypotheticalEvents(
    const google::protobuf::RepeatedPtrField<v1::HypotheticalEvent>& events,
    std::string_view user_id, const EventTerms& terms, const Catalogue& catalogue, int64_t now_us) {
  if (static_cast<size_t>(events.size()) > kHypotheticalEventsMax) {
    return TooMany("hypothetical_events", events.size(), kHypotheticalEventsMax);
  }
  std::vector<Interaction> checked;
  checked.reserve(static_cast<size_t>(events.size()));
  for (int at = 0; at < events.size(); ++at) {
    absl::StatusOr<Interaction> event = CheckHypotheticalEvent(
        events[at], fmt::format("hypothetical_events[{}].", at), terms, catalogue, now_us);
    if (!event.ok()) return event.status();
    event->user_id = user_id;
    checked.push_back(*std::move(event));
  }
  return checked;
}

}  // namespace groundswell
