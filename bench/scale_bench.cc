// One machine's size: so many users, items and interactions through the log and the fold, then a
// checkpoint, a start from it, and a start without it. Prints times, memory and disk.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "graph/fold/applier.h"
#include "graph/fold/interaction_adjacency.h"
#include "graph/store/rocksdb_log.h"
#include "graph/upkeep/checkpoint.h"
#include "graph/upkeep/verification.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;

constexpr MacroShape kShape{.user_clusters = 20, .item_clusters = 30, .recent_len = 20};
constexpr size_t kBatch = 1'000;
constexpr size_t kBatchesWaiting = 16;

double Seconds(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

// Resident memory of this process.
double Gigabytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 30);
}

double DirectoryGigabytes(const std::string& path) {
  double bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(path)) {
    if (file.is_regular_file()) bytes += static_cast<double>(file.file_size());
  }
  return bytes / (1 << 30);
}

template <typename T>
T OrEnd(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  fmt::print(stderr, "scale_bench: {}\n", std::string(value.status().message()));
  std::exit(1);
}

void OrEnd(const absl::Status& status) {
  if (status.ok()) return;
  fmt::print(stderr, "scale_bench: {}\n", std::string(status.message()));
  std::exit(1);
}

std::string ItemId(uint64_t item) { return fmt::format("item-{}", item); }

