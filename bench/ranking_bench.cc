// The forward pass alone: MacGNN over n candidates for one user, on one thread, in blocks of 120 as
// the server scores them. The result is checked before anything is timed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "models/macgnn/forward.h"
#include "models/macgnn/weights.h"
#include "models/snapshot.h"

namespace groundswell {
namespace {

constexpr size_t kBlock = 120;
constexpr size_t kCandidates[] = {100, 500, 1000};

// Random features of the snapshot's shape; counts spread over the sizes that graphs have.
struct Features {
  std::vector<int64_t> user_one_hop, user_two_hop;
  std::vector<uint32_t> recent_items;
  std::vector<uint32_t> items;
  std::vector<int64_t> one_hop, two_hop;
  std::vector<uint32_t> recent_users;
};

Features MakeFeatures(const MacgnnShape& shape, size_t n) {
  std::mt19937_64 random(1);
  const auto counts = [&](size_t size) {
    std::vector<int64_t> values(size);
    for (int64_t& value : values)
      value = static_cast<int64_t>(random() % (uint64_t{1} << random() % 18));
    return values;
  };
  const auto rows = [&](size_t size, size_t table) {
    std::vector<uint32_t> values(size);
    for (uint32_t& value : values) value = static_cast<uint32_t>(1 + random() % (table - 1));
    return values;
  };
  return {.user_one_hop = counts(shape.item_nodes),
          .user_two_hop = counts(shape.user_nodes),
          .recent_items = rows(shape.recent_len, shape.items),
          .items = rows(n, shape.items),
          .one_hop = counts(n * shape.user_nodes),
          .two_hop = counts(n * shape.item_nodes),
          .recent_users = rows(n * shape.recent_len, shape.users)};
}

void Score(const MacgnnWeights& weights, const Features& f, size_t n, size_t block,
           MacgnnScratch& scratch, std::vector<float>& logits) {
  const MacgnnShape& shape = weights.shape;
  MacgnnPrepareUser(weights,
                    {.row = 1,
                     .one_hop = f.user_one_hop,
                     .two_hop = f.user_two_hop,
                     .recent_items = f.recent_items},
                    scratch);
  for (size_t begin = 0; begin < n; begin += block) {
    const size_t size = std::min(block, n - begin);
    const auto part = [&](const auto& all, size_t width) {
      return std::span(all).subspan(begin * width, size * width);
    };
    MacgnnScoreItems(weights,
                     {.rows = part(f.items, 1),
                      .one_hop = part(f.one_hop, shape.user_nodes),
                      .two_hop = part(f.two_hop, shape.item_nodes),
                      .recent_users = part(f.recent_users, shape.recent_len)},
                     scratch, std::span(logits).subspan(begin, size));
  }
}

struct Timing {
  double median_us, p10_us, p90_us;
};

Timing Measure(const MacgnnWeights& weights, size_t n, size_t repetitions) {
  const Features features = MakeFeatures(weights.shape, n);
  MacgnnScratch scratch(weights.shape, kBlock);
  std::vector<float> logits(n);
  std::vector<double> times;
  for (size_t i = 0; i < repetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    Score(weights, features, n, kBlock, scratch, logits);
    const auto end = std::chrono::steady_clock::now();
    times.push_back(std::chrono::duration<double, std::micro>(end - begin).count());
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[times.size() / 10], times[times.size() * 9 / 10]};
}

absl::Status CheckResult(const MacgnnWeights& weights) {
  constexpr size_t kChecked = 300;
  const Features features = MakeFeatures(weights.shape, kChecked);
  MacgnnScratch scratch(weights.shape, kBlock);
  std::vector<float> blocks(kChecked);
  std::vector<float> singles(kChecked);
  Score(weights, features, kChecked, kBlock, scratch, blocks);
  Score(weights, features, kChecked, 1, scratch, singles);
  if (blocks != singles) {
    return absl::InternalError("scores depend on the batch");
  }
  return absl::OkStatus();
}

absl::StatusOr<MacgnnWeights> Load(const std::string& directory, const std::string& attention) {
  const auto files = ReadSnapshotDirectory(directory);
  if (!files.ok()) return files.status();
  const auto snapshot = Snapshot::Create(*files);
  if (!snapshot.ok()) return snapshot.status();
  if ((*snapshot)->manifest().models.empty())
    return absl::NotFoundError("the snapshot has no model");
  const Manifest::Model& model = (*snapshot)->manifest().models.front();
  const auto file = SafetensorsFile::Parse(model.file, files->files.at(model.file));
  if (!file.ok()) return file.status();
  auto options = model.options;
  options["attention"] = attention;
  return LoadMacgnnWeights(*file, options);
}

int Main(int argc, char** argv) {
  std::string directory = "sample/online-retail";
  size_t repetitions = 400;
  bool as_json = false;
  CLI::App app("Times MacGNN's forward pass on one thread.", "ranking_bench");
  app.add_option("--snapshot", directory, "Snapshot directory")->capture_default_str();
  app.add_option("--repetitions", repetitions)
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  app.add_flag("--json", as_json, "Print JSON");
  app.footer("Example:\n  ranking_bench --snapshot sample/online-retail");
  CLI11_PARSE(app, argc, argv);

  nlohmann::ordered_json results;
  if (!as_json)
    fmt::print("{:<12}{:>12}{:>12}{:>12}{:>12}\n", "attention", "candidates", "median us", "p10",
               "p90");
  for (const char* attention : {"none", "neighbours"}) {
    const auto weights = Load(directory, attention);
    const absl::Status status = weights.ok() ? CheckResult(*weights) : weights.status();
    if (!status.ok()) {
      fmt::print(stderr, "ranking_bench: {}\n", std::string(status.message()));
      return 1;
    }
    for (const size_t n : kCandidates) {
      Measure(*weights, n, repetitions / 10);  // warm-up
      const Timing timing = Measure(*weights, n, repetitions);
      results[attention][std::to_string(n)] = {
          {"median_us", timing.median_us}, {"p10_us", timing.p10_us}, {"p90_us", timing.p90_us}};
      if (!as_json) {
        fmt::print("{:<12}{:>12}{:>12.1f}{:>12.1f}{:>12.1f}\n", attention, n, timing.median_us,
                   timing.p10_us, timing.p90_us);
      }
    }
  }
  if (as_json) fmt::print("{}\n", results.dump());
  return 0;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
