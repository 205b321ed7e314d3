#include "server/config/config_reading.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "graph/log/interaction.h"
#include "program/suggestion.h"
#include "server/config/config_keys.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

constexpr std::string_view kEnvironmentPrefix = "GROUNDSWELL_";
constexpr std::string_view kEventTypes = "event_types";
constexpr std::string_view kEventTypesHelp =
    "Types of interactions and the integer weight that one of each adds to the graph; one of 0 "
    "hides its item from its user. Setting any replaces all.";
constexpr size_t kEventTypesMax = 32;
constexpr size_t kEventTypeBytesMax = 32;
constexpr size_t kFileBytesMax = 1 << 20;

std::string_view SectionOf(std::string_view key) { return key.substr(0, key.find('.')); }

std::string VariableOf(std::string_view key) {
  std::string variable(kEnvironmentPrefix);
  for (const char c : key) {
    variable.push_back(c == '.' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c);
  }
  return variable;
}

absl::Status Invalid(std::string_view key, std::string_view value, std::string_view remedy) {
  return absl::InvalidArgumentError(fmt::format("{} is {}: {}", key, QuoteValue(value), remedy));
}

absl::Status UnknownKey(std::string_view key) {
  return absl::InvalidArgumentError(
      fmt::format("{} is not a key; did you mean {}?", QuoteValue(key), NearestKey(key)));
}

absl::Status SetInteger(const ConfigKey& key, int64_t value, int64_t& member) {
  if (value < key.min || value > key.max) {
    return Invalid(key.name, std::to_string(value),
                   fmt::format("must be {} to {}{}{}", key.min, key.max,
                               key.unit.empty() ? "" : " ", key.unit));
  }
  member = value;
  return absl::OkStatus();
}

absl::Status SetText(const ConfigKey& key, std::string_view value, std::string& member) {
  if (std::ssize(value) < key.min || std::ssize(value) > key.max ||
      value.find('\0') != value.npos) {
    return Invalid(key.name, value, fmt::format("must be {} to {} bytes", key.min, key.max));
  }
  if (key.rule != nullptr) {
    if (const auto remedy = key.rule(value); remedy.has_value()) {
      return Invalid(key.name, value, *remedy);
    }
  }
  member = value;
  return absl::OkStatus();
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

absl::Status SetFromText(const ConfigKey& key, std::string_view text, Config& config) {
  const ConfigMember member = key.member(config);
  if (auto* const* value = std::get_if<std::string*>(&member)) return SetText(key, text, **value);
  if (auto* const* value = std::get_if<bool*>(&member)) {
    if (text != "true" && text != "false") return Invalid(key.name, text, "must be true or false");
    **value = text == "true";
    return absl::OkStatus();
  }
  const std::optional<int64_t> number = ParseInteger(text);
  if (!number.has_value()) {
    return Invalid(key.name, text,
                   fmt::format("must be a whole number, {} to {}", key.min, key.max));
  }
  return SetInteger(key, *number, *std::get<int64_t*>(member));
}

absl::Status AddEventType(std::string_view name, int64_t weight,
                          std::map<std::string, int64_t>& types) {
  if (name.empty() || name.size() > kEventTypeBytesMax || !IsName(name, "_")) {
    return Invalid(
        kEventTypes, name,
        fmt::format("a type's name must be 1 to {} of a-z, 0-9 and _", kEventTypeBytesMax));
  }
  if (weight < -kWeightMax || weight > kWeightMax) {
    return Invalid(fmt::format("{}.{}", kEventTypes, name), std::to_string(weight),
                   fmt::format("must be -{0} to {0}", kWeightMax));
  }
  types[std::string(name)] = weight;
  if (types.size() > kEventTypesMax) {
    return Invalid(kEventTypes, name, fmt::format("at most {} types", kEventTypesMax));
  }
  return absl::OkStatus();
}

// "purchase=1,return=-1"
absl::Status SetEventTypes(std::string_view text, Config& config) {
  std::map<std::string, int64_t> types;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view pair = text.substr(begin, end - begin);
    const size_t equals = std::min(pair.find('='), pair.size());
    const std::optional<int64_t> weight =
        equals < pair.size() ? ParseInteger(pair.substr(equals + 1)) : std::nullopt;
    if (!weight.has_value()) {
      return Invalid(kEventTypes, pair, "must be name=weight, e.g. \"purchase=1,return=-1\"");
    }
    if (absl::Status s = AddEventType(pair.substr(0, equals), *weight, types); !s.ok()) return s;
    begin = end + 1;
  }
  config.event_types = std::move(types);
  return absl::OkStatus();
}