void MakeDatabase(const std::string& path, size_t items) {
  auto store = OrEnd(GraphStore::Open({.path = path, .create = true}));
  const Generation generation(*store, 1);
  GraphStore::Batch batch(*store);
  for (uint32_t item = 0; item < items; ++item) {
    generation.PutItem(batch, ItemIndex{item}, {.id = ItemId(item)});
    if (item % 10'000 != 0) continue;
    OrEnd(store->Commit(batch, /*sync=*/false));
    batch.Clear();
  }
  generation.PutState(batch, {.snapshot_digest = "scale"});
  generation.PutCurrent(batch);
  OrEnd(store->Commit(batch, /*sync=*/true));
}

// Everything that a server holds but embeddings and models.
struct Running {
  // `neighbors_max`: of the adjacency that walks take; 0: none.
  Running(const std::string& path, LoadFrom from, size_t neighbors_max) {
    const auto begin = steady_clock::now();
    store = OrEnd(GraphStore::Open({.path = path}));
    generation = std::make_unique<Generation>(OrEnd(Generation::OpenCurrent(*store)));
    const GraphState state = OrEnd(generation->ReadState());
    const auto items = OrEnd(generation->ReadItems());
    catalogue = std::make_unique<Catalogue>(items.size());
    std::vector<Cluster> nodes;
    for (const StoredItem& item : items) {
      nodes.push_back(static_cast<Cluster>(nodes.size() % kShape.item_clusters));
      catalogue->Add(item.id, item.title, item.category);
    }
    catalogue->FinishLoading();
    graph = std::make_unique<MacroGraph>(kShape, nodes);
    loaded =
        OrEnd(LoadItemSide(*generation, from, *graph, [](std::string_view, uint64_t, uint64_t) {}));
    if (neighbors_max > 0) {
      const auto adjacency_begin = steady_clock::now();
      adjacency = std::make_unique<InteractionAdjacency>(neighbors_max);
      OrEnd(LoadAdjacency(
          *generation, [](const UserState&) { return absl::OkStatus(); }, *adjacency));
      adjacency_seconds = Seconds(adjacency_begin);
    }
    log = OrEnd(RocksdbLog::Open(*store, 0, {}));
    std::optional<Offset> checkpoint;
    if (loaded.checkpoint.has_value()) checkpoint = loaded.checkpoint->offset;
    Applier::Options options;
    options.fold.clustering = {.of_new_user = [](ItemIndex item) { return ToInt(item) % 20; },
                               .of_known_user = [](const UserState&) { return Cluster{0}; },
                               .of_new_item = [](const UpsertItem&) { return Cluster{0}; },
                               .trained_users = 0,
                               .trained_items = items.size()};
    if (adjacency != nullptr) {
      options.fold.on_edges_changed = [this](const EdgeChange& change) {
        adjacency->Change(change);
      };
    }
    applier = std::make_unique<Applier>(*store, *generation, *log, *catalogue, *graph, state,
                                        checkpoint, std::move(options));
    OrEnd(applier->CatchUp([](Offset, Offset) {}, [] { return false; }));
    start_seconds = Seconds(begin);
  }
  ~Running() { log->Close(); }

  std::unique_ptr<GraphStore> store;
  std::unique_ptr<Generation> generation;
  std::unique_ptr<Catalogue> catalogue;
  std::unique_ptr<MacroGraph> graph;
  LoadedItemSide loaded;
  std::unique_ptr<InteractionAdjacency> adjacency;
  std::unique_ptr<RocksdbLog> log;
  std::unique_ptr<Applier> applier;
  double start_seconds = 0;
  double adjacency_seconds = 0;  // of them
};

// Appends the interactions and waits until all are in the graph.
void Ingest(Running& running, size_t users, size_t items, size_t interactions) {
  std::mt19937_64 random(1);
  std::mutex mutex;
  std::condition_variable changed;
  size_t waiting = 0;
  const auto begin = steady_clock::now();
  for (size_t sent = 0; sent < interactions;) {
    AppendRequest request;
    for (size_t i = 0; i < kBatch && sent < interactions; ++i, ++sent) {
      // Half of the draws prefer the front of the catalogue: some items are popular.
      const uint64_t draw = random() % items;
      const uint64_t item = random() % 2 == 0 ? draw : draw * (random() % items) / items;
      request.entries.emplace_back(
          Interaction{.event_id = fmt::format("{:x}", sent),
                      .user_id = fmt::format("user-{}", random() % users),
                      .item_id = ItemId(item),
                      .event_type = "view",
                      .weight = 1,
                      .event_time_us = static_cast<int64_t>(sent) * 1'000});
    }
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return waiting < kBatchesWaiting; });
    ++waiting;
    lock.unlock();
    OrEnd(running.log->Append(std::move(request), [&](const absl::StatusOr<AppendResult>& result) {
      OrEnd(result.status());
      const std::lock_guard<std::mutex> held(mutex);
      --waiting;
      changed.notify_one();
    }));
    // Not further ahead of the fold than a server would let it get for long.
    while (running.log->end() - running.applier->applied_offset() > 1'000'000) usleep(1'000);
    if (isatty(STDERR_FILENO) != 0) {
      fmt::print(stderr, "\r{} of {} interactions, {:.0f}/s", sent, interactions,
                 static_cast<double>(sent) / Seconds(begin));
    }
  }
  while (running.applier->applied_offset() < static_cast<Offset>(interactions)) usleep(10'000);
  if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\n");
}

// Of the applier's own time on a core, however busy the machine is.
double FoldCpuSeconds(Running& running) {
  timespec time{};
  OrEnd(running.applier->RunAtBatchEdge([&] { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time); }));
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Shares of the items' counters that are not 0, of H1_i and of H2_i.
std::pair<double, double> Fill(const MacroGraph& graph) {
  size_t one_hop = 0;
  size_t two_hop = 0;
  for (uint32_t item = 0; item < graph.item_count(); ++item) {
    const auto counts = graph.items().CountsOf(ItemIndex{item});
    const auto p = static_cast<ptrdiff_t>(kShape.user_clusters);
    const auto is_set = [](Count count) { return count != 0; };
    one_hop += static_cast<size_t>(std::count_if(counts.begin(), counts.begin() + p, is_set));
    two_hop += static_cast<size_t>(std::count_if(counts.begin() + p, counts.end(), is_set));
  }
  const auto items = static_cast<double>(graph.item_count());
  return {static_cast<double>(one_hop) / items / kShape.user_clusters,
          static_cast<double>(two_hop) / items / kShape.item_clusters};
}

struct Scale {
  size_t users = 1'000'000;
  size_t items = 1'000'000;
  size_t interactions = 20'000'000;
  size_t neighbors_max = 4'096;
};

void MeasureIngest(const std::string& path, const Scale& scale, nlohmann::ordered_json& report) {
  Running running(path, LoadFrom::kUsers, scale.neighbors_max);
  const auto begin = steady_clock::now();
  Ingest(running, scale.users, scale.items, scale.interactions);
  const auto interactions = static_cast<double>(scale.interactions);
  report["ingest_and_fold_per_second"] = interactions / Seconds(begin);
  report["fold_cpu_us_per_interaction"] = FoldCpuSeconds(running) * 1e6 / interactions;
  report["edges"] = running.applier->progress().edge_count;
  if (running.adjacency != nullptr) {
    report["adjacency_gb"] = static_cast<double>(running.adjacency->bytes()) / (1 << 30);
    report["adjacency_evicted"] = running.adjacency->evicted_count();
  }
  report["memory_gb"] = Gigabytes();
  const auto checkpoint_begin = steady_clock::now();
  const CheckpointInfo info =
      OrEnd(WriteCheckpoint(*running.store, *running.generation, *running.applier, *running.graph,
                            0, [] { return true; }));
  report["checkpoint_seconds"] = Seconds(checkpoint_begin);
  report["checkpoint_gb"] = static_cast<double>(info.bytes) / (1 << 30);
  report["item_row_bytes"] = running.graph->items().row_bytes();
  const auto [one_hop_fill, two_hop_fill] = Fill(*running.graph);
  report["one_hop_fill"] = one_hop_fill;
  report["two_hop_fill"] = two_hop_fill;
}

void MeasureStarts(const std::string& path, const Scale& scale, nlohmann::ordered_json& report) {
  {
    // What was not in RocksDB's tables yet comes from its write-ahead log, once.
    const auto begin = steady_clock::now();
    OrEnd(GraphStore::Open({.path = path}));
    report["write_ahead_log_seconds"] = Seconds(begin);
  }
  {
    const Running running(path, LoadFrom::kCheckpoint, scale.neighbors_max);
    report["start_from_checkpoint_seconds"] = running.start_seconds;
    report["of_them_adjacency_seconds"] = running.adjacency_seconds;
    report["digest"] = running.applier->progress().digest.ToString();
  }
  Running running(path, LoadFrom::kUsers, scale.neighbors_max);
  report["start_from_users_seconds"] = running.start_seconds;
  const auto begin = steady_clock::now();
  const Verification verified =
      OrEnd(VerifyGraph(*running.store, *running.generation, *running.applier, *running.catalogue,
                        *running.graph, /*views=*/{}));
  report["verify_seconds"] = Seconds(begin);
  report["differences"] = verified.difference_count;
}

double GigabytesAtMost() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) / (1 << 20);
  }
  return 0.0;
}

