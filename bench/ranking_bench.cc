// The forward pass alone: MacGNN over n candidates for one user, on one thread, in blocks as the
// server scores them. The result is checked before anything is timed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/random_request.h"
#include "models/files/manifest.h"
#include "models/snapshot/registry.h"
#include "models/snapshot/snapshot.h"

namespace groundswell {
namespace {

constexpr size_t kCandidates[] = {100, 500, 1000};

// What is timed, also where no item has changed since it was scored before.
struct Way {
  const char* name;
  const char* attention;
  bool items_kept;
};
constexpr Way kWays[] = {{"none", "none", false},
                         {"none, items kept", "none", true},
                         {"neighbours", "neighbours", false},
                         {"neighbours, items kept", "neighbours", true}};

struct Timing {
  double median_us, p10_us, p90_us;
};

Timing Measure(size_t repetitions, const std::function<void()>& score) {
  std::vector<double> times;
  for (size_t i = 0; i < repetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    score();
    const auto end = std::chrono::steady_clock::now();
    times.push_back(std::chrono::duration<double, std::micro>(end - begin).count());
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[times.size() / 10], times[times.size() * 9 / 10]};
}

// Scores must not depend on the batch, nor on what is kept.
absl::Status CheckResult(const Ranker& ranker) {
  constexpr size_t kChecked = 300;
  const RandomRequest request(ranker.shape(), kChecked, ranker.shape().recent_items);
  const auto scratch = ranker.NewScratch(kBlockSize);
  std::vector<float> blocks(kChecked);
  if (absl::Status s = ScoreRequest(ranker, request, *scratch, blocks); !s.ok()) return s;
  for (size_t i = 0; i < kChecked; ++i) {
    float single = 0;
    ranker.ScoreItems(request.Items(i, 1), *scratch, std::span(&single, 1));
    if (single != blocks[i]) return absl::InternalError("scores depend on the batch");
  }
  if (ranker.prepared_width() == 0) return absl::OkStatus();
  KeptRequest kept(ranker, request);
  for (int time = 0; time < 2; ++time) {
    std::vector<float> again(kChecked);
    if (absl::Status s = kept.Score(*scratch, again); !s.ok()) return s;
    if (again != blocks) return absl::InternalError("scores depend on what is kept");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Ranker>> Load(const std::string& directory,
                                             const std::string& attention,
                                             const std::string& precision) {
  const auto files = ReadSnapshotDirectory(directory);
  if (!files.ok()) return files.status();
  const auto snapshot = Snapshot::Create(*files);
  if (!snapshot.ok()) return snapshot.status();
  if ((*snapshot)->manifest().models.empty()) {
    return absl::NotFoundError("the snapshot has no model");
  }
  Manifest::Model model = (*snapshot)->manifest().models.front();
  const auto file = SafetensorsFile::Parse(model.file, files->files.at(model.file));
  if (!file.ok()) return file.status();
  model.options["attention"] = attention;
  model.options["precision"] = precision;
  return MakeRanker(model, *file);
}

Timing MeasureWay(const Way& way, const Ranker& ranker, size_t candidates, size_t repetitions) {
  const RandomRequest request(ranker.shape(), candidates, ranker.shape().recent_items);
  const auto scratch = ranker.NewScratch(kBlockSize);
  std::vector<float> logits(candidates);
  KeptRequest kept(ranker, request);
  const auto score = [&] {
    const absl::Status status = way.items_kept ? kept.Score(*scratch, logits)
                                               : ScoreRequest(ranker, request, *scratch, logits);
    status.IgnoreError();  // CheckResult had the same user
  };
  Measure(repetitions / 10, score);  // warm-up
  return Measure(repetitions, score);
}

int Main(int argc, char** argv) {
  std::string directory = "sample/online-retail";
  std::string precision = "f32";
  size_t repetitions = 400;
  bool as_json = false;
  CLI::App app("Times MacGNN's forward pass on one thread.", "ranking_bench");
  app.add_option("--snapshot", directory, "Snapshot directory")->capture_default_str();
  app.add_option("--repetitions", repetitions)
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  app.add_option("--precision", precision)
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  app.add_flag("--json", as_json, "Print JSON");
  app.footer("Example:\n  ranking_bench --snapshot sample/online-retail");
  CLI11_PARSE(app, argc, argv);

  nlohmann::ordered_json results;
  if (!as_json)
    fmt::print("{:<24}{:>12}{:>12}{:>12}{:>12}\n", "attention", "candidates", "median us", "p10",
               "p90");
  for (const Way& way : kWays) {
    const auto ranker = Load(directory, way.attention, precision);
    const absl::Status status = ranker.ok() ? CheckResult(**ranker) : ranker.status();
    if (!status.ok()) {
      fmt::print(stderr, "ranking_bench: {}\n", std::string(status.message()));
      return 1;
    }
    for (const size_t n : kCandidates) {
      const Timing timing = MeasureWay(way, **ranker, n, repetitions);
      results[way.name][std::to_string(n)] = {
          {"median_us", timing.median_us}, {"p10_us", timing.p10_us}, {"p90_us", timing.p90_us}};
      if (!as_json) {
        fmt::print("{:<24}{:>12}{:>12.1f}{:>12.1f}{:>12.1f}\n", way.name, n, timing.median_us,
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
