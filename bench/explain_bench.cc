// What it costs to explain the ten best items of a list, beside ranking 500 candidates: exact
// leave-one-out through the Ranker interface, on one thread, on random models and features. The
// explanations are checked before anything is timed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/random_request.h"
#include "models/explanations.h"

namespace groundswell {
namespace {

constexpr size_t kCandidates = 500;
constexpr float kTolerance = 1e-5f;  // of logits that are a few units large

struct Options {
  std::string models;
  size_t repetitions = 100;
  std::optional<size_t> causes;
  bool as_json = false;
};

// One ranker, one user, and the memory of one thread.
struct Bench {
  Bench(const Ranker& which, const Options& options)
      : ranker(which),
        request(which.shape(), kCandidates, which.shape().recent_items),
        scratch(which.NewScratch(kBlockSize)),
        logits(kCandidates),
        causes_max(options.causes) {}

  absl::Status Rank() { return ScoreRequest(ranker, request, *scratch, logits); }

  bool Explain() {
    return groundswell::Explain(
        {.ranker = ranker,
         .user = request.User(),
         .items = request.Items(0, kExplainedItemsMax),
         .causes_max = causes_max},
        *scratch, buffers, [] { return true; }, explanations);
  }

  const Ranker& ranker;
  RandomRequest request;
  std::unique_ptr<RankerScratch> scratch;
  std::vector<float> logits;
  const std::optional<size_t> causes_max;
  ExplanationBuffers buffers;
  Explanations explanations;
};

// The newest item of the history, left out by hand.
absl::Status CheckResult(Bench& bench) {
  if (absl::Status s = bench.Rank(); !s.ok()) return s;
  if (!bench.Explain()) return absl::InternalError("was not explained");
  if (bench.request.recent_items.empty()) return absl::OkStatus();
  UserFeatures user = bench.request.User();
  user.recent_items = user.recent_items.subspan(1);
  std::vector<float> without(kExplainedItemsMax);
  if (absl::Status s = bench.ranker.PrepareUser(user, *bench.scratch); !s.ok()) return s;
  bench.ranker.ScoreItems(bench.request.Items(0, kExplainedItemsMax), *bench.scratch, without);
  const Cause newest{.kind = Cause::Kind::kPastItem, .number = 0};
  for (size_t i = 0; i < without.size(); ++i) {
    const std::vector<Explanation>& found = bench.explanations.of_item[i];
    const auto at = std::find_if(found.begin(), found.end(), [&](const Explanation& explanation) {
      return explanation.cause == newest;
    });
    const float contribution = at == found.end() ? 0 : at->contribution;
    if (!(std::abs(contribution - (bench.logits[i] - without[i])) <= kTolerance)) {
      return absl::InternalError("a contribution is not that of leaving the item out");
    }
  }
  return absl::OkStatus();
}

struct Timing {
  double rank_us = 0;  // medians
  double explain_us = 0;
  double ratio = 0;  // of explaining to ranking, median over the rounds
};

template <typename Work>
double Microseconds(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  const auto end = std::chrono::steady_clock::now();
  return std::chrono::duration<double, std::micro>(end - begin).count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// In turns, so that whatever slows the machine slows both.
Timing Measure(Bench& bench, size_t repetitions) {
  std::vector<double> rank;
  std::vector<double> explain;
  std::vector<double> ratio;
  for (size_t i = 0; i < repetitions; ++i) {
    rank.push_back(Microseconds([&] { bench.Rank().IgnoreError(); }));  // CheckResult ran it
    explain.push_back(Microseconds([&] { bench.Explain(); }));
    ratio.push_back(explain.back() / rank.back());
  }
  return {Median(rank), Median(explain), Median(ratio)};
}

std::vector<std::string> ModelFiles(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

absl::Status Run(const Options& options) {
  const std::vector<std::string> files = ModelFiles(options.models);
  if (files.empty()) {
    return absl::NotFoundError(fmt::format(
        "{}: no .safetensors file; write some with bench/random_weights.py", options.models));
  }
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  if (!options.as_json) {
    fmt::print("{:<24}{:>8}{:>8}{:>14}{:>16}{:>8}\n", "model", "causes", "tried", "rank 500, us",
               "explain 10, us", "ratio");
  }
  for (const std::string& file : files) {
    const auto ranker = ReadRanker(file);
    if (!ranker.ok()) return ranker.status();
    Bench bench(**ranker, options);
    if (absl::Status s = CheckResult(bench); !s.ok()) return s;
    Measure(bench, options.repetitions / 10 + 1);  // warm-up
    const Timing timing = Measure(bench, options.repetitions);
    const std::string name = std::filesystem::path(file).stem().string();
    const Explanations& explanations = bench.explanations;
    results.push_back({{"model", name},
                       {"causes", explanations.causes},
                       {"causes_tried", explanations.causes_tried},
                       {"rank_us", timing.rank_us},
                       {"explain_us", timing.explain_us},
                       {"ratio", timing.ratio}});
    if (!options.as_json) {
      fmt::print("{:<24}{:>8}{:>8}{:>14.1f}{:>16.1f}{:>8.2f}\n", name, explanations.causes,
                 explanations.causes_tried, timing.rank_us, timing.explain_us, timing.ratio);
    }
  }
  if (options.as_json) fmt::print("{}\n", results.dump());
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Times explaining 10 items beside ranking 500, on one thread.", "explain_bench");
  app.add_option("models", options.models, "Folder of weights files")->required();
  app.add_option("--repetitions", options.repetitions)
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  app.add_option("--causes", options.causes,
                 "Causes tried at most; by default what the ranker allows");
  app.add_flag("--json", options.as_json, "Print JSON");
  app.footer("Example:\n  bench/random_weights.py models && explain_bench models");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = Run(options);
  if (status.ok()) return 0;
  fmt::print(stderr, "explain_bench: {}\n", std::string(status.message()));
  return 1;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