// What stands there, for a message.
std::string ShownNode(const toml::node& node) {
  std::ostringstream out;
  node.visit([&out](const auto& value) { out << value; });
  return out.str();
}

absl::Status OtherType(std::string_view key, const toml::node& node, std::string_view remedy) {
  const bool is_quoted = node.is_string() && remedy.find("quotes") == std::string_view::npos;
  return absl::InvalidArgumentError(fmt::format("{} is {}: {}{}", key, ShownNode(node), remedy,
                                                is_quoted ? ", without quotes" : ""));
}

absl::Status SetFromToml(const ConfigKey& key, const toml::node& node, Config& config) {
  const ConfigMember member = key.member(config);
  if (auto* const* value = std::get_if<std::string*>(&member)) {
    const auto* text = node.as_string();
    if (text == nullptr) return OtherType(key.name, node, "must be a text in quotes");
    return SetText(key, text->get(), **value);
  }
  if (auto* const* value = std::get_if<bool*>(&member)) {
    const auto* flag = node.as_boolean();
    if (flag == nullptr) return OtherType(key.name, node, "must be true or false");
    **value = flag->get();
    return absl::OkStatus();
  }
  const auto* number = node.as_integer();
  if (number == nullptr) {
    return OtherType(key.name, node,
                     fmt::format("must be a whole number, {} to {}", key.min, key.max));
  }
  return SetInteger(key, number->get(), *std::get<int64_t*>(member));
}

absl::Status SetEventTypesFromToml(const toml::table& table, Config& config) {
  std::map<std::string, int64_t> types;
  for (const auto& [name, node] : table) {
    const auto* weight = node.as_integer();
    if (weight == nullptr) {
      return OtherType(fmt::format("{}.{}", kEventTypes, QuoteValue(name.str())), node,
                       "must be a whole number");
    }
    if (absl::Status s = AddEventType(name.str(), weight->get(), types); !s.ok()) return s;
  }
  if (types.empty()) return Invalid(kEventTypes, "", "must name at least one type");
  config.event_types = std::move(types);
  return absl::OkStatus();
}

absl::Status ApplySection(std::string_view section, const toml::table& table, Config& config) {
  if (section == kEventTypes) return SetEventTypesFromToml(table, config);
  for (const auto& [name, node] : table) {
    const std::string full = fmt::format("{}.{}", section, name.str());
    const ConfigKey* const key = FindConfigKey(full);
    if (key == nullptr) return UnknownKey(full);
    if (absl::Status s = SetFromToml(*key, node, config); !s.ok()) return s;
  }
  return absl::OkStatus();
}

// A value where the file has sections.
absl::Status NoTable(std::string_view name, const toml::node& node) {
  const bool is_section =
      name == kEventTypes || std::ranges::any_of(ConfigKeys(), [&](const auto& key) {
        return SectionOf(key.name) == name;
      });
  if (!is_section) return UnknownKey(name);
  return absl::InvalidArgumentError(
      fmt::format("{} is {}: must be a section, [{}] with {} below it", name, ShownNode(node), name,
                  name == kEventTypes ? "lines such as purchase = 1" : "its keys"));
}

