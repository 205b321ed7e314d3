#include "server/recommend/recommend_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

constexpr std::string_view kDefaultNamespace = "default";
constexpr std::string_view kTokenPrefix = "o";
constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

absl::Status TooMany(std::string_view field, int count, size_t limit) {
  return InvalidField(field, std::to_string(count),
                      fmt::format("may be repeated at most {} times", limit));
}

// `prefix` is what leads to the fields of the event, such as "events[2].".
std::string FieldOf(std::string_view prefix, std::string_view name) {
  return fmt::format("{}{}", prefix, name);
}

absl::StatusOr<int64_t> CheckEventTime(std::string_view prefix,
                                       const google::protobuf::Timestamp& time, int64_t now_us) {
  // Checked in seconds first, where nothing can overflow.
  const int64_t latest_s = (now_us + kMicrosPerDay) / kMicrosPerSecond;
  if (time.seconds() < 0 || time.seconds() > latest_s || time.nanos() < 0 ||
      time.nanos() > 999'999'999) {
    return InvalidField(FieldOf(prefix, "event_time"),
                        fmt::format("{}.{:09d} s since 1970", time.seconds(), time.nanos()),
                        "must be between 1970 and one day after the server's clock");
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
    return InvalidField(FieldOf(prefix, "event_type"), event.event_type(),
                        fmt::format("must be one of the configured types: {}", known));
  }
  if (!event.has_weight()) return type->second;
  const int64_t weight = event.weight();
  if (weight == 0 || weight < -kWeightMax || weight > kWeightMax) {
    return InvalidField(FieldOf(prefix, "weight"), std::to_string(weight),
                        fmt::format("must be -{0} to {0} and not 0", kWeightMax));
  }
  return weight;
}

absl::StatusOr<Interaction> CheckHypotheticalEvent(
    const v1::HypotheticalEvent& event, std::string_view prefix,
    const std::map<std::string, int64_t>& event_types, const Catalogue& catalogue, int64_t now_us) {
  const std::string item_field = FieldOf(prefix, "item_id");
  if (absl::Status s = CheckId(item_field, event.item_id()); !s.ok()) return s;
  if (!catalogue.Find(event.item_id()).has_value()) {
    return InvalidField(item_field, event.item_id(), "must be in the catalogue");
  }
  const absl::StatusOr<Count> weight = CheckWeight(prefix, event, event_types);
  if (!weight.ok()) return weight.status();
  const absl::StatusOr<int64_t> time_us =
      event.has_event_time() ? CheckEventTime(prefix, event.event_time(), now_us) : now_us;
  if (!time_us.ok()) return time_us.status();
  return Interaction{.item_id = event.item_id(),
                     .event_type = event.event_type(),
                     .weight = *weight,
                     .event_time_us = *time_us,
                     .received_time_us = now_us};
}

}  // namespace

absl::Status CheckNamespace(std::string_view name_space, std::string_view served) {
  const std::string_view wanted = name_space.empty() ? kDefaultNamespace : name_space;
  if (wanted == served) return absl::OkStatus();
  return UnknownResource("namespace", wanted, "NAMESPACE_UNKNOWN",
                         fmt::format("this server serves \"{}\"", served));
}

absl::Status CheckRequestId(std::string_view request_id) {
  if (request_id.empty()) return absl::OkStatus();
  bool is_uuid = request_id.size() == 36;
  for (size_t i = 0; i < request_id.size() && is_uuid; ++i) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    is_uuid = is_dash ? request_id[i] == '-' : IsHex(request_id[i]);
  }
  if (is_uuid) return absl::OkStatus();
  return InvalidField("request_id", request_id,
                      "must be a UUID such as 123e4567-e89b-42d3-a456-426614174000, or empty");
}

absl::Status RequireRequestId(std::string_view request_id) {
  if (!request_id.empty()) return CheckRequestId(request_id);
  return InvalidField("request_id", request_id,
                      "must be a UUID: a repeated request is recognised by it");
}

