#include "server/config.h"

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

#include "server/status_details.h"

namespace groundswell {
namespace {

constexpr std::string_view kEnvironmentPrefix = "GROUNDSWELL_";
constexpr std::string_view kEventTypes = "event_types";
constexpr std::string_view kEventTypesHelp =
    "Types of interactions and the integer weight that one of each adds to the graph. Setting any "
    "replaces all.";
constexpr size_t kEventTypesMax = 32;
constexpr size_t kEventTypeBytesMax = 32;
constexpr int64_t kWeightMax = 1'000'000;
constexpr size_t kFileBytesMax = 1 << 20;

using Member = std::variant<std::string*, int64_t*, bool*>;

// Describes what would be right, or nothing when `value` is.
using TextRule = std::optional<std::string> (*)(std::string_view value);

struct Key {
  std::string_view name;  // "section.key"
  Member (*member)(Config&);
  std::string_view unit;
  int64_t min;  // of integers; of texts: bytes
  int64_t max;
  std::string_view help;
  TextRule rule = nullptr;
};

std::optional<std::string> AddressRule(std::string_view value) {
  const size_t colon = value.rfind(':');
  int port = -1;
  if (colon != std::string_view::npos && colon > 0) {
    const std::string_view digits = value.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size()) port = -1;
  }
  if (port >= 0 && port <= 65'535) return std::nullopt;
  return "must be host:port with a port of 0 to 65535, e.g. \"127.0.0.1:7100\"";
}

bool IsName(std::string_view value, std::string_view also) {
  return std::ranges::all_of(value, [also](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || also.find(c) != also.npos;
  });
}

std::optional<std::string> NamespaceRule(std::string_view value) {
  if (IsName(value, "_-")) return std::nullopt;
  return "may hold a-z, 0-9, _ and - only";
}

std::optional<std::string> LevelRule(std::string_view value) {
  constexpr std::array<std::string_view, 6> kLevels = {"trace", "debug", "info",
                                                       "warn",  "error", "off"};
  if (std::ranges::find(kLevels, value) != kLevels.end()) return std::nullopt;
  return "must be one of trace, debug, info, warn, error, off";
}

std::optional<std::string> DurabilityRule(std::string_view value) {
  if (value == "sync" || value == "flush") return std::nullopt;
  return "must be sync or flush";
}

#define GROUNDSWELL_MEMBER(path) [](Config& c) -> Member { return &c.path; }
constexpr Key kKeys[] = {
    {"server.grpc_address", GROUNDSWELL_MEMBER(server.grpc_address), "host:port", 1, 255,
     "Where the gRPC services listen. Port 0 takes a free one.", AddressRule},
    {"server.http_address", GROUNDSWELL_MEMBER(server.http_address), "host:port", 1, 255,
     "Where /metrics, /healthz and /readyz listen. Port 0 takes a free one.", AddressRule},
    {"server.namespace", GROUNDSWELL_MEMBER(server.name_space), "", 1, 64,
     "The tenant that this server serves.", NamespaceRule},
    {"server.data_dir", GROUNDSWELL_MEMBER(server.data_dir), "", 0, 4'096,
     "Directory of the database that `import` made. Required."},
    {"server.compute_threads", GROUNDSWELL_MEMBER(server.compute_threads), "threads", 0, 1'024,
     "Threads that answer requests; 0: one per core."},
    {"server.queue_max", GROUNDSWELL_MEMBER(server.queue_max), "requests", 1, 1'000'000,
     "Requests that may wait for a compute thread; further ones are refused."},
    {"server.drain_s", GROUNDSWELL_MEMBER(server.drain_s), "s", 0, 3'600,
     "How long calls in progress may take after SIGTERM."},
    {"server.reflection", GROUNDSWELL_MEMBER(server.reflection), "", 0, 1,
     "Whether the server describes its API to clients that ask (gRPC reflection)."},
    {"server.message_bytes_max", GROUNDSWELL_MEMBER(server.message_bytes_max), "bytes", 1'024,
     int64_t{1} << 30, "Largest message accepted."},
    {"request.default_deadline_ms", GROUNDSWELL_MEMBER(request.default_deadline_ms), "ms", 1,
     600'000, "Deadline of calls that bring none."},
    {"request.consistency_wait_ms", GROUNDSWELL_MEMBER(request.consistency_wait_ms), "ms", 0,
     600'000, "How long an answer may wait for the interaction of its consistency token."},
    {"request.rank_reserve_us", GROUNDSWELL_MEMBER(request.rank_reserve_us), "us", 0, 60'000'000,
     "Time that must remain before the deadline to begin a stage or a block of candidates."},
    {"retrieval.candidates", GROUNDSWELL_MEMBER(retrieval.candidates), "items", 1, 10'000,
     "Candidates of all sources together that are ranked per request, at most."},
    {"retrieval.embedding", GROUNDSWELL_MEMBER(retrieval.embedding), "items", 0, 10'000,
     "Proposed per request: items nearest to the user's vector. 0: none."},
    {"retrieval.embedding_weight", GROUNDSWELL_MEMBER(retrieval.embedding_weight), "%", 1, 10'000,
     "Weight of its places where the sources' lists are merged."},
    {"retrieval.random_walk", GROUNDSWELL_MEMBER(retrieval.random_walk), "items", 0, 10'000,
     "Proposed per request: what random walks from the user's newest items meet."},
    {"retrieval.random_walk_weight", GROUNDSWELL_MEMBER(retrieval.random_walk_weight), "%", 1,
     10'000, "Weight of its places where the sources' lists are merged."},
    {"retrieval.co_occurrence", GROUNDSWELL_MEMBER(retrieval.co_occurrence), "items", 0, 10'000,
     "Proposed per request: what those who took the user's newest items took next."},
    {"retrieval.co_occurrence_weight", GROUNDSWELL_MEMBER(retrieval.co_occurrence_weight), "%", 1,
     10'000, "Weight of its places where the sources' lists are merged."},
    {"retrieval.similar_items", GROUNDSWELL_MEMBER(retrieval.similar_items), "items", 0, 10'000,
     "Proposed per request: items nearest to the user's three newest items."},
    {"retrieval.similar_items_weight", GROUNDSWELL_MEMBER(retrieval.similar_items_weight), "%", 1,
     10'000, "Weight of its places where the sources' lists are merged."},
    {"retrieval.trending", GROUNDSWELL_MEMBER(retrieval.trending), "items", 0, 10'000,
     "Proposed per request: what most users took of late."},
    {"retrieval.trending_weight", GROUNDSWELL_MEMBER(retrieval.trending_weight), "%", 1, 10'000,
     "Weight of its places where the sources' lists are merged."},
    {"retrieval.macro_node", GROUNDSWELL_MEMBER(retrieval.macro_node), "items", 0, 10'000,
     "Proposed per request: what most users of the user's macro node took of late."},
    {"retrieval.macro_node_weight", GROUNDSWELL_MEMBER(retrieval.macro_node_weight), "%", 1, 10'000,
     "Weight of its places where the sources' lists are merged."},
    {"retrieval.popular", GROUNDSWELL_MEMBER(retrieval.popular), "items", 0, 10'000,
     "Proposed per request: the items with the most interactions."},
    {"retrieval.popular_weight", GROUNDSWELL_MEMBER(retrieval.popular_weight), "%", 1, 10'000,
     "Weight of its places where the sources' lists are merged."},
    {"retrieval.trending_half_life_s", GROUNDSWELL_MEMBER(retrieval.trending_half_life_s), "s", 1,
     1'000'000'000, "Event time in which a user counts half as much for what is trending."},
    {"retrieval.flat_max_items", GROUNDSWELL_MEMBER(retrieval.flat_max_items), "items", 0,
     1'000'000'000, "Up to this size of the catalogue the search is exact."},
    {"retrieval.factory", GROUNDSWELL_MEMBER(retrieval.factory), "", 1, 255,
     "Index above that size, in FAISS's factory language, e.g. \"HNSW32\"; auto: by the number of "
     "items (docs/retrieval.md)."},
    {"retrieval.nprobe", GROUNDSWELL_MEMBER(retrieval.nprobe), "lists", 0, 1'000'000,
     "Lists that an IVF index visits per search; 0: by the number of items."},
    {"retrieval.ef_search", GROUNDSWELL_MEMBER(retrieval.ef_search), "items", 1, 1'000'000,
     "Candidates that an HNSW index holds per search; at least as many as are asked for."},
    {"retrieval.rescore_factor", GROUNDSWELL_MEMBER(retrieval.rescore_factor), "", 1, 100,
     "Times more candidates that an index which compresses vectors is asked for; the exact vectors "
     "choose among them."},
    {"retrieval.changes_max", GROUNDSWELL_MEMBER(retrieval.changes_max), "items", 1, 1'000'000,
     "Items with a new or changed vector from which on the index is built anew, in the background. "
     "Until then every search scans them."},
    {"retrieval.popularity_refresh_ms", GROUNDSWELL_MEMBER(retrieval.popularity_refresh_ms), "ms",
     10, 3'600'000, "How often the order of popularity is renewed."},
    {"walk.steps", GROUNDSWELL_MEMBER(walk.steps), "steps", 1, 1'000'000,
     "Length of all walks of a request together, each step from an item over a user to an item."},
    {"walk.starts_max", GROUNDSWELL_MEMBER(walk.starts_max), "items", 1, 1'000,
     "The user's newest items, from which walks start."},
    {"walk.half_life_s", GROUNDSWELL_MEMBER(walk.half_life_s), "s", 1, 3'153'600'000,
     "A start that is so much older than the user's newest item counts half."},
    {"walk.recency_bias", GROUNDSWELL_MEMBER(walk.recency_bias), "", 1, 8,
     "How much a step prefers new interactions; 1: not at all."},
    {"walk.restart_percent", GROUNDSWELL_MEMBER(walk.restart_percent), "%", 1, 100,
     "Chance that a walk begins again after a step."},
    {"walk.goal_items", GROUNDSWELL_MEMBER(walk.goal_items), "items", 0, 1'000'000,
     "Walks end once more items than this have walk.goal_visits visits; 0: they never end early."},
    {"walk.goal_visits", GROUNDSWELL_MEMBER(walk.goal_visits), "visits", 1, 1'000, "See there."},
    {"ranking.item_cache_mb", GROUNDSWELL_MEMBER(ranking.item_cache_mb), "MiB", 0, 1'048'576,
     "What a ranker made of an item alone is kept until the item's features change; each ranker, "
     "at "
     "most."},
    {"ranking.retrieval_weight", GROUNDSWELL_MEMBER(ranking.retrieval_weight), "%", 0, 10'000,
     "Weight of an item's place in the order of retrieval beside its place in the ranker's order, "
     "which weighs 100. 0: the ranker decides alone."},
    {"paging.lists_max", GROUNDSWELL_MEMBER(paging.lists_max), "lists", 0, 10'000'000,
     "Ranked lists kept for further pages; the one used longest ago makes room."},
    {"paging.ttl_s", GROUNDSWELL_MEMBER(paging.ttl_s), "s", 1, 86'400,
     "How long a list is kept after it was last used."},
    {"paging.items_max", GROUNDSWELL_MEMBER(paging.items_max), "items", 1, 10'000,
     "Longest list; all of its pages together hold no more."},
    {"ingest.stream_inflight_max", GROUNDSWELL_MEMBER(ingest.stream_inflight_max), "interactions",
     1'000, 1'000'000, "Interactions of one stream that may wait for the disk."},
    {"ingest.queue_max", GROUNDSWELL_MEMBER(ingest.queue_max), "interactions", 1'000, 10'000'000,
     "Interactions of all callers that may wait for the disk; further ones are refused."},
    {"log.group_max", GROUNDSWELL_MEMBER(log.group_max), "interactions", 1, 100'000,
     "Interactions written with one sync."},
    {"log.event_ids_max", GROUNDSWELL_MEMBER(log.event_ids_max), "interactions", 1, 1'000'000'000,
     "The newest interactions among which an event id counts once; at least log.group_max."},
    {"log.producers_max", GROUNDSWELL_MEMBER(log.producers_max), "producers", 1, 1'000'000,
     "Producers whose sequence is known. One more replaces one silent for log.event_ids_max "
     "interactions, or is refused."},
    {"log.durability", GROUNDSWELL_MEMBER(log.durability), "", 1, 16,
     "What an acknowledgement means. sync: on disk, survives the loss of power. flush: with the "
     "operating system, survives the end of the process.",
     DurabilityRule},
    {"log.retention_s", GROUNDSWELL_MEMBER(log.retention_s), "s", 0, 3'153'600'000,
     "How old an interaction may get in the log; 0: no limit. The log always reaches back to the "
     "newest checkpoint and over log.event_ids_max interactions."},
    {"log.retention_mb", GROUNDSWELL_MEMBER(log.retention_mb), "MiB", 0, 1'000'000'000,
     "About how large the log may get; 0: no limit. Likewise."},
    {"checkpoint.interval_s", GROUNDSWELL_MEMBER(checkpoint.interval_s), "s", 0, 31'536'000,
     "How often the item side of the graph is written, if it changed; 0: only when asked for."},
    {"graph.neighbors_max", GROUNDSWELL_MEMBER(graph.neighbors_max), "edges", 8, 16'384,
     "Newest neighbours of a user or an item that walks and co-occurrence see."},
    {"graph.new_items_max", GROUNDSWELL_MEMBER(graph.new_items_max), "items", 0, 100'000'000,
     "Items that may be created behind those of the snapshot, until the next start."},
    {"apply.batch_max", GROUNDSWELL_MEMBER(apply.batch_max), "interactions", 1, 100'000,
     "Interactions folded into the graph in one atomic batch."},
    {"apply.niceness", GROUNDSWELL_MEMBER(apply.niceness), "", 0, 19,
     "How far the folding of interactions stands back behind acknowledgements and requests where "
     "the "
     "cores do not suffice for all: 0, not at all; 19, as far as possible (see nice(2))."},
    {"apply.user_cache_mb", GROUNDSWELL_MEMBER(apply.user_cache_mb), "MiB", 0, 1'048'576,
     "Users kept in memory between batches, so that folding need not read them."},
    {"storage.block_cache_mb", GROUNDSWELL_MEMBER(storage.block_cache_mb), "MiB", 1, 1'048'576,
     "RocksDB's block cache."},
    {"logging.level", GROUNDSWELL_MEMBER(logging.level), "", 1, 16,
     "Least severe messages written: trace, debug, info, warn, error or off.", LevelRule},
};
#undef GROUNDSWELL_MEMBER

const Key* FindKey(std::string_view name) {
  const auto* const found = std::ranges::find(kKeys, name, &Key::name);
  return found == std::end(kKeys) ? nullptr : found;
}

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

absl::Status SetInteger(const Key& key, int64_t value, int64_t& member) {
  if (value < key.min || value > key.max) {
    return Invalid(key.name, std::to_string(value),
                   fmt::format("must be {} to {}{}{}", key.min, key.max,
                               key.unit.empty() ? "" : " ", key.unit));
  }
  member = value;
  return absl::OkStatus();
}

absl::Status SetText(const Key& key, std::string_view value, std::string& member) {
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

absl::Status SetFromText(const Key& key, std::string_view text, Config& config) {
  const Member member = key.member(config);
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
  if (weight == 0 || weight < -kWeightMax || weight > kWeightMax) {
    return Invalid(fmt::format("{}.{}", kEventTypes, name), std::to_string(weight),
                   fmt::format("must be -{0} to {0}, not 0", kWeightMax));
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

absl::Status SetFromToml(const Key& key, const toml::node& node, Config& config) {
  const Member member = key.member(config);
  if (auto* const* value = std::get_if<std::string*>(&member)) {
    const auto* text = node.as_string();
    if (text == nullptr) return Invalid(key.name, "another type", "must be a text in quotes");
    return SetText(key, text->get(), **value);
  }
  if (auto* const* value = std::get_if<bool*>(&member)) {
    const auto* flag = node.as_boolean();
    if (flag == nullptr) return Invalid(key.name, "another type", "must be true or false");
    **value = flag->get();
    return absl::OkStatus();
  }
  const auto* number = node.as_integer();
  if (number == nullptr) {
    return Invalid(key.name, "another type",
                   fmt::format("must be a whole number, {} to {}", key.min, key.max));
  }
  return SetInteger(key, number->get(), *std::get<int64_t*>(member));
}

absl::Status SetEventTypesFromToml(const toml::table& table, Config& config) {
  std::map<std::string, int64_t> types;
  for (const auto& [name, node] : table) {
    const auto* weight = node.as_integer();
    if (weight == nullptr) {
      return Invalid(fmt::format("{}.{}", kEventTypes, QuoteValue(name.str())), "another type",
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
    const Key* const key = FindKey(full);
    if (key == nullptr) return UnknownKey(full);
    if (absl::Status s = SetFromToml(*key, node, config); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status ApplyTable(const toml::table& table, Config& config) {
  for (const auto& [section, node] : table) {
    const auto* const keys = node.as_table();
    if (keys == nullptr) return UnknownKey(section.str());
    if (absl::Status s = ApplySection(section.str(), *keys, config); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Prefixed(std::string_view origin, const absl::Status& status) {
  return absl::Status(status.code(), fmt::format("{}: {}", origin, std::string(status.message())));
}

// Kubernetes gives every container the addresses of services; one named "groundswell-server" looks
// like the section "server".
bool IsKubernetes(std::string_view variable, std::string_view section_prefix) {
  const std::string_view rest = variable.substr(section_prefix.size());
  return rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_");
}

bool IsOfKnownSection(std::string_view variable) {
  return std::ranges::any_of(kKeys, [variable](const Key& key) {
    const std::string prefix = VariableOf(SectionOf(key.name)) + "_";
    return variable.starts_with(prefix) && !IsKubernetes(variable, prefix);
  });
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

std::string TomlValue(const Key& key, Config& config) {
  std::ostringstream out;
  std::visit([&out](auto* member) { out << toml::value(*member); }, key.member(config));
  return out.str();
}

std::string RangeOf(const Key& key, Config& config) {
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
  for (const Key& key : kKeys) {
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
  for (const Key& key : kKeys) key_of_variable[VariableOf(key.name)] = key.name;
  for (const auto& [variable, value] : environment) {
    const auto key = key_of_variable.find(variable);
    if (key == key_of_variable.end()) {
      if (!IsOfKnownSection(variable)) continue;
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
  const Key* const found = FindKey(key);
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
  for (const Key& candidate : kKeys) {
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
  for (const Key& key : kKeys) {
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
  for (const Key& key : kKeys) {
    text += fmt::format("| `{}` | `{}` | {} | {} | {} |\n", key.name, TomlValue(key, defaults),
                        key.unit, RangeOf(key, defaults), key.help);
  }
  std::string types;
  for (const auto& [name, weight] : defaults.event_types) {
    types += fmt::format("{}`{} = {}`", types.empty() ? "" : ", ", name, weight);
  }
  text += fmt::format("| `[{}]` | {} | weight | -{} to {}, not 0 | {} |\n", kEventTypes, types,
                      kWeightMax, kWeightMax, kEventTypesHelp);
  return text;
}

}  // namespace groundswell
