// SURGE's forward pass alone, both variants, over n candidates for one user, on one thread, with
// random weights of the published sizes. The result is checked before anything is timed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "models/surge/forward.h"
#include "models/surge/weights.h"

namespace groundswell {
namespace {

constexpr size_t kItemWidth = 32;
constexpr size_t kCategoryWidth = 8;
constexpr size_t kWidth = kItemWidth + kCategoryWidth;
constexpr size_t kItems = 10'001;
constexpr size_t kCategories = 101;
constexpr size_t kCandidates[] = {1, 10, 100, 500, 1'000, 10'000};
constexpr size_t kHistories[] = {10, 25, 50, 100, 150, 250};

// A safetensors file of random weights.
class RandomWeights {
 public:
  void Add(const std::string& name, const std::vector<size_t>& shape) {
    const double fan_in = static_cast<double>(shape.back());
    std::normal_distribution<float> normal(
        0,
        static_cast<float>(name.find("embed") != std::string::npos ? 0.3 : 1 / std::sqrt(fan_in)));
    size_t size = 1;
    for (const size_t dimension : shape) size *= dimension;
    std::vector<float> values(size);
    for (float& value : values) value = normal(random_);
    AddBytes(name, "F32", shape, values.data(), size * sizeof(float));
  }

  void AddLayer(const std::string& name, size_t out, size_t in) {
    Add(name + ".weight", {out, in});
    Add(name + ".bias", {out});
  }

  void AddBytes(const std::string& name, const char* dtype, const std::vector<size_t>& shape,
                const void* values, size_t size) {
    header_[name] = {
        {"dtype", dtype}, {"shape", shape}, {"data_offsets", {data_.size(), data_.size() + size}}};
    data_.append(static_cast<const char*>(values), size);
  }

  absl::StatusOr<SafetensorsFile> File() const {
    std::string header = header_.dump();
    header.append((8 - header.size() % 8) % 8, ' ');
    const uint64_t size = header.size();
    auto bytes = std::make_shared<FileBytes>(sizeof(size) + header.size() + data_.size());
    std::byte* out = bytes->mutable_view().data();
    std::memcpy(out, &size, sizeof(size));
    std::memcpy(out + sizeof(size), header.data(), header.size());
    std::memcpy(out + sizeof(size) + header.size(), data_.data(), data_.size());
    return SafetensorsFile::Parse("random.safetensors", bytes);
  }