std::chrono::steady_clock::time_point DeadlineOf(const grpc::CallbackServerContext& context) {
  const auto now = std::chrono::steady_clock::now();
  const auto longest = now + std::chrono::hours(1);
  if (context.deadline() == std::chrono::system_clock::time_point::max()) return longest;
  return std::min(longest, now + (context.deadline() - std::chrono::system_clock::now()));
}

absl::Status CheckId(std::string_view field, std::string_view id) {
  if (id.empty() || id.size() > kIdBytesMax) {
    return InvalidField(field, id,
                        fmt::format("must be 1 to {} bytes; it has {}", kIdBytesMax, id.size()));
  }
  if (HasControlCharacter(id)) {
    return InvalidField(field, id, "must not contain control characters");
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> CheckPageSize(int32_t page_size) {
  if (page_size < 0) {
    return InvalidField(
        "page_size", std::to_string(page_size),
        fmt::format("must be 1 to {}, or 0 for {}", kPageSizeMax, kPageSizeDefault));
  }
  if (page_size == 0) return static_cast<size_t>(kPageSizeDefault);
  return static_cast<size_t>(std::min(page_size, kPageSizeMax));
}

absl::StatusOr<size_t> CheckExplainItems(int32_t explain_items) {
  if (explain_items < 0) {
    return InvalidField("explain_items", std::to_string(explain_items),
                        fmt::format("must be 1 to {}, or 0 for none", kExplainedItemsMax));
  }
  return std::min(static_cast<size_t>(explain_items), kExplainedItemsMax);
}

absl::StatusOr<ItemRules> CheckFilter(const v1::ItemFilter& filter, const Catalogue& catalogue,
                                      int64_t now_us) {
  if (static_cast<size_t>(filter.categories_size()) > kCategoriesMax) {
    return TooMany("filter.categories", filter.categories_size(), kCategoriesMax);
  }
  if (static_cast<size_t>(filter.excluded_item_ids_size()) > kExcludedItemsMax) {
    return TooMany("filter.excluded_item_ids", filter.excluded_item_ids_size(), kExcludedItemsMax);
  }
  ItemRules rules{.include_seen = filter.include_seen(), .now_us = now_us};
  for (const std::string& name : filter.categories()) {
    const std::optional<uint32_t> category = catalogue.FindCategory(name);
    if (!category.has_value()) {
      return InvalidField("filter.categories", name, "must be a category of the catalogue");
    }
    rules.categories.push_back(*category);
  }
  for (const std::string& id : filter.excluded_item_ids()) {
    if (absl::Status s = CheckId("filter.excluded_item_ids", id); !s.ok()) return s;
    const std::optional<ItemIndex> item = catalogue.Find(id);
    if (item.has_value()) rules.excluded.push_back(*item);
  }
  std::sort(rules.excluded.begin(), rules.excluded.end());
  return rules;
}

absl::StatusOr<uint32_t> CheckOnlySources(
    const google::protobuf::RepeatedField<int>& only_sources) {
  uint32_t bits = 0;
  for (const int named : only_sources) {
    const auto* const source = std::find_if(std::begin(kSources), std::end(kSources),
                                            [&](const auto& one) { return one.second == named; });
    const bool proposes =
        source != std::end(kSources) && (source->first & Retrieval::kSources) != 0;
    if (!proposes || (bits & source->first) != 0) {
      return InvalidField("only_sources",
                          v1::CandidateSource_IsValid(named) ? v1::CandidateSource_Name(named)
                                                             : std::to_string(named),
                          "must be a source that proposes candidates, and not be repeated");
    }
    bits |= source->first;
  }
  return bits;
}

absl::StatusOr<Diversity> CheckDiversity(const v1::ListDiversity& diversity) {
  if (!(diversity.strength() >= 0 && diversity.strength() <= 1)) {
    return InvalidField("diversity.strength", std::to_string(diversity.strength()),
                        "must be 0 to 1");
  }
  if (diversity.category_max() < 0) {
    return InvalidField("diversity.category_max", std::to_string(diversity.category_max()),
                        "must be at least 1, or 0 for any number");
  }
  return Diversity{.strength = static_cast<float>(diversity.strength()),
                   .category_max = static_cast<size_t>(diversity.category_max())};
}

absl::StatusOr<const Ranker*> CheckRanker(std::string_view ranker, const Snapshot& snapshot) {
  const Ranker* found = snapshot.FindRanker(ranker);
  if (found != nullptr || ranker.empty()) return found;
  std::string known;
  for (const auto& one : snapshot.rankers()) {
    known += (known.empty() ? "\"" : ", \"") + std::string(one->name()) + "\"";
  }
  return UnknownResource(
      "ranker", ranker, "RANKER_UNKNOWN",
      known.empty() ? std::string("the snapshot has no models") : "the snapshot has " + known);
}

std::string MakeConsistencyToken(Offset offset) {
  return fmt::format("{}{:x}", kTokenPrefix, offset);
}

absl::StatusOr<Offset> CheckConsistencyToken(std::string_view token) {
  if (token.empty()) return Offset{0};
  Offset offset = 0;
  if (token.substr(0, kTokenPrefix.size()) == kTokenPrefix) {
    const std::string_view digits = token.substr(kTokenPrefix.size());
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), offset, 16);
    if (error == std::errc() && end == digits.data() + digits.size() && offset >= 0) return offset;
  }
  return InvalidField("consistency_token", token,
                      "must be a token that an acknowledged interaction returned, or empty");
}

