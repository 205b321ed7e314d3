// Durable ingest: synthetic interactions over several streams into a running server, counted when
// they are acknowledged. Give it a server whose database may be thrown away.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "client/client.h"

namespace groundswell {
namespace {

constexpr int64_t kEventTime = 1'323'000'000;

struct Flags {
  std::string server = "localhost:7100";
  std::string items_file = "sample/online-retail/items.jsonl";
  size_t streams = 4;
  size_t batch = 100;
  size_t batches = 500;  // of every stream
  size_t users = 10'000;
  double rate = 0;  // interactions per second over all streams; 0: as fast as they are taken
  bool json = false;
};

std::vector<std::string> ReadItems(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> items;
  std::string line;
  while (std::getline(file, line)) {
    const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (object.is_object() && object.contains("id") && object["id"].is_string()) {
      items.push_back(object["id"].get<std::string>());
    }
  }
  return items;
}

// Sends one stream's batches; counts what was acknowledged.
absl::Status RunStream(const Flags& flags, const std::vector<std::string>& items, size_t number,
                       std::atomic<uint64_t>& accepted) {
  Client client({.address = flags.server});
  const auto stream =
      client.Ingest({.name_space = "", .on_ack = [&](const v1::IngestResponse& ack) {
                       accepted += static_cast<uint64_t>(ack.accepted_count());
                     }});
  std::mt19937_64 random(number + 1);
  std::vector<v1::Interaction> batch(flags.batch);
  const std::string run = fmt::format("bench-{}-{}", getpid(), number);
  const auto begin = std::chrono::steady_clock::now();
  const double per_batch =
      flags.rate > 0 ? static_cast<double>(flags.streams * flags.batch) / flags.rate : 0;
  // Streams do not know of each other, so their batches come one after the other, not all at once.
  const double first = static_cast<double>(number) / static_cast<double>(flags.streams);
  for (size_t i = 0; i < flags.batches; ++i) {
    std::this_thread::sleep_until(
        begin + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                    std::chrono::duration<double>(per_batch * (first + static_cast<double>(i)))));
    for (size_t j = 0; j < flags.batch; ++j) {
      batch[j].set_event_id(fmt::format("{}-{}-{}", run, i, j));
      batch[j].set_user_id(fmt::format("bench-user-{}", random() % flags.users));
      batch[j].set_item_id(items[random() % items.size()]);
      batch[j].set_event_type("purchase");
      batch[j].mutable_event_time()->set_seconds(kEventTime);
    }
    if (!stream->Send(batch).ok()) break;
  }
  return stream->Finish();
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Measures durable ingest of a running server.", "ingest_bench");
  app.add_option("--server", flags.server)->capture_default_str();
  app.add_option("--items-file", flags.items_file, "items.jsonl of the served snapshot")
      ->capture_default_str();
  app.add_option("--streams", flags.streams)->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--batch", flags.batch)->check(CLI::Range(1, 1'000))->capture_default_str();
  app.add_option("--batches", flags.batches, "Of every stream")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--users", flags.users, "Users to spread the events over")
      ->check(CLI::Range(1, 100'000'000))
      ->capture_default_str();
  app.add_option("--rate", flags.rate, "Interactions per second over all streams; 0: no limit")
      ->capture_default_str();
  app.add_flag("--json", flags.json, "Print JSON");
  app.footer("Example:\n  ingest_bench --server 127.0.0.1:7100 --streams 4 --batch 100");
  CLI11_PARSE(app, argc, argv);
  const std::vector<std::string> items = ReadItems(flags.items_file);
  if (items.empty()) {
    fmt::print(stderr, "ingest_bench: no items in \"{}\"\n", flags.items_file);
    return 1;
  }
  std::atomic<uint64_t> accepted{0};
  std::vector<absl::Status> results(flags.streams);
  std::vector<std::thread> threads;
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < flags.streams; ++i) {
    threads.emplace_back([&, i] { results[i] = RunStream(flags, items, i, accepted); });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  for (const absl::Status& status : results) {
    if (status.ok()) continue;
    fmt::print(stderr, "ingest_bench: {}\n", std::string(status.message()));
    return 1;
  }
  if (const size_t sent = flags.streams * flags.batches * flags.batch; accepted != sent) {
    fmt::print(stderr,
               "ingest_bench: the server accepted {} of {} interactions; does it serve the "
               "items of \"{}\"?\n",
               accepted.load(), sent, flags.items_file);
    return 1;
  }
  const double rate = static_cast<double>(accepted) / elapsed.count();
  if (flags.json) {
    fmt::print("{}\n", nlohmann::json{{"accepted", accepted.load()},
                                      {"seconds", elapsed.count()},
                                      {"events_per_second", rate}}
                           .dump());
  } else {
    fmt::print("{} interactions acknowledged in {:.2f} s: {:.0f} events/s\n", accepted.load(),
               elapsed.count(), rate);
  }
  return 0;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
