// The same service put together the usual way, to measure ours against: Recommend of groundswell.v1
// over gRPC, the user's features from Redis, candidates from FAISS, the candidates' features from
// Redis, a TorchScript ranker over all of them as one batch.
//
// It answers users that Redis knows, with the first page, by the ranker that the request names.
// Filters, pages, other candidate sources, explanations, deadlines and taking interactions in are
// left out: what a request does not ask for, it must not pay for.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <omp.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "bench/baseline/feature_store.h"
#include "bench/baseline/item_search.h"
#include "bench/baseline/torch_ranker.h"
#include "groundswell/v1/recommend.grpc.pb.h"

// Read by jemalloc: what is freed stays ours, large blocks too. libtorch asks for every
// intermediate anew; returned to the kernel in between, SURGE's took 1.5 times as long.
extern "C" const char* malloc_conf;
const char* malloc_conf = "oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:-1";

namespace groundswell::baseline {
namespace {

struct Options {
  std::string prepared;
  std::string redis;
  std::string address = "127.0.0.1:0";
  size_t candidates = 500;
  size_t threads = std::thread::hardware_concurrency();
  TorchRanker::Form form = TorchRanker::Form::kFrozen;
};

constexpr int32_t kPageSize = 20;

// --- Where the time goes.

enum class Stage : size_t { kUser, kSearch, kItems, kRank, kAnswer };
constexpr std::array kStageNames = {"user features", "search", "item features", "ranker", "answer"};

int64_t Nanoseconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// Sums over all requests. Thread-safe.
class StageClock {
 public:
  // Adds what passed since `begin` on this thread; returns now, where the next stage begins.
  struct Moment {
    int64_t cpu_ns = Nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    int64_t wall_ns = Nanoseconds(CLOCK_MONOTONIC);
  };
  Moment Add(Stage stage, const Moment& begin) {
    const Moment now;
    Sum& sum = sums_[static_cast<size_t>(stage)];
    sum.cpu_ns += now.cpu_ns - begin.cpu_ns;
    sum.wall_ns += now.wall_ns - begin.wall_ns;
    ++sum.count;
    return now;
  }

  std::string Json() const {
    nlohmann::ordered_json json;
    for (size_t i = 0; i < sums_.size(); ++i) {
      json[kStageNames[i]] = {{"count", sums_[i].count.load()},
                              {"cpu_us", static_cast<double>(sums_[i].cpu_ns) / 1e3},
                              {"wall_us", static_cast<double>(sums_[i].wall_ns) / 1e3}};
    }
    return json.dump();
  }

 private:
  struct Sum {
    std::atomic<int64_t> count = 0, cpu_ns = 0, wall_ns = 0;
  };
  std::array<Sum, kStageNames.size()> sums_;
};

// --- A pool of threads, one per core, each with its connection to Redis.

class Pool {
 public:
  using Task = std::function<void(FeatureStore&)>;

  explicit Pool(std::vector<std::unique_ptr<FeatureStore>> stores) : stores_(std::move(stores)) {
    for (const auto& store : stores_) threads_.emplace_back([&] { Run(*store); });
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void Add(Task task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }

 private:
  void Run(FeatureStore& store) {
    UseOneThread();
    omp_set_num_threads(1);  // FAISS
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task(store);
      lock.lock();
    }
  }

  const std::vector<std::unique_ptr<FeatureStore>> stores_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// --- The service.

struct CatalogueItem {
  std::string id, title, category;
};

// What all requests share; nothing of it changes.
struct Model {
  FeatureShape shape;
  std::string snapshot_version;
  std::vector<CatalogueItem> catalogue;
  std::unique_ptr<ItemSearch> search;
  std::string default_ranker;
  std::map<std::string, std::unique_ptr<TorchRanker>> rankers;
};

// Of one thread, kept from request to request.
struct Scratch {
  UserRecord user;
  std::vector<int64_t> candidates;
  ItemRecords records;
  std::vector<float> logits;
  std::vector<size_t> order;
};

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

class Service final : public v1::RecommendationService::CallbackService {
 public:
  Service(const Model& model, size_t candidates, Pool& pool, StageClock& clock)
      : model_(model), candidates_(candidates), pool_(pool), clock_(clock) {}

  grpc::ServerUnaryReactor* Recommend(grpc::CallbackServerContext* context,
                                      const v1::RecommendRequest* request,
                                      v1::RecommendResponse* response) override {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    pool_.Add([=, this](FeatureStore& store) {
      // Nobody waits for it any more: the deadline passed while it was queued.
      if (context->IsCancelled()) return reactor->Finish(grpc::Status::CANCELLED);
      reactor->Finish(ToGrpc(Answer(*request, store, *response)));
    });
    return reactor;
  }

 private:
  absl::Status Answer(const v1::RecommendRequest& request, FeatureStore& store,
                      v1::RecommendResponse& response) {
    thread_local Scratch scratch;
    const std::string& name = request.ranker().empty() ? model_.default_ranker : request.ranker();
    const auto ranker = model_.rankers.find(name);
    if (ranker == model_.rankers.end()) {
      return absl::NotFoundError(fmt::format("no ranker \"{}\"", name));
    }
    StageClock::Moment begin;
    absl::Status done = store.ReadUser(request.user_id(), scratch.user);
    if (!done.ok()) return done;
    begin = clock_.Add(Stage::kUser, begin);
    done = model_.search->Nearest(scratch.user.vector, scratch.user.seen, candidates_,
                                  scratch.candidates);
    if (!done.ok()) return done;
    begin = clock_.Add(Stage::kSearch, begin);
    if (ranker->second->reads_item_records()) {
      done = store.ReadItems(scratch.candidates, scratch.records);
      if (!done.ok()) return done;
      begin = clock_.Add(Stage::kItems, begin);
    }
    done = ranker->second->Score(scratch.user, scratch.candidates, scratch.records, scratch.logits);
    if (!done.ok()) return done;
    begin = clock_.Add(Stage::kRank, begin);
    WriteBest(request.page_size() > 0 ? request.page_size() : kPageSize, scratch, response);
    response.set_ranker(name);
    clock_.Add(Stage::kAnswer, begin);
    return absl::OkStatus();
  }

