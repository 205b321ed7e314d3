#include "server/config/config_keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <system_error>

#include "server/config/ranker_shares.h"
#include "server/rpc/api_time.h"

namespace groundswell {
namespace {

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

std::optional<std::string> OptionalAddressRule(std::string_view value) {
  return value.empty() ? std::nullopt : AddressRule(value);
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

std::optional<std::string> SharesRule(std::string_view value) {
  const absl::Status parsed = RankerShares::Parse(value, "").status();
  if (parsed.ok()) return std::nullopt;
  return "must be like \"macgnn=90,dot=10\", with percents that sum up to 100";
}

std::optional<std::string> FormatRule(std::string_view value) {
  if (value == "text" || value == "json") return std::nullopt;
  return "must be text or json";
}

std::optional<std::string> TrainedEventsRule(std::string_view value) {
  if (value == "refuse" || value == "count") return std::nullopt;
  return "must be refuse or count";
}

std::optional<std::string> CreateItemsRule(std::string_view value) {
  if (value == "auto" || value == "always" || value == "never") return std::nullopt;
  return "must be auto, always or never";
}

std::optional<std::string> DurabilityRule(std::string_view value) {
  if (value == "sync" || value == "flush") return std::nullopt;
  return "must be sync or flush";
}

#define GROUNDSWELL_MEMBER(path) [](Config& c) -> ConfigMember { return &c.path; }
constexpr ConfigKey kKeys[] = {
    {"server.grpc_address", GROUNDSWELL_MEMBER(server.grpc_address), "host:port", 1, 255,
     "Where the gRPC services listen. Port 0 takes a free one.", AddressRule},
    {"server.http_address", GROUNDSWELL_MEMBER(server.http_address), "host:port", 1, 255,
     "Where /metrics, /healthz and /readyz listen. Port 0 takes a free one.", AddressRule},
    {"server.http_connections_max", GROUNDSWELL_MEMBER(server.http_connections_max), "connections",
     1, 10'000,
     "Connections there at once; for one more, the oldest that has sent no whole request gives "
     "way."},
    {"server.http_transfer_s", GROUNDSWELL_MEMBER(server.http_transfer_s), "s", 1, 3'600,
     "How long a request there may take as a whole, and then its answer, until the peer is cut "
     "off."},
    {"server.http_idle_s", GROUNDSWELL_MEMBER(server.http_idle_s), "s", 1, 86'400,
     "How long a connection there is kept for another request."},
    {"server.connect_address", GROUNDSWELL_MEMBER(server.connect_address), "host:port", 0, 255,
     "Where the services listen for HTTP with JSON or protobuf (docs/http.md); empty: nowhere. "
     "Port "
     "0 takes a free one.",
     OptionalAddressRule},
    {"server.connect_origins", GROUNDSWELL_MEMBER(server.connect_origins), "", 0, 4'096,
     "Origins that browsers may call there from, separated by commas, e.g. https://shop.example; "
     "*: "
     "any."},
    {"server.connect_connections_max", GROUNDSWELL_MEMBER(server.connect_connections_max),
     "connections", 1, 100'000,
     "Connections there at once; for one more, the oldest that has sent no whole request gives "
     "way."},
    {"server.connect_transfer_s", GROUNDSWELL_MEMBER(server.connect_transfer_s), "s", 1, 3'600,
     "How long a request there may take to arrive, and then its answer to be fetched, until the "
     "peer "
     "is cut off."},
    {"server.connect_idle_s", GROUNDSWELL_MEMBER(server.connect_idle_s), "s", 1, 86'400,
     "How long a connection there is kept for another request."},
    {"server.console", GROUNDSWELL_MEMBER(server.console), "", 0, 1,
     "Whether the console, a web page for people, is there at /console (docs/console.md)."},
    {"server.admin_address", GROUNDSWELL_MEMBER(server.admin_address), "host:port", 0, 255,
     "Where the admin service listens; empty: on server.grpc_address.", OptionalAddressRule},
    {"server.namespace", GROUNDSWELL_MEMBER(server.name_space), "", 1, 64,
     "The tenant that this server serves.", NamespaceRule},
    {"server.data_dir", GROUNDSWELL_MEMBER(server.data_dir), "", 0, 4'096,
     "Directory of the database that `import` made, or an empty one to begin without a model. "
     "Required."},
    {"server.compute_threads", GROUNDSWELL_MEMBER(server.compute_threads), "threads", 0, 1'024,
     "Threads that answer requests; 0: one per core."},
    {"server.queue_max", GROUNDSWELL_MEMBER(server.queue_max), "requests", 1, 1'000'000,
     "Requests that may wait for a compute thread; further ones are refused."},
    {"server.fewer_candidates_percent", GROUNDSWELL_MEMBER(server.fewer_candidates_percent), "%", 0,
     100,
     "Requests that wait, in percent of server.queue_max, from which on lists are chosen from a "
     "quarter of the candidates; 0: never."},
    {"server.no_ranking_percent", GROUNDSWELL_MEMBER(server.no_ranking_percent), "%", 0, 100,
     "Likewise, from which on lists are in the order of retrieval; 0: never."},
    {"server.drain_s", GROUNDSWELL_MEMBER(server.drain_s), "s", 0, 3'600,
     "How long calls in progress may take after SIGTERM."},
    {"server.reflection", GROUNDSWELL_MEMBER(server.reflection), "", 0, 1,
     "Whether the server describes its API to clients that ask (gRPC reflection)."},
    {"server.message_bytes_max", GROUNDSWELL_MEMBER(server.message_bytes_max), "bytes", 1'024,
     int64_t{1} << 30, "Largest message accepted; compressed ones are refused."},
    {"server.ping_interval_min_ms", GROUNDSWELL_MEMBER(server.ping_interval_min_ms), "ms", 0,
     3'600'000,
     "Keepalive pings of a silent client that come faster than this, more than twice, end its "
     "connection."},
    {"server.connection_calls_max", GROUNDSWELL_MEMBER(server.connection_calls_max), "calls", 1,
     1'000'000, "Calls of one gRPC connection at once; further ones wait at its client."},
    {"server.idle_calls_max", GROUNDSWELL_MEMBER(server.idle_calls_max), "calls", 1, 100'000,
     "Health watches and reflection streams at once, and no more than half of the descriptors for "
     "connections; beyond it, the oldest of the address that has the most is ended."},
    {"server.receive_mb", GROUNDSWELL_MEMBER(server.receive_mb), "MB", 16, 1'000'000,
     "What the connections of a gRPC address may hold of what they received; beyond it those "
     "without "
     "calls are ended, and then calls."},
    {"server.grpc_idle_s", GROUNDSWELL_MEMBER(server.grpc_idle_s), "s", 1, 86'400,
     "How long a gRPC connection without a call is kept; clients connect again by themselves."},
    {"tls.certificate_file", GROUNDSWELL_MEMBER(tls.certificate_file), "", 0, 4'096,
     "The certificate of the gRPC addresses and of server.connect_address in PEM, with what leads "
     "to its root; empty: no TLS."},
    {"tls.key_file", GROUNDSWELL_MEMBER(tls.key_file), "", 0, 4'096,
     "Its private key in PEM, without a passphrase."},
    {"tls.client_ca_file", GROUNDSWELL_MEMBER(tls.client_ca_file), "", 0, 4'096,
     "Roots in PEM; clients must bring a certificate of one of them. Empty: they need none."},
    {"tls.reload_s", GROUNDSWELL_MEMBER(tls.reload_s), "s", 1, 86'400,
     "How often these files are looked at; new connections use what is there."},
    {"access.clients_file", GROUNDSWELL_MEMBER(access.clients_file), "", 0, 4'096,
     "Who may call what (docs/security.md); empty: everybody may do everything."},
    {"access.reload_s", GROUNDSWELL_MEMBER(access.reload_s), "s", 1, 86'400,
     "How often this file is looked at."},
    {"request.default_deadline_ms", GROUNDSWELL_MEMBER(request.default_deadline_ms), "ms", 1,
     600'000, "Deadline of calls that bring none."},
    {"request.consistency_wait_ms", GROUNDSWELL_MEMBER(request.consistency_wait_ms), "ms", 0,
     600'000, "How long an answer may wait for the interaction of its consistency token."},
    {"request.rank_reserve_us", GROUNDSWELL_MEMBER(request.rank_reserve_us), "us", 0, 60'000'000,
     "Time that must remain before the deadline to begin a stage or a block of candidates."},
    {"retrieval.candidates", GROUNDSWELL_MEMBER(retrieval.candidates), "items", 1, 10'000,
     "Candidates of all sources together that a list is made of, at most."},
    {"retrieval.embedding", GROUNDSWELL_MEMBER(retrieval.embedding), "items", 0, 10'000,
     "Proposed per request: items nearest to the user's vector. 0: none."},
    {"retrieval.random_walk", GROUNDSWELL_MEMBER(retrieval.random_walk), "items", 0, 10'000,
     "Proposed per request: what random walks from the user's newest items meet."},
    {"retrieval.page_rank", GROUNDSWELL_MEMBER(retrieval.page_rank), "items", 0, 10'000,
     "Proposed per request: items of highest PageRank from the user's newest items. 0: none."},
    {"retrieval.next_items", GROUNDSWELL_MEMBER(retrieval.next_items), "items", 0, 10'000,
     "Proposed per request: what users took right after the user's newest items."},
    {"retrieval.similar_items", GROUNDSWELL_MEMBER(retrieval.similar_items), "items", 0, 10'000,
     "Proposed per request: items nearest to the user's three newest items."},
    {"retrieval.trending", GROUNDSWELL_MEMBER(retrieval.trending), "items", 0, 10'000,
     "Proposed per request: what most users took of late."},
    {"retrieval.macro_node", GROUNDSWELL_MEMBER(retrieval.macro_node), "items", 0, 10'000,
     "Proposed per request: what most users of the user's cluster took of late."},
    {"retrieval.popular", GROUNDSWELL_MEMBER(retrieval.popular), "items", 0, 10'000,
     "Proposed per request: the items with the most interactions, the older the less they count."},
    {"retrieval.history", GROUNDSWELL_MEMBER(retrieval.history), "items", 0, 10'000,
     "Proposed per request that lets seen items in: what the user took before."},
    {"retrieval.side_by_side_threads", GROUNDSWELL_MEMBER(retrieval.side_by_side_threads),
     "threads", 0, 4'096,
     "Compute threads from which on a request's sources run side by side, on those that have "
     "nothing "
     "else to do; 0: never."},
    {"retrieval.visit_gap_s", GROUNDSWELL_MEMBER(retrieval.visit_gap_s), "s", 0, 1'000'000'000,
     "A longer pause ends a visit: what a user took behind it is not next to what came before."},
    {"retrieval.flat_max_items", GROUNDSWELL_MEMBER(retrieval.flat_max_items), "items", 0,
     1'000'000'000, "Up to this size of the catalogue the search is exact."},
    {"retrieval.factory", GROUNDSWELL_MEMBER(retrieval.factory), "", 1, 255,
     "Index above that size: of our own, e.g. \"IVF1024,Int8\", or in FAISS's factory language, "
     "e.g. \"HNSW32\"; auto: by the number of items (docs/retrieval.md)."},
    {"retrieval.nprobe", GROUNDSWELL_MEMBER(retrieval.nprobe), "lists", 0, 1'000'000,
     "Lists that an IVF index visits per search; 0: by the number of items."},
    {"retrieval.ef_search", GROUNDSWELL_MEMBER(retrieval.ef_search), "items", 1, 1'000'000,
     "Candidates that an HNSW index holds per search; at least as many as are asked for."},
    {"retrieval.rescore_factor", GROUNDSWELL_MEMBER(retrieval.rescore_factor), "", 1, 100,
     "Times more candidates that an index of FAISS's that compresses vectors is asked for; the "
     "exact vectors choose among them."},
    {"retrieval.changes_max", GROUNDSWELL_MEMBER(retrieval.changes_max), "items", 1, 1'000'000,
     "Items with a new or changed vector from which on the index is built anew, in the background. "
     "Until then every search scans them."},
    {"retrieval.popularity_refresh_ms", GROUNDSWELL_MEMBER(retrieval.popularity_refresh_ms), "ms",
     10, 3'600'000, "How often the order of popularity is renewed."},
    {"encoder.user", GROUNDSWELL_MEMBER(encoder.user), "", 1, 255,
     "The snapshot's encoder that makes users' vectors, by its name; auto: the first that the live "
     "graph can feed; none (docs/encoders.md)."},
    {"encoder.item", GROUNDSWELL_MEMBER(encoder.item), "", 1, 255,
     "Likewise of items that came without a vector."},
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
    {"page_rank.restart_percent", GROUNDSWELL_MEMBER(page_rank.restart_percent), "%", 1, 100,
     "Chance of a restart at every node. Starts and recency bias are those of the walks."},
    {"page_rank.resolution", GROUNDSWELL_MEMBER(page_rank.resolution), "", 100, 100'000'000,
     "A node passes on what it has as long as that is more than 1/resolution per neighbour."},
    {"page_rank.edges_max", GROUNDSWELL_MEMBER(page_rank.edges_max), "edges", 1'000, 1'000'000,
     "Edges that PageRank touches for a request, at most. Memory of a compute thread: up to 70 "
     "bytes each."},
    {"blend.learning", GROUNDSWELL_MEMBER(blend.learning), "", 0, 1,
     "Whether what orders lists learns from the log while it serves; off: it stays as it is."},
    {"blend.quality_window", GROUNDSWELL_MEMBER(blend.quality_window), "interactions", 1, 1'000'000,
     "The newest interactions that were learned from over which the hit rates of lists are taken."},
    {"ranking.candidates_max", GROUNDSWELL_MEMBER(ranking.candidates_max), "items", 0, 10'000,
     "Of a list in the order of the blend, the best by it that the ranker scores, at most; 0: all. "
     "The others are ordered without it."},
    {"ranking.item_cache_mb", GROUNDSWELL_MEMBER(ranking.item_cache_mb), "MiB", 0, 1'048'576,
     "What a ranker made of an item alone is kept until the item's features change; each ranker, "
     "at "
     "most."},
    {"ranking.shares", GROUNDSWELL_MEMBER(ranking.shares), "", 0, 1'000,
     "Rankers of users whose requests name none, in percent of the users: \"macgnn=90,dot=10\"; "
     "empty: the snapshot's first.",
     SharesRule},
    {"ranking.experiment", GROUNDSWELL_MEMBER(ranking.experiment), "", 0, 100,
     "Under another name ranking.shares divides the users anew."},
    {"ranking.shadow", GROUNDSWELL_MEMBER(ranking.shadow), "", 0, 200,
     "Ranker that scores some lists again, unseen, to know how much it disagrees; empty: none."},
    {"ranking.shadow_one_in", GROUNDSWELL_MEMBER(ranking.shadow_one_in), "lists", 1, 1'000'000,
     "One list in so many is scored again; none while requests wait."},
    {"diversity.items_max", GROUNDSWELL_MEMBER(diversity.items_max), "items", 1, 1'000,
     "First items of a list that diversity.strength of a request puts in another order; the work "
     "grows with the square."},
    {"paging.lists_max", GROUNDSWELL_MEMBER(paging.lists_max), "lists", 0, 10'000'000,
     "Ranked lists kept for further pages; the one used longest ago makes room."},
    {"paging.ttl_s", GROUNDSWELL_MEMBER(paging.ttl_s), "s", 1, 86'400,
     "How long a list is kept after it was last used."},
    {"paging.items_max", GROUNDSWELL_MEMBER(paging.items_max), "items", 1, 10'000,
     "Longest list; all of its pages together hold no more."},
    {"ingest.stream_inflight_max", GROUNDSWELL_MEMBER(ingest.stream_inflight_max), "interactions",
     1'000, 1'000'000,
     "Interactions of one stream that may wait for the disk, or for their acknowledgement to be "
     "fetched."},
    {"ingest.trained_events", GROUNDSWELL_MEMBER(ingest.trained_events), "", 1, 8,
     "refuse or count: interactions from the time that the snapshot was trained on, where that was "
     "another log than the server's. Its graph counts them already.",
     TrainedEventsRule},
    {"ingest.create_items", GROUNDSWELL_MEMBER(ingest.create_items), "", 1, 16,
     "Whether an interaction with an item that the catalogue lacks creates it: always, never, or "
     "auto: as long as the server has no snapshot.",
     CreateItemsRule},
    {"ingest.queue_max", GROUNDSWELL_MEMBER(ingest.queue_max), "interactions", 1'000, 10'000'000,
     "Interactions of all callers that may wait for the disk; further ones are refused."},
    {"ingest.event_ahead_max_s", GROUNDSWELL_MEMBER(ingest.event_ahead_max_s), "s", 0,
     kEventAheadMaxS,
     "How far after the server's clock an interaction's time may be; one of later is refused. What "
     "is trending and what the blend learns from go by the newest time that came."},
    {"ingest.clock_ahead_max_s", GROUNDSWELL_MEMBER(ingest.clock_ahead_max_s), "s", 0,
     3'153'600'000,
     "Removals are refused, and the log is not cut by age, while the server's clock is so much "
     "more "
     "after the newest interaction than it ever was when one came: what happens until a removal's "
     "time would be dropped. 0: never."},
    {"ingest.clock_jump_max_s", GROUNDSWELL_MEMBER(ingest.clock_jump_max_s), "s", 0, 86'400,
     "By how much the machine's clock may be set while the server runs, in all and either way. "
     "While it is further off the server is not ready, interactions and removals are refused with "
     "CLOCK_JUMPED, and the log is not cut by age. 0: by any time."},
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
    {"log.kafka_topic", GROUNDSWELL_MEMBER(log.kafka_topic), "", 0, 249,
     "Topic of Apache Kafka by which several servers share one log (docs/scale-out.md); empty: the "
     "log is this server's own."},
    {"log.kafka_brokers", GROUNDSWELL_MEMBER(log.kafka_brokers), "", 0, 4'096,
     "Its brokers, host:port,host:port; empty: bootstrap.servers of log.kafka_properties_file."},
    {"log.kafka_properties_file", GROUNDSWELL_MEMBER(log.kafka_properties_file), "", 0, 4'096,
     "Properties of librdkafka, for TLS and SASL, a key = value a line; empty: none."},
    {"log.kafka_in_sync_min", GROUNDSWELL_MEMBER(log.kafka_in_sync_min), "replicas", 1, 100,
     "The least min.insync.replicas that the topic may have. With 1, what is acknowledged is lost "
     "with one broker."},
    {"log.kafka_lag_max", GROUNDSWELL_MEMBER(log.kafka_lag_max), "requests", 1, 1'000'000'000,
     "A server that is further behind the topic is not ready."},
    {"checkpoint.interval_s", GROUNDSWELL_MEMBER(checkpoint.interval_s), "s", 0, 31'536'000,
     "How often the item side of the graph is written, if it changed; 0: only when asked for."},
    {"graph.neighbors_max", GROUNDSWELL_MEMBER(graph.neighbors_max), "edges", 8, 16'384,
     "Newest neighbours of a user or an item that walks and next items see."},
    {"graph.new_items_max", GROUNDSWELL_MEMBER(graph.new_items_max), "items", 0, 100'000'000,
     "Items that may be created behind those of the snapshot, until the next start."},
    {"apply.batch_max", GROUNDSWELL_MEMBER(apply.batch_max), "interactions", 1, 100'000,
     "Interactions folded into the graph in one atomic batch once four times as many wait; while "
     "fewer do, at most 25."},
    {"apply.niceness", GROUNDSWELL_MEMBER(apply.niceness), "", 0, 19,
     "How far the folding of interactions stands back behind acknowledgements and requests where "
     "the "
     "cores do not suffice for all: 0, not at all; 19, as far as possible (see nice(2))."},
    {"apply.user_cache_mb", GROUNDSWELL_MEMBER(apply.user_cache_mb), "MiB", 0, 1'048'576,
     "Users kept in memory between batches, so that folding need not read them."},
    {"storage.block_cache_mb", GROUNDSWELL_MEMBER(storage.block_cache_mb), "MiB", 1, 1'048'576,
     "RocksDB's block cache."},
    {"storage.write_stall_s", GROUNDSWELL_MEMBER(storage.write_stall_s), "s", 1, 86'400,
     "How long a write to the database may take to come back until the server is not ready."},
    {"storage.recovery_max_s", GROUNDSWELL_MEMBER(storage.recovery_max_s), "s", 0, 86'400,
     "How long a write may take to come back, or the database to recover from a write error on a "
     "disk that takes writes again, until the server ends with status 75, to be started again; 0: "
     "for ever."},
    {"logging.level", GROUNDSWELL_MEMBER(logging.level), "", 1, 16,
     "Least severe messages written: trace, debug, info, warn, error or off.", LevelRule},
    {"logging.format", GROUNDSWELL_MEMBER(logging.format), "", 1, 16,
     "text, for people, or json, one object per line.", FormatRule},
    {"logging.slow_call_ms", GROUNDSWELL_MEMBER(logging.slow_call_ms), "ms", 0, 3'600'000,
     "Calls of the read side that take as long are logged with their stages, at most 10 a second, "
     "and the newest 200 are told by `groundswell slow-calls`; 0: none."},
};
#undef GROUNDSWELL_MEMBER

}  // namespace

bool IsName(std::string_view value, std::string_view also) {
  return std::ranges::all_of(value, [also](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || also.find(c) != also.npos;
  });
}

std::span<const ConfigKey> ConfigKeys() { return kKeys; }

const ConfigKey* FindConfigKey(std::string_view name) {
  const auto* const found = std::ranges::find(kKeys, name, &ConfigKey::name);
  return found == std::end(kKeys) ? nullptr : found;
}

}  // namespace groundswell