absl::StatusOr<Interaction> CheckInteraction(const v1::Interaction& interaction,
                                             const std::map<std::string, int64_t>& event_types,
                                             const Catalogue& catalogue, int64_t now_us) {
  if (absl::Status s = CheckId("event_id", interaction.event_id()); !s.ok()) return s;
  if (absl::Status s = CheckId("user_id", interaction.user_id()); !s.ok()) return s;
  if (absl::Status s = CheckId("item_id", interaction.item_id()); !s.ok()) return s;
  const absl::StatusOr<Count> weight = CheckWeight("", interaction, event_types);
  if (!weight.ok()) return weight.status();
  if (!interaction.has_event_time()) {
    return InvalidField("event_time", "", "is required: when the interaction happened");
  }
  const absl::StatusOr<int64_t> time_us = CheckEventTime("", interaction.event_time(), now_us);
  if (!time_us.ok()) return time_us.status();
  if (!catalogue.Find(interaction.item_id()).has_value()) {
    return UnknownResource("item", interaction.item_id(), "ITEM_UNKNOWN",
                           "the catalogue of the served snapshot does not have it");
  }
  return Interaction{.event_id = interaction.event_id(),
                     .user_id = interaction.user_id(),
                     .item_id = interaction.item_id(),
                     .event_type = interaction.event_type(),
                     .weight = *weight,
                     .event_time_us = *time_us,
                     .received_time_us = now_us};
}

absl::Status CheckUser(std::string_view user_id, bool has_events) {
  if (user_id.empty() && has_events) return absl::OkStatus();
  return CheckId("user_id", user_id);
}

absl::StatusOr<std::vector<Interaction>> CheckHypotheticalEvents(
    const google::protobuf::RepeatedPtrField<v1::HypotheticalEvent>& events,
    std::string_view user_id, const std::map<std::string, int64_t>& event_types,
    const Catalogue& catalogue, int64_t now_us) {
  if (static_cast<size_t>(events.size()) > kHypotheticalEventsMax) {
    return TooMany("hypothetical_events", events.size(), kHypotheticalEventsMax);
  }
  std::vector<Interaction> checked;
  checked.reserve(static_cast<size_t>(events.size()));
  for (int at = 0; at < events.size(); ++at) {
    absl::StatusOr<Interaction> event = CheckHypotheticalEvent(
        events[at], fmt::format("hypothetical_events[{}].", at), event_types, catalogue, now_us);
    if (!event.ok()) return event.status();
    event->user_id = user_id;
    checked.push_back(*std::move(event));
  }
  return checked;
}

}  // namespace groundswell
