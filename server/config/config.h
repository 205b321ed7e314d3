// Config: everything about the server that can be set.
//
// One table (config_keys) gives every key its member, unit, range and meaning; the file, the flags,
// the environment, the effective configuration and docs/configuration.md all come from it.
// Precedence: flag `--section.key=value`, environment GROUNDSWELL_SECTION_KEY, file (TOML),
// default.
#ifndef GROUNDSWELL_SERVER_CONFIG_CONFIG_H_
#define GROUNDSWELL_SERVER_CONFIG_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>

namespace groundswell {

// A value-initialised Config holds the defaults. Units and ranges: docs/configuration.md.
struct Config {
  struct Server {
    std::string grpc_address = "127.0.0.1:7100";
    std::string http_address = "127.0.0.1:7101";
    int64_t http_connections_max = 64;
    int64_t http_transfer_s = 5;
    int64_t http_idle_s = 75;
    std::string connect_address;  // empty: no Connect
    std::string connect_origins;
    int64_t connect_connections_max = 1'024;
    int64_t connect_transfer_s = 30;
    int64_t connect_idle_s = 75;
    bool console = true;
    std::string admin_address;           // empty: grpc_address
    std::string name_space = "default";  // key: server.namespace
    std::string data_dir;                // empty: not set, see config_reading.h
    int64_t compute_threads = 0;         // 0: one per core
    int64_t queue_max = 256;
    int64_t fewer_candidates_percent = 10;  // of queue_max; 0: never
    int64_t no_ranking_percent = 40;        // of queue_max; 0: never
    int64_t drain_s = 10;
    bool reflection = true;
    int64_t message_bytes_max = 4 << 20;
    int64_t ping_interval_min_ms = 5'000;
    int64_t connection_calls_max = 1'000;
    int64_t idle_calls_max = 1'000;
    int64_t receive_mb = 256;
    int64_t grpc_idle_s = 300;
  } server;
  struct Tls {
    std::string certificate_file;  // empty: no TLS
    std::string key_file;
    std::string client_ca_file;  // empty: clients need no certificate
    int64_t reload_s = 10;
  } tls;
  struct Access {
    std::string clients_file;  // empty: everybody may do everything
    int64_t reload_s = 10;
  } access;
  struct Request {
    int64_t default_deadline_ms = 100;
    int64_t consistency_wait_ms = 50;
    int64_t rank_reserve_us = 500;
  } request;
  struct Retrieval {
    int64_t candidates = 600;
    int64_t embedding = 200;
    int64_t random_walk = 100;
    int64_t page_rank = 0;
    int64_t next_items = 100;
    int64_t similar_items = 0;
    int64_t trending = 100;
    int64_t macro_node = 50;
    int64_t popular = 100;
    int64_t history = 100;
    int64_t side_by_side_threads = 4;
    int64_t visit_gap_s = 604'800;
    int64_t flat_max_items = 50'000;
    std::string factory = "auto";
    int64_t nprobe = 0;  // 0: by the number of items
    int64_t ef_search = 500;
    int64_t rescore_factor = 4;
    int64_t changes_max = 8'192;
    int64_t popularity_refresh_ms = 1'000;
  } retrieval;
  struct Encoder {
    std::string user = "auto";
    std::string item = "auto";
  } encoder;
  struct Walk {
    int64_t steps = 1'000;
    int64_t starts_max = 20;
    int64_t half_life_s = 21'600;
    int64_t recency_bias = 4;
    int64_t restart_percent = 50;
    int64_t goal_items = 200;
    int64_t goal_visits = 4;
  } walk;
  struct PageRank {
    int64_t restart_percent = 20;
    int64_t resolution = 30'000;
    int64_t edges_max = 100'000;
  } page_rank;
  struct Blend {
    bool learning = true;
    int64_t quality_window = 2'000;
  } blend;
  struct Ranking {
    int64_t candidates_max = 120;  // 0: all
    int64_t item_cache_mb = 256;
    std::string shares;      // empty: everybody gets the snapshot's default
    std::string experiment;  // divides the users
    std::string shadow;      // empty: none
    int64_t shadow_one_in = 10;
  } ranking;
  struct Diversity {
    int64_t items_max = 200;
  } diversity;
  struct Paging {
    int64_t lists_max = 10'000;
    int64_t ttl_s = 600;
    int64_t items_max = 500;
  } paging;
  struct Ingest {
    int64_t stream_inflight_max = 2'000;
    std::string trained_events = "refuse";
    std::string create_items = "auto";
    int64_t queue_max = 20'000;
    int64_t event_ahead_max_s = 600;
    int64_t clock_ahead_max_s = 2'592'000;
    int64_t clock_jump_max_s = 300;  // 0: by any time
  } ingest;
  struct Log {
    int64_t group_max = 4'000;
    int64_t event_ids_max = 1'000'000;
    int64_t producers_max = 10'000;
    std::string durability = "sync";
    int64_t retention_s = 0;
    int64_t retention_mb = 0;
    std::string kafka_topic;  // empty: the log is this server's own
    std::string kafka_brokers;
    std::string kafka_properties_file;
    int64_t kafka_in_sync_min = 2;
    int64_t kafka_lag_max = 10'000;
  } log;
  struct Checkpoint {
    int64_t interval_s = 300;
  } checkpoint;
  struct Graph {
    int64_t new_items_max = 100'000;
    int64_t neighbors_max = 4'096;
  } graph;
  struct Apply {
    int64_t batch_max = 1'000;
    int64_t niceness = 10;
    int64_t user_cache_mb = 64;
  } apply;
  struct Storage {
    int64_t block_cache_mb = 256;
    int64_t write_stall_s = 30;
    int64_t recovery_max_s = 300;  // 0: for ever
  } storage;
  struct Logging {
    std::string level = "info";
    std::string format = "text";
    int64_t slow_call_ms = 0;  // 0: none is logged
  } logging;
  // The weight of one interaction of each type; 0 hides the item from the user. At most 32. Set as
  // a whole: naming one type replaces the default table.
  std::map<std::string, int64_t> event_types = {
      {"cart", 1}, {"hide", 0}, {"purchase", 1}, {"return", -1}, {"view", 1}};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_CONFIG_CONFIG_H_
