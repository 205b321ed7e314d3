#include "client/kafka/record_mapping.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "csv/event_time.h"
#include "csv/log_reader.h"
#include "csv/utf8.h"
#include "program/suggestion.h"

namespace groundswell {
namespace {

using nlohmann::json;

constexpr std::string_view kUser = "user_id";
constexpr std::string_view kItem = "item_id";
constexpr std::string_view kType = "event_type";
constexpr std::string_view kTime = "event_time";
constexpr std::string_view kWeight = "weight";
constexpr std::string_view kEventId = "event_id";
// Arrays and objects within one another. Deeper ones cost a stack frame each wherever they are gone
// through, and no record has them in earnest.
constexpr int kNestingMax = 64;
// The first byte of what serializers of a schema registry write, before the schema's number.
constexpr char kRegistryMark = '\0';

absl::Status Bad(const std::string& text) { return absl::InvalidArgumentError(text); }

struct Parsed {
  json value;  // discarded: no JSON
  bool is_too_deep = false;
  std::optional<std::string> key_twice;  // of an object, at any depth
};

// Keeps nothing of what is too deep.
Parsed ParseJson(std::string_view text) {
  Parsed parsed;
  std::vector<std::set<std::string>> keys;  // by the depth of their object
  const auto keep = [&](int depth, json::parse_event_t event, json& value) {
    const auto of = static_cast<size_t>(depth);
    if (event == json::parse_event_t::object_start && depth < kNestingMax) {
      keys.resize(std::max(keys.size(), of + 2));
      keys[of + 1].clear();
    }
    if (event == json::parse_event_t::key && depth <= kNestingMax) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys[of].insert(key).second) parsed.key_twice = key;
    }
    const bool begins =
        event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (!begins || depth < kNestingMax) return true;
    parsed.is_too_deep = true;
    return false;
  };
  parsed.value = json::parse(text, keep, /*allow_exceptions=*/false);
  return parsed;
}

absl::Status TooDeep(std::string_view what) {
  return Bad(
      fmt::format("{} has more than {} arrays and objects within one another", what, kNestingMax));
}

absl::Status KeyTwice(std::string_view what, std::string_view key) {
  return Bad(fmt::format("{} has the key {} more than once in one object", what, ShownText(key)));
}

// Where a field stands in a record.
struct Path {
  std::string text;
  json::json_pointer pointer;
};

// What a type in a record is called by the server; nullopt: no interaction.
using TypeName = std::optional<std::string>;

absl::StatusOr<Path> ParsePath(std::string_view field, const json& value) {
  if (!value.is_string()) {
    return Bad(fmt::format("\"{}\" is {}; write a JSON Pointer, such as \"/{}\"", field,
                           ShownText(value.dump(-1, ' ', true, json::error_handler_t::replace)),
                           field));
  }
  const auto text = value.get<std::string>();
  if (!text.starts_with('/')) {
    return Bad(fmt::format("\"{}\" is {}; a JSON Pointer begins with /: write \"/{}\"", field,
                           ShownText(text), text));
  }
  try {
    return Path{text, json::json_pointer(text)};
  } catch (const json::exception&) {
    return Bad(
        fmt::format("\"{}\" is {}; in a JSON Pointer ~ is written ~0, and / within a name ~1",
                    field, ShownText(text)));
  }
}

absl::StatusOr<TypeName> ParseTypeName(const json& value, std::string_view where) {
  if (value.is_null()) return TypeName();
  if (value.is_string() && !value.get<std::string>().empty()) {
    return TypeName(value.get<std::string>());
  }
  return Bad(
      fmt::format("{} is not the name of an event type, such as \"purchase\", nor null, "
                  "which passes such records over",
                  where));
}

// Whether the object has no other keys than `known`.
absl::Status CheckKeys(const json& object, const std::vector<std::string>& known,
                       std::string_view where) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const auto near = NearestWord(key, known);
    return Bad(fmt::format("{} has no \"{}\"{}", where, ShownText(key),
                           near.has_value()
                               ? fmt::format("; did you mean \"{}\"?", *near)
                               : fmt::format("; it may have {}", fmt::join(known, ", "))));
  }
  return absl::OkStatus();
}

struct TypeRule {
  std::optional<std::string> constant;
  std::optional<Path> path;
  std::optional<std::map<std::string, TypeName>> values;
  std::optional<TypeName> otherwise;
};

