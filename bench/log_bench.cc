// The baseline of durable ingest: the bytes that the log writes for its interactions (a record and
// an event id each), put into a plain RocksDB in synced groups, without a server. Several threads
// write their own groups, which RocksDB itself joins to common syncs.
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "graph/log/entry_hash.h"
#include "graph/log/record.h"

namespace groundswell {
namespace {

constexpr int64_t kEventTimeUs = 1'323'000'000'000'000;

struct Flags {
  std::string directory = "/tmp";
  size_t group = 1'000;
  size_t threads = 1;
  size_t interactions = 200'000;
  bool json = false;
};

struct Bytes {
  std::string log_key, record, id_key, id_value;
};

// As ingest_bench makes them and the log stores them.
std::vector<Bytes> MakeBytes(size_t count) {
  std::mt19937_64 random(1);
  std::vector<Bytes> all;
  for (size_t i = 0; i < count; ++i) {
    Bytes bytes;
    AppendKeyU32(bytes.log_key, 0);
    AppendKeyU64(bytes.log_key, i + 1);
    const std::string event_id =
        fmt::format("bench-{}-{}-{}-{}", getpid(), i / 100 % 4, i / 400, i % 100);
    const Interaction interaction{.event_id = event_id,
                                  .user_id = fmt::format("bench-user-{}", random() % 10'000),
                                  .item_id = fmt::format("{}", 20'000 + random() % 3'630),
                                  .event_type = "purchase",
                                  .weight = 1,
                                  .event_time_us = kEventTimeUs,
                                  .received_time_us = kEventTimeUs};
    bytes.record = EncodeLogRecord(interaction);
    const EventIdHash hash = HashEventId(event_id);
    AppendKeyU32(bytes.id_key, 0);
    bytes.id_key.append(hash.begin(), hash.end());
    AppendKeyU64(bytes.id_value, i + 1);
    AppendKeyU64(bytes.id_value, ContentHashOf(interaction));
    all.push_back(std::move(bytes));
  }
  return all;
}

// Thread `number` of `threads` takes every so many-th group.
rocksdb::Status WriteGroups(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* ids,
                            const std::vector<Bytes>& all, const Flags& flags, size_t number) {
  rocksdb::WriteOptions synced;
  synced.sync = true;
  for (size_t begin = number * flags.group; begin < all.size();
       begin += flags.threads * flags.group) {
    rocksdb::WriteBatch batch;
    for (size_t at = begin; at < std::min(begin + flags.group, all.size()); ++at) {
      rocksdb::Status status = batch.Put(all[at].log_key, all[at].record);
      if (status.ok()) status = batch.Put(ids, all[at].id_key, all[at].id_value);
      if (!status.ok()) return status;
    }
    if (rocksdb::Status status = db.Write(synced, &batch); !status.ok()) return status;
  }
  return {};
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Synced group writes of a log's bytes into a plain RocksDB.", "log_bench");
  app.add_option("--directory", flags.directory, "On the disk to measure")->capture_default_str();
  app.add_option("--group", flags.group, "Interactions per synced write")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--threads", flags.threads)->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--interactions", flags.interactions)
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  app.add_flag("--json", flags.json, "Print JSON");
  app.footer("Example:\n  log_bench --directory data-dir --group 100 --threads 4");
  CLI11_PARSE(app, argc, argv);

  const std::string path = fmt::format("{}/log_bench.{}", flags.directory, getpid());
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* raw = nullptr;
  if (const rocksdb::Status s = rocksdb::DB::Open(options, path, &raw); !s.ok()) {
    fmt::print(stderr, "log_bench: {}\n", s.ToString());
    return 1;
  }
  std::unique_ptr<rocksdb::DB> db(raw);
  rocksdb::ColumnFamilyHandle* ids = nullptr;
  rocksdb::Status status = db->CreateColumnFamily({}, "event_ids", &ids);
  const std::vector<Bytes> all = MakeBytes(flags.interactions);
  std::vector<rocksdb::Status> results(flags.threads);
  std::vector<std::thread> threads;
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < flags.threads; ++i) {
    threads.emplace_back([&, i] { results[i] = WriteGroups(*db, ids, all, flags, i); });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  for (rocksdb::Status& result : results) {
    if (status.ok()) status = result;
    result.PermitUncheckedError();
  }
  db->DestroyColumnFamilyHandle(ids).PermitUncheckedError();
  db.reset();
  std::filesystem::remove_all(path);
  if (!status.ok()) {
    fmt::print(stderr, "log_bench: {}\n", status.ToString());
    return 1;
  }
  const double rate = static_cast<double>(all.size()) / elapsed.count();
  if (flags.json) {
    fmt::print("{}\n",
               nlohmann::json{
                   {"group", flags.group}, {"threads", flags.threads}, {"events_per_second", rate}}
                   .dump());
  } else {
    fmt::print("groups of {} by {} threads: {:.0f} interactions/s\n", flags.group, flags.threads,
               rate);
  }
  return 0;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