absl::Status ApplyTable(const toml::table& table, Config& config) {
  for (const auto& [section, node] : table) {
    const auto* const keys = node.as_table();
    if (keys == nullptr) return NoTable(section.str(), node);
    if (absl::Status s = ApplySection(section.str(), *keys, config); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Prefixed(std::string_view origin, const absl::Status& status) {
  return absl::Status(status.code(), fmt::format("{}: {}", origin, std::string(status.message())));
}

// Kubernetes gives every container the addresses of all services of its namespace, and a service
// may have any name: of "groundswell-log-shipper" comes GROUNDSWELL_LOG_SHIPPER_SERVICE_HOST.
bool IsKubernetes(std::string_view variable) {
  const auto drop_end = [&variable](std::string_view end) {
    if (!variable.ends_with(end)) return false;
    variable.remove_suffix(end.size());
    return true;
  };
  if (variable.ends_with("_SERVICE_HOST") || variable.ends_with("_PORT")) return true;
  // A named port of a service: letters, digits and underscores until the end.
  constexpr std::string_view kNamedPort = "_SERVICE_PORT_";
  const size_t named = variable.rfind(kNamedPort, variable.size() - 1);
  if (named != variable.npos && named + kNamedPort.size() < variable.size()) {
    const std::string_view name = variable.substr(named + kNamedPort.size());
    if (name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == name.npos) return true;
  }
  // PORT_7102_TCP_ADDR
  static_cast<void>(drop_end("_PROTO") || drop_end("_ADDR"));
  if (!drop_end("_TCP") && !drop_end("_UDP") && !drop_end("_SCTP")) return false;
  const size_t digits = variable.find_last_not_of("0123456789") + 1;
  return digits < variable.size() && variable.substr(0, digits).ends_with("_PORT_");
}

bool IsOfKnownSection(std::string_view variable) {
  return std::ranges::any_of(ConfigKeys(), [variable](const ConfigKey& key) {
    return variable.starts_with(VariableOf(SectionOf(key.name)) + "_");
  });
}

std::string TomlValue(const ConfigKey& key, Config& config) {
  std::ostringstream out;
  std::visit([&out](auto* member) { out << toml::value(*member); }, key.member(config));
  return out.str();
}

std::string RangeOf(const ConfigKey& key, Config& config) {
  if (!std::holds_alternative<int64_t*>(key.member(config))) return "";
  return fmt::format("{} to {}", key.min, key.max);
}

absl::StatusOr<std::string> ReadConfigFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(
        fmt::format("--config {}: cannot be read; give a TOML file", QuoteValue(path)));
  }
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), std::ssize(text));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad()) return Invalid("--config", path, "cannot be read; is it a directory?");
  if (text.size() > kFileBytesMax) {
    return Invalid("--config", path, "is larger than 1 MiB; is it the right file?");
  }
  return text;
}

}  // namespace

struct ConfigFlags::Given {
  std::string file;
  std::map<std::string, std::string>
      values;  // by key, every key; the command knows which were given
};

ConfigFlags::ConfigFlags(CLI::App& command) : given_(std::make_unique<Given>()), command_(command) {
  command.add_option("--config", given_->file, "TOML file with the settings below")
      ->type_name("FILE");
  Config defaults;
  for (const ConfigKey& key : ConfigKeys()) {
    command
        .add_option("--" + std::string(key.name), given_->values[std::string(key.name)],
                    fmt::format("{} Default: {}", key.help, TomlValue(key, defaults)))
        ->type_name(key.unit.empty() ? "VALUE" : std::string(key.unit))
        ->group("Settings");
  }
  command
      .add_option("--" + std::string(kEventTypes), given_->values[std::string(kEventTypes)],
                  fmt::format("{} E.g. purchase=1,return=-1", kEventTypesHelp))
      ->group("Settings");
}

ConfigFlags::~ConfigFlags() = default;

absl::StatusOr<Config> ConfigFlags::Resolve(
    const std::map<std::string, std::string>& environment) const {
  Config config;
  if (command_.count("--config") > 0) {
    const absl::StatusOr<std::string> text = ReadConfigFile(given_->file);
    if (!text.ok()) return text.status();
    if (absl::Status s = ApplyToml(*text, given_->file, config); !s.ok()) return s;
  }
  if (absl::Status s = ApplyEnvironment(environment, config); !s.ok()) return s;
  for (const auto& [key, value] : given_->values) {
    if (command_.count("--" + key) == 0) continue;
    if (absl::Status s = SetKey(key, value, config); !s.ok()) return Prefixed("flags", s);
  }
  return config;
}

absl::Status ApplyToml(std::string_view toml, std::string_view origin, Config& config) {
  Config changed = config;
  try {
    const toml::table table = toml::parse(toml, origin);
    if (absl::Status s = ApplyTable(table, changed); !s.ok()) return Prefixed(origin, s);
  } catch (const toml::parse_error& e) {
    return absl::InvalidArgumentError(
        fmt::format("{}: line {}: {}", origin, e.source().begin.line, e.description()));
  }
  config = std::move(changed);
  return absl::OkStatus();
}