absl::Status ParseTypeValues(const json& value, TypeRule& rule) {
  if (!value.is_object() || value.empty()) {
    return Bad("\"event_type\".\"values\" is not an object such as {\"buy\": \"purchase\"}");
  }
  rule.values.emplace();
  for (const auto& [key, name] : value.items()) {
    auto parsed =
        ParseTypeName(name, fmt::format("\"event_type\".\"values\" of {}", ShownText(key)));
    if (!parsed.ok()) return parsed.status();
    rule.values->emplace(key, *std::move(parsed));
  }
  return absl::OkStatus();
}

absl::StatusOr<TypeRule> ParseTypeRule(const json& value) {
  TypeRule rule;
  if (!value.is_object()) {
    auto path = ParsePath(kType, value);
    if (!path.ok()) return path.status();
    rule.path = *std::move(path);
    return rule;
  }
  if (absl::Status s =
          CheckKeys(value, {"constant", "path", "values", "otherwise"}, "\"event_type\"");
      !s.ok()) {
    return s;
  }
  if (value.contains("constant") == value.contains("path") ||
      (value.contains("constant") && value.size() > 1)) {
    return Bad("\"event_type\" must have either \"constant\" alone, or \"path\"");
  }
  if (value.contains("constant")) {
    auto constant = ParseTypeName(value["constant"], "\"event_type\".\"constant\"");
    if (!constant.ok()) return constant.status();
    if (!constant->has_value()) return Bad("\"event_type\".\"constant\" is null; name a type");
    rule.constant = **constant;
    return rule;
  }
  auto path = ParsePath("path", value["path"]);
  if (!path.ok()) return path.status();
  rule.path = *std::move(path);
  if (value.contains("values")) {
    if (absl::Status s = ParseTypeValues(value["values"], rule); !s.ok()) return s;
  }
  if (value.contains("otherwise")) {
    if (!rule.values.has_value()) {
      return Bad(
          "\"event_type\" has \"otherwise\", which is for what \"values\" lacks, and no "
          "\"values\"");
    }
    auto otherwise = ParseTypeName(value["otherwise"], "\"event_type\".\"otherwise\"");
    if (!otherwise.ok()) return otherwise.status();
    rule.otherwise = *std::move(otherwise);
  }
  return rule;
}

// The value there; null where there is none.
const json& At(const json& object, const Path& path) {
  static const json none;
  return object.contains(path.pointer) ? object.at(path.pointer) : none;
}

// Of arrays and objects not what they hold, which may be much.
std::string Shown(const json& value) {
  if (value.is_null()) return "not there";
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  return ShownText(value.dump(-1, ' ', true, json::error_handler_t::replace));
}

absl::Status BadField(std::string_view field, const Path& path, const json& value,
                      std::string_view right) {
  return Bad(fmt::format("{} ({}) is {}; it must be {}", field, path.text, Shown(value), right));
}

// One message would not hold a batch of longer ones, which nobody could mend but in the topic.
absl::Status CheckLength(std::string_view field, std::string_view id) {
  if (id.size() <= kInteractionIdBytesMax) return absl::OkStatus();
  return Bad(fmt::format("{} has {} bytes ({}); it must have at most {}", field, id.size(),
                         ShownText(id), kInteractionIdBytesMax));
}

// Ids, and names of types. A number with a point would not be the id that others have.
absl::StatusOr<std::string> ReadId(std::string_view field, const json& record, const Path& path) {
  const json& value = At(record, path);
  if (value.is_string() && !value.get_ref<const std::string&>().empty()) {
    const auto& id = value.get_ref<const std::string&>();
    if (absl::Status s = CheckLength(field, id); !s.ok()) return s;
    return id;
  }
  if (value.is_number_integer()) return value.dump();
  return BadField(field, path, value, "a string that is not empty, or a whole number");
}

absl::StatusOr<int64_t> ReadTime(const json& record, const Path& path) {
  const json& value = At(record, path);
  std::string text;
  if (value.is_string()) text = value.get<std::string>();
  if (value.is_number()) text = value.dump();
  // Ten digits are seconds in a stream that goes on for years, though some of the years from 2032
  // read as dates: of a date the server says that it is still to come.
  constexpr size_t kDigitsOfSeconds = 10;
  const std::optional<EventTime> seconds = ParseEventTime(text);
  if (text.size() == kDigitsOfSeconds && seconds.has_value()) return seconds->us;
  const absl::StatusOr<EventTime> time = ParseSingleTime(text);
  if (time.ok()) return time->us;
  return Bad(fmt::format("{} ({}) is {}; {}", kTime, path.text, Shown(value),
                         std::string(time.status().message())));
}