 private:
  std::mt19937_64 random_{1};
  nlohmann::json header_ = nlohmann::json::object();
  std::string data_;
};

void AddVariant(const std::string& variant, size_t clusters, RandomWeights& weights) {
  if (variant == "authors") {
    for (const std::string name : {"f1", "f2", "augru_attention"}) {
      weights.Add(name + ".attention.weight", {kWidth, kWidth});
      weights.AddLayer(name + ".mlp.0", 2 * kWidth, 4 * kWidth);
      weights.AddLayer(name + ".mlp.2", kWidth, 2 * kWidth);
      weights.AddLayer(name + ".mlp.4", 1, kWidth);
    }
    return;
  }
  for (const std::string name : {"cluster", "query"}) {
    weights.Add(name + ".transform.weight", {kWidth, kWidth});
    weights.AddLayer(name + ".mlp.0", kWidth, 3 * kWidth);
    weights.AddLayer(name + ".mlp.2", 1, kWidth);
  }
  weights.Add("pool.weight", {clusters, kWidth});
}

absl::StatusOr<SurgeWeights> MakeWeights(const std::string& variant, size_t history, size_t pool,
                                         const std::string& precision) {
  RandomWeights weights;
  weights.Add("item_embed.weight", {kItems, kItemWidth});
  weights.Add("cate_embed.weight", {kCategories, kCategoryWidth});
  std::vector<int32_t> categories(kItems);
  for (size_t item = 1; item < kItems; ++item) {
    categories[item] = static_cast<int32_t>(1 + item % (kCategories - 1));
  }
  weights.AddBytes("category_of_item", "I32", {kItems}, categories.data(),
                   kItems * sizeof(int32_t));
  weights.Add("metric.weight", {1, kWidth});
  weights.Add("fusion.dense.weight", {kWidth, kWidth});
  weights.AddLayer("augru.gates", 2 * kWidth, 2 * kWidth);
  weights.AddLayer("augru.candidate", kWidth, 2 * kWidth);
  weights.AddLayer("head.0", 100, 4 * kWidth);
  weights.AddLayer("head.2", 64, 100);
  weights.AddLayer("head.4", 1, 64);
  AddVariant(variant, pool, weights);
  const auto file = weights.File();
  if (!file.ok()) return file.status();
  std::map<std::string, std::string> options{
      {"variant", variant}, {"max_history", std::to_string(history)}, {"precision", precision}};
  if (variant == "authors") options["pool_length"] = std::to_string(pool);
  return LoadSurgeWeights(*file, options);
}

std::vector<uint32_t> RandomItems(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint32_t> items(n);
  for (uint32_t& item : items) item = static_cast<uint32_t>(1 + random() % (kItems - 1));
  return items;
}

absl::Status Score(const SurgeWeights& weights, std::span<const uint32_t> history,
                   std::span<const uint32_t> candidates, size_t block, SurgeScratch& scratch,
                   std::vector<float>& logits) {
  const absl::Status prepared = SurgePrepareUser(weights, {.recent_items = history}, scratch);
  if (!prepared.ok()) return prepared;
  for (size_t begin = 0; begin < candidates.size(); begin += block) {
    const size_t size = std::min(block, candidates.size() - begin);
    SurgeScoreItems(weights, {.rows = candidates.subspan(begin, size)}, scratch,
                    std::span(logits).subspan(begin, size));
  }
  return absl::OkStatus();
}

absl::Status CheckResult(const SurgeWeights& weights, size_t block) {
  const std::vector<uint32_t> history = RandomItems(weights.shape.max_history, 2);
  const std::vector<uint32_t> candidates = RandomItems(300, 3);
  const auto scratch = NewSurgeScratch(weights, block);
  std::vector<float> blocks(candidates.size());
  std::vector<float> singles(candidates.size());
  if (absl::Status s = Score(weights, history, candidates, block, *scratch, blocks); !s.ok()) {
    return s;
  }
  if (absl::Status s = Score(weights, history, candidates, 1, *scratch, singles); !s.ok()) return s;
  if (blocks != singles) return absl::InternalError("scores depend on the batch");
  return absl::OkStatus();
}

// Multiplications and additions of the factored form, per candidate.
double MacsPerCandidate(const SurgeWeights& weights, size_t kept) {
  const auto of = [](const DenseLayer& dense) {
    return static_cast<double>(dense.weight.in * dense.weight.out);
  };
  const double history = static_cast<double>(weights.shape.max_history);
  const double d = static_cast<double>(weights.shape.d());
  const double head = of(weights.head0) + of(weights.head2) + of(weights.head4);
  const double step = of(weights.augru.gates_state) + of(weights.augru.candidate_state);
  if (weights.variant == SurgeVariant::kAuthors) {
    const auto attention = [&](const SurgeAttention& a) {
      return of(a.query) + of(a.second) + of(a.third);
    };
    return head + history * (attention(weights.f2) + d) +
           static_cast<double>(kept) * (attention(weights.evolution) + step);
  }
  const double m = static_cast<double>(weights.shape.clusters);
  return head + history * (of(weights.query.query) + of(weights.query.second)) +
         history * history * (d + 1 + m) + history * of(weights.pool) + history * m +
         (m + 1) * (history * d) + m * (of(weights.augru.input) + step);
}

struct Timing {
  double median_us, p10_us, p90_us, gflops;
};

Timing Measure(const SurgeWeights& weights, size_t n, size_t block, size_t repetitions) {
  const std::vector<uint32_t> history = RandomItems(weights.shape.max_history, 2);
  const std::vector<uint32_t> candidates = RandomItems(n, 3);
  const auto scratch = NewSurgeScratch(weights, block);
  std::vector<float> logits(n);
  std::vector<double> times;
  for (size_t i = 0; i < repetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    Score(weights, history, candidates, block, *scratch, logits).IgnoreError();  // CheckResult ran
    const auto end = std::chrono::steady_clock::now();
    times.push_back(std::chrono::duration<double, std::micro>(end - begin).count());
  }
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  const size_t kept = std::min(weights.shape.pool_length, weights.shape.max_history);
  const double flop = 2 * MacsPerCandidate(weights, kept) * static_cast<double>(n);
  return {median, times[times.size() / 10], times[times.size() * 9 / 10], flop / median / 1e3};
}

struct Row {
  std::string variant;
  size_t history;
  size_t pool;  // positions kept at most, or clusters
  size_t candidates;
};

// Candidates at the published history, then histories at 500 candidates: the authors' variant
// without pooling, with it (30 of 50 and 150 of 250), and pooled to 30 whatever the history; the
// paper's with 10 clusters, as many as the golden vectors have, and with 30.
std::vector<Row> MakeRows() {
  std::vector<Row> rows;
  for (const size_t n : kCandidates) {
    rows.push_back({"authors", 50, 30, n});
    rows.push_back({"paper", 50, 30, n});
  }
  for (const size_t history : kHistories) {
    rows.push_back({"authors", history, history, 500});
    rows.push_back({"authors", history, history * 3 / 5, 500});
    rows.push_back({"authors", history, std::min<size_t>(history, 30), 500});
    rows.push_back({"paper", history, 10, 500});
    rows.push_back({"paper", history, 30, 500});
  }
  return rows;
}

int Main(int argc, char** argv) {
  size_t repetitions = 100;
  size_t block = 120;
  bool as_json = false;
  std::string variant;
  std::string precision = "f32";
  size_t history = 0;
  size_t candidates = 0;
  CLI::App app("Times SURGE's forward pass on one thread.", "surge_bench");
  app.add_option("--repetitions", repetitions)
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  app.add_option("--block", block, "Candidates scored at once")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--variant", variant, "Only this one")->check(CLI::IsMember({"authors", "paper"}));
  app.add_option("--history", history, "Only this length");
  app.add_option("--candidates", candidates, "Only this many");
  app.add_option("--precision", precision)
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  app.add_flag("--json", as_json, "Print JSON");
  app.footer("Example:\n  surge_bench --repetitions 200");
  CLI11_PARSE(app, argc, argv);

  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  if (!as_json) {
    fmt::print("{:<10}{:>9}{:>7}{:>12}{:>12}{:>12}{:>12}{:>9}\n", "variant", "history", "pool",
               "candidates", "median us", "p10", "p90", "GFLOP/s");
  }
  for (const Row& row : MakeRows()) {
    if ((!variant.empty() && row.variant != variant) || (history > 0 && row.history != history) ||
        (candidates > 0 && row.candidates != candidates)) {
      continue;
    }
    const auto weights = MakeWeights(row.variant, row.history, row.pool, precision);
    const absl::Status status = weights.ok() ? CheckResult(*weights, block) : weights.status();
    if (!status.ok()) {
      fmt::print(stderr, "surge_bench: {}\n", std::string(status.message()));
      return 1;
    }
    const size_t runs =
        std::max<size_t>(10, repetitions * 500 / std::max<size_t>(500, row.candidates));
    Measure(*weights, row.candidates, block, runs / 10 + 1);  // warm-up
    const Timing timing = Measure(*weights, row.candidates, block, runs);
    results.push_back({{"variant", row.variant},
                       {"history", row.history},
                       {"pool", row.pool},
                       {"candidates", row.candidates},
                       {"median_us", timing.median_us},
                       {"p10_us", timing.p10_us},
                       {"p90_us", timing.p90_us},
                       {"gflops", timing.gflops}});
    if (!as_json) {
      fmt::print("{:<10}{:>9}{:>7}{:>12}{:>12.1f}{:>12.1f}{:>12.1f}{:>9.1f}\n", row.variant,
                 row.history, row.pool, row.candidates, timing.median_us, timing.p10_us,
                 timing.p90_us, timing.gflops);
    }
  }
  if (as_json) fmt::print("{}\n", results.dump());
  return 0;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