  void WriteBest(int32_t page_size, Scratch& scratch, v1::RecommendResponse& response) const {
    scratch.order.resize(scratch.logits.size());
    std::iota(scratch.order.begin(), scratch.order.end(), 0);
    const auto end = scratch.order.begin() +
                     std::min<ptrdiff_t>(page_size, static_cast<ptrdiff_t>(scratch.order.size()));
    std::partial_sort(scratch.order.begin(), end, scratch.order.end(),
                      [&](size_t a, size_t b) { return scratch.logits[a] > scratch.logits[b]; });
    for (auto at = scratch.order.begin(); at != end; ++at) {
      const CatalogueItem& item = model_.catalogue[static_cast<size_t>(scratch.candidates[*at])];
      v1::RecommendedItem& added = *response.add_items();
      added.set_item_id(item.id);
      added.set_title(item.title);
      added.set_category(item.category);
      added.set_score(1 / (1 + std::exp(-scratch.logits[*at])));
      added.add_sources(v1::CANDIDATE_SOURCE_EMBEDDING);
    }
    response.set_snapshot_version(model_.snapshot_version);
  }

  const Model& model_;
  const size_t candidates_;
  Pool& pool_;
  StageClock& clock_;
};

// --- The program.

std::vector<CatalogueItem> ReadCatalogue(const std::string& path) {
  std::vector<CatalogueItem> items;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const auto json = nlohmann::json::parse(line);
    items.push_back({json.at("id"), json.at("title"), json.at("category")});
  }
  return items;
}

// prepare.py wrote service.json and what it names.
absl::StatusOr<Model> LoadModel(const Options& options) {
  std::ifstream file(options.prepared + "/service.json");
  const auto json = nlohmann::json::parse(file);
  Model model;
  model.shape = {.user_clusters = json.at("user_clusters"),
                 .item_clusters = json.at("item_clusters"),
                 .dim = json.at("dim"),
                 .history = json.at("history"),
                 .item_users = json.at("item_users")};
  model.snapshot_version = json.at("snapshot_version");
  model.catalogue = ReadCatalogue(json.at("catalogue"));
  auto search = ItemSearch::Load(options.prepared + "/items.faiss", json.at("nprobe"));
  if (!search.ok()) return search.status();
  model.search = *std::move(search);
  for (const auto& one : json.at("rankers")) {
    const std::string name = one.at("name");
    auto ranker = TorchRanker::Load(options.prepared + "/" + name + ".pt", one.at("kind"),
                                    one.at("recent_len"), options.form);
    if (!ranker.ok()) return ranker.status();
    if (model.default_ranker.empty()) model.default_ranker = name;
    model.rankers[name] = *std::move(ranker);
  }
  return model;
}

// Until standard input ends; for every line of it one with the stages' sums.
void WaitForTheEnd(const StageClock& clock) {
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("stages {}\n", clock.Json());
    std::fflush(stdout);
  }
}

absl::Status Serve(const Options& options) {
  UseOneThread();

  const absl::StatusOr<Model> model = LoadModel(options);
  if (!model.ok()) return model.status();
  std::vector<std::unique_ptr<FeatureStore>> stores;
  for (size_t i = 0; i < options.threads; ++i) {
    auto store = FeatureStore::Connect(options.redis, model->shape);
    if (!store.ok()) return store.status();
    stores.push_back(*std::move(store));
  }
  StageClock clock;
  Pool pool(std::move(stores));
  Service service(*model, options.candidates, pool, clock);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::UnavailableError("cannot listen at " + options.address);
  fmt::print("ready grpc_port={}\n", port);
  std::fflush(stdout);
  WaitForTheEnd(clock);
  server->Shutdown();
  return absl::OkStatus();
}

}  // namespace
}  // namespace groundswell::baseline

int main(int argc, char** argv) {
  using groundswell::baseline::TorchRanker;
  groundswell::baseline::Options options;
  CLI::App app(
      "The same service put together the usual way: gRPC, FAISS, TorchScript, Redis. Serves until "
      "its\n"
      "standard input ends, and answers every line there with the time that each stage took so "
      "far.");
  app.add_option("--prepared", options.prepared, "What prepare.py wrote")->required();
  app.add_option("--redis", options.redis, "Unix socket of the Redis that it filled")->required();
  app.add_option("--address", options.address, "Port 0: any free one")->capture_default_str();
  app.add_option("--candidates", options.candidates)->capture_default_str();
  app.add_option("--threads", options.threads, "That answer requests")->capture_default_str();
  app.add_option("--form", options.form, "Of the TorchScript modules")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, TorchRanker::Form>{{"saved", TorchRanker::Form::kSaved},
                                                   {"frozen", TorchRanker::Form::kFrozen},
                                                   {"optimised", TorchRanker::Form::kOptimised}}));
  app.footer(
      "Example: baseline_server --prepared build/baseline --redis build/baseline/redis.sock");
  CLI11_PARSE(app, argc, argv);
  try {
    const absl::Status served = groundswell::baseline::Serve(options);
    if (served.ok()) return 0;
    fmt::print(stderr, "baseline_server: {}\n", served.ToString());
  } catch (const std::exception& e) {
    fmt::print(stderr, "baseline_server: {}\n", e.what());
  }
  return 1;
}