absl::Status ApplyEnvironment(const std::map<std::string, std::string>& environment,
                              Config& config) {
  Config changed = config;
  std::map<std::string, std::string> key_of_variable = {
      {VariableOf(kEventTypes), std::string(kEventTypes)}};
  for (const ConfigKey& key : ConfigKeys()) key_of_variable[VariableOf(key.name)] = key.name;
  for (const auto& [variable, value] : environment) {
    const auto key = key_of_variable.find(variable);
    if (key == key_of_variable.end()) {
      if (!IsOfKnownSection(variable) || IsKubernetes(variable)) continue;
      std::string guess = variable.substr(kEnvironmentPrefix.size());
      std::ranges::transform(guess, guess.begin(), [](unsigned char c) { return std::tolower(c); });
      return absl::InvalidArgumentError(
          fmt::format("environment: {} is not a setting; did you mean {}?", QuoteValue(variable),
                      VariableOf(NearestKey(guess))));
    }
    if (absl::Status s = SetKey(key->second, value, changed); !s.ok()) return Prefixed(variable, s);
  }
  config = std::move(changed);
  return absl::OkStatus();
}

std::map<std::string, std::string> CurrentEnvironment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == text.npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

absl::Status SetKey(std::string_view key, std::string_view value, Config& config) {
  if (key == kEventTypes) return SetEventTypes(value, config);
  const ConfigKey* const found = FindConfigKey(key);
  return found == nullptr ? UnknownKey(key) : SetFromText(*found, value, config);
}

absl::Status RequireDataDir(const Config& config) {
  if (!config.server.data_dir.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "server.data_dir is not set: give --server.data_dir=DIR, GROUNDSWELL_SERVER_DATA_DIR, or "
      "data_dir under [server] in the file of --config");
}

std::string NearestKey(std::string_view key) {
  // Long texts are no misspelt keys, and the distance takes time in their length.
  const std::string_view text = key.substr(0, 64);
  std::string_view nearest = kEventTypes;
  size_t least = EditDistance(text, kEventTypes);
  for (const ConfigKey& candidate : ConfigKeys()) {
    const std::string_view own = candidate.name.substr(candidate.name.find('.') + 1);
    const size_t distance = text == own ? 0 : EditDistance(text, candidate.name);
    if (distance < least) {
      least = distance;
      nearest = candidate.name;
    }
  }
  return std::string(nearest);
}

std::string EffectiveToml(const Config& config) {
  Config copy = config;
  std::string text;
  std::string_view section;
  for (const ConfigKey& key : ConfigKeys()) {
    if (SectionOf(key.name) != section) {
      section = SectionOf(key.name);
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    const std::string range = RangeOf(key, copy);
    text += fmt::format("# {}{}{}{}\n{} = {}\n", key.help,
                        range.empty() ? "" : fmt::format(" Range: {}", range),
                        range.empty() || key.unit.empty() ? "" : " ", range.empty() ? "" : key.unit,
                        key.name.substr(section.size() + 1), TomlValue(key, copy));
  }
  text += fmt::format("\n[{}]\n# {}\n", kEventTypes, kEventTypesHelp);
  for (const auto& [name, weight] : config.event_types) {
    text += fmt::format("{} = {}\n", name, weight);
  }
  return text;
}

std::string DocsTable() {
  Config defaults;
  std::string text =
      "| Key | Default | Unit | Range | Meaning |\n| --- | --- | --- | --- | --- |\n";
  for (const ConfigKey& key : ConfigKeys()) {
    text += fmt::format("| `{}` | `{}` | {} | {} | {} |\n", key.name, TomlValue(key, defaults),
                        key.unit, RangeOf(key, defaults), key.help);
  }
  std::string types;
  for (const auto& [name, weight] : defaults.event_types) {
    types += fmt::format("{}`{} = {}`", types.empty() ? "" : ", ", name, weight);
  }
  text += fmt::format("| `[{}]` | {} | weight | -{} to {} | {} |\n", kEventTypes, types, kWeightMax,
                      kWeightMax, kEventTypesHelp);
  return text;
}

}  // namespace groundswell