// nullopt: the record has none.
absl::StatusOr<std::optional<int32_t>> ReadWeight(const json& record, const Path& path) {
  const json& value = At(record, path);
  if (value.is_null()) return std::nullopt;
  double number = 0;
  if (value.is_number()) number = value.get<double>();
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) number = 0;
  }
  if (number != 0 && number == std::trunc(number) &&
      std::abs(number) <= static_cast<double>(kLogWeightMax)) {
    return static_cast<int32_t>(number);
  }
  return BadField(kWeight, path, value,
                  fmt::format("a whole number from -{0} to {0} and not 0", kLogWeightMax));
}

void SetTime(int64_t us, v1::Interaction& interaction) {
  interaction.mutable_event_time()->set_seconds(us / EventTime::kMicrosPerSecond);
  interaction.mutable_event_time()->set_nanos(
      static_cast<int32_t>(us % EventTime::kMicrosPerSecond * 1'000));
}

std::string_view RegistryHint(std::string_view value) {
  if (value.empty() || value.front() != kRegistryMark) return "";
  return "; it begins as what a schema registry's serializer writes, which is not read";
}

absl::StatusOr<std::optional<v1::Interaction>> ReadProtobuf(const KafkaRecord& record,
                                                            std::string_view source) {
  // What protobuf would print of a bad record, to standard error, says no more.
  const google::protobuf::LogSilencer silencer;
  v1::Interaction interaction;
  if (!interaction.ParseFromString(*record.value)) {
    return Bad(
        fmt::format("the value is no groundswell.v1.Interaction{}", RegistryHint(*record.value)));
  }
  for (const auto& [field, id] :
       {std::pair{kUser, &interaction.user_id()}, std::pair{kItem, &interaction.item_id()},
        std::pair{kType, &interaction.event_type()},
        std::pair{kEventId, &interaction.event_id()}}) {
    if (absl::Status s = CheckLength(field, *id); !s.ok()) return s;
  }
  // Of any length, too, and nobody reads them.
  interaction.DiscardUnknownFields();
  if (interaction.event_id().empty()) interaction.set_event_id(EventIdOf(source, record));
  return interaction;
}

}  // namespace

struct RecordMapping::JsonFields {
  Path user;
  Path item;
  TypeRule type;
  std::optional<Path> time;
  std::optional<Path> weight;
  std::optional<Path> event_id;

  absl::StatusOr<TypeName> ReadType(const json& object) const;
  absl::Status ReadRest(const json& object, const KafkaRecord& record, std::string_view source,
                        v1::Interaction& interaction) const;
  absl::StatusOr<std::optional<v1::Interaction>> Read(const KafkaRecord& record,
                                                      std::string_view source) const;
};

RecordMapping::RecordMapping() = default;
RecordMapping::RecordMapping(RecordMapping&&) noexcept = default;
RecordMapping& RecordMapping::operator=(RecordMapping&&) noexcept = default;
RecordMapping::~RecordMapping() = default;

RecordMapping RecordMapping::OfProtobuf() { return {}; }

absl::StatusOr<RecordMapping> RecordMapping::ParseJsonMapping(std::string_view text) {
  const Parsed parsed_mapping = ParseJson(text);
  if (parsed_mapping.is_too_deep) return TooDeep("the mapping");
  if (parsed_mapping.key_twice.has_value()) {
    return KeyTwice("the mapping", *parsed_mapping.key_twice);
  }
  const json& object = parsed_mapping.value;
  if (!object.is_object()) {
    return Bad(
        "the mapping is no JSON object such as {\"user_id\": \"/user\", \"item_id\": "
        "\"/item\", \"event_type\": {\"constant\": \"purchase\"}}");
  }
  const std::array required{kUser, kItem, kType};
  if (absl::Status s = CheckKeys(object,
                                 {std::string(kUser), std::string(kItem), std::string(kType),
                                  std::string(kTime), std::string(kWeight), std::string(kEventId)},
                                 "the mapping");
      !s.ok()) {
    return s;
  }
  for (const std::string_view field : required) {
    if (object.contains(field)) continue;
    return Bad(fmt::format(
        "the mapping has no \"{0}\"; add {1}", field,
        field == kType ? R"("event_type": {"constant": "purchase"}, or where the type stands)"
                       : fmt::format("where it stands, such as \"{0}\": \"/{0}\"", field)));
  }
  auto fields = std::make_unique<JsonFields>();
  for (const auto& [field, path] :
       {std::pair{kUser, &fields->user}, std::pair{kItem, &fields->item}}) {
    auto parsed = ParsePath(field, object[field]);
    if (!parsed.ok()) return parsed.status();
    *path = *std::move(parsed);
  }
  for (const auto& [field, path] :
       {std::pair{kTime, &fields->time}, std::pair{kWeight, &fields->weight},
        std::pair{kEventId, &fields->event_id}}) {
    if (!object.contains(field)) continue;
    auto parsed = ParsePath(field, object[field]);
    if (!parsed.ok()) return parsed.status();
    *path = *std::move(parsed);
  }
  auto type = ParseTypeRule(object[kType]);
  if (!type.ok()) return type.status();
  fields->type = *std::move(type);
  RecordMapping mapping;
  mapping.json_ = std::move(fields);
  return mapping;
}

absl::StatusOr<TypeName> RecordMapping::JsonFields::ReadType(const json& object) const {
  if (type.constant.has_value()) return TypeName(*type.constant);
  auto name = ReadId(kType, object, *type.path);
  if (!type.values.has_value()) {
    if (!name.ok()) return name.status();
    return TypeName(*std::move(name));
  }
  if (name.ok()) {
    if (const auto found = type.values->find(*name); found != type.values->end()) {
      return found->second;
    }
  }
  if (type.otherwise.has_value()) return *type.otherwise;
  if (!name.ok()) return name.status();
  return BadField(kType, *type.path, json(*name),
                  "one of the mapping's \"values\", which may have an \"otherwise\" beside them");
}

absl::Status RecordMapping::JsonFields::ReadRest(const json& object, const KafkaRecord& record,
                                                 std::string_view source,
                                                 v1::Interaction& interaction) const {
  auto user_id = ReadId(kUser, object, user);
  if (!user_id.ok()) return user_id.status();
  interaction.set_user_id(*std::move(user_id));
  auto item_id = ReadId(kItem, object, item);
  if (!item_id.ok()) return item_id.status();
  interaction.set_item_id(*std::move(item_id));
  if (time.has_value()) {
    const auto us = ReadTime(object, *time);
    if (!us.ok()) return us.status();
    SetTime(*us, interaction);
  } else if (record.timestamp_ms >= 0) {
    SetTime(record.timestamp_ms * 1'000, interaction);
  } else {
    return Bad("the record has no time of its own; map \"event_time\"");
  }
  if (weight.has_value()) {
    const auto number = ReadWeight(object, *weight);
    if (!number.ok()) return number.status();
    if (number->has_value()) interaction.set_weight(**number);
  }
  if (!event_id.has_value()) {
    interaction.set_event_id(EventIdOf(source, record));
    return absl::OkStatus();
  }
  auto id = ReadId(kEventId, object, *event_id);
  if (!id.ok()) return id.status();
  interaction.set_event_id(*std::move(id));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<v1::Interaction>> RecordMapping::JsonFields::Read(
    const KafkaRecord& record, std::string_view source) const {
  const Parsed parsed = ParseJson(*record.value);
  if (parsed.is_too_deep) return TooDeep("the value");
  if (parsed.key_twice.has_value()) return KeyTwice("the value", *parsed.key_twice);
  const json& object = parsed.value;
  if (!object.is_object()) {
    return Bad(fmt::format("the value is {}; it must be one JSON object{}",
                           ShownText(*record.value), RegistryHint(*record.value)));
  }
  absl::StatusOr<TypeName> name = ReadType(object);
  if (!name.ok()) return name.status();
  if (!name->has_value()) return std::nullopt;
  v1::Interaction interaction;
  interaction.set_event_type(**std::move(name));
  if (absl::Status s = ReadRest(object, record, source, interaction); !s.ok()) return s;
  return interaction;
}

absl::StatusOr<std::optional<v1::Interaction>> RecordMapping::Read(const KafkaRecord& record,
                                                                   std::string_view source) const {
  if (!record.value.has_value()) return std::nullopt;
  return json_ == nullptr ? ReadProtobuf(record, source) : json_->Read(record, source);
}

std::string EventIdOf(std::string_view source, const KafkaRecord& record) {
  return fmt::format("{}/{}/{}", source, record.partition, record.offset);
}

}  // namespace groundswell