int Main(int argc, char** argv) {
  Scale scale;
  std::string directory = "/tmp";
  bool json = false;
  CLI::App app("Loads one machine's worth of interactions and starts from what is on disk.",
               "scale_bench");
  app.add_option("--users", scale.users)->capture_default_str();
  app.add_option("--items", scale.items)->capture_default_str();
  app.add_option("--interactions", scale.interactions)->capture_default_str();
  app.add_option("--directory", directory, "Where the database is made and deleted")
      ->capture_default_str();
  app.add_option("--neighbors-max", scale.neighbors_max,
                 "Edges of a node kept for walks; 0: no adjacency, for comparison")
      ->capture_default_str();
  app.add_flag("--json", json, "Print JSON");
  app.footer("Example:\n  scale_bench --users 100000 --items 100000 --interactions 2000000");
  CLI11_PARSE(app, argc, argv);

  const std::string path = fmt::format("{}/scale_bench.{}", directory, getpid());
  nlohmann::ordered_json report = {
      {"users", scale.users}, {"items", scale.items}, {"interactions", scale.interactions}};
  MakeDatabase(path, scale.items);
  MeasureIngest(path, scale, report);
  report["database_gb"] = DirectoryGigabytes(path);
  MeasureStarts(path, scale, report);
  report["memory_gb_at_most"] = GigabytesAtMost();
  std::filesystem::remove_all(path);
  if (json) {
    fmt::print("{}\n", report.dump());
  } else {
    for (const auto& [key, value] : report.items()) fmt::print("{:<32} {}\n", key, value.dump());
  }
  return report["differences"] == 0 ? 0 : 1;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
