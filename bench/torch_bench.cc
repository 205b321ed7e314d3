// The baseline of the rankers: the same weights as a TorchScript module, run by libtorch with all
// candidates as one batch, beside our ranker on the same features, both on one thread, whose CPU
// time counts. The logits are compared before anything is timed.
//
// A TorchScript module has three forms: as it was saved, frozen, and optimised for inference. The
// fastest is the baseline. The user's features are given once per request; and repeated in every
// row, as training batches have them, which MacGNN also does in the shape of its authors' module.
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <time.h>
#include <torch/script.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/random_request.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-4;  // of logits, absolute and relative
constexpr int kWarmUpRuns = 4;       // the profiling executor has optimised after two
constexpr int kBatchRuns = 5;        // of one contender, before the next one has its turn
constexpr int kRunsMin = 10;

struct Options {
  std::string models;
  std::vector<std::string> names;
  std::vector<size_t> candidates = {500};
  std::vector<size_t> histories;
  double seconds = 2;
  bool user_once = false;
  bool as_json = false;
};

// --- Inputs of the modules; see bench/torch/{macgnn,surge,sequence,dot}.py.

template <typename T>
torch::Tensor ToTensor(std::span<const T> values, size_t rows) {
  std::vector<int64_t> wide(values.begin(), values.end());
  const auto columns = static_cast<int64_t>(rows == 0 ? 0 : values.size() / rows);
  return torch::tensor(wide, torch::kInt64).reshape({static_cast<int64_t>(rows), columns});
}

// `user_rows`: 1, or one per candidate.
std::vector<torch::IValue> MacgnnInputs(const RandomRequest& request, size_t user_rows) {
  const UserFeatures user = request.User();
  const ItemFeatures items = request.Items(0, request.size());
  const size_t n = request.size();
  const auto of_user = [&](const torch::Tensor& row) {
    return row.expand({static_cast<int64_t>(user_rows), -1}).contiguous();
  };
  std::vector<uint32_t> recent(user.recent_items.begin(), user.recent_items.end());
  recent.resize(request.shape.recent_items);
  return {of_user(ToTensor(std::span(&user.row, 1), 1)).flatten(),
          of_user(ToTensor(user.one_hop, 1)),
          of_user(ToTensor(user.two_hop, 1)),
          of_user(ToTensor(std::span<const uint32_t>(recent), 1)),
          ToTensor(items.rows, n).flatten(),
          ToTensor(items.one_hop, n),
          ToTensor(items.two_hop, n),
          ToTensor(items.recent_users, n)};
}

// The history oldest first, padded with row 0.
// SLi-Rec's times likewise.
std::vector<torch::IValue> HistoryInputs(const RandomRequest& request, size_t user_rows) {
  std::vector<uint32_t> history(request.recent_items.rbegin(), request.recent_items.rend());
  history.resize(request.shape.recent_items);
  const auto rows = static_cast<int64_t>(user_rows);
  const auto length = static_cast<int64_t>(request.recent_items.size());
  std::vector<torch::IValue> inputs = {
      ToTensor(std::span<const uint32_t>(history), 1).expand({rows, -1}).contiguous(),
      torch::full({rows}, length, torch::kInt64),
      ToTensor(request.Items(0, request.size()).rows, request.size()).flatten()};
  if (request.shape.recent_times == 0) return inputs;
  const UserFeatures user = request.User();
  std::vector<int64_t> times(user.recent_times_us.rbegin(), user.recent_times_us.rend());
  times.resize(request.shape.recent_items);
  inputs.push_back(ToTensor(std::span<const int64_t>(times), 1).expand({rows, -1}).contiguous());
  inputs.push_back(torch::full({rows}, user.first_time_us, torch::kInt64));
  inputs.push_back(torch::full({rows}, user.now_us, torch::kInt64));
  return inputs;
}

std::vector<torch::IValue> DotInputs(const RandomRequest& request, size_t user_rows) {
  return {torch::full({static_cast<int64_t>(user_rows)}, int64_t{request.user}, torch::kInt64),
          ToTensor(request.Items(0, request.size()).rows, request.size()).flatten()};
}

// By what the model reads.
std::vector<torch::IValue> Inputs(const RandomRequest& request, size_t user_rows) {
  if (request.shape.recent_users > 0) return MacgnnInputs(request, user_rows);
  if (request.shape.recent_items > 0) return HistoryInputs(request, user_rows);
  return DotInputs(request, user_rows);
}

// --- Timing.

struct Timing {
  double median_us = 0, p10_us = 0, p90_us = 0;
  size_t runs = 0;
};

// CPU time of this thread, on which everything runs: what other programs take is not counted.
double CpuMicros() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

class Contender {
 public:
  explicit Contender(std::function<void()> run) : run_(std::move(run)) {
    for (int i = 0; i < kWarmUpRuns; ++i) run_();
  }

  // The first of a batch runs with the caches of the contender before it, and is not counted.
  void Run(int runs) {
    run_();
    for (int i = 0; i < runs; ++i) {
      const double begin = CpuMicros();
      run_();
      times_us_.push_back(CpuMicros() - begin);
    }
  }

  Timing Result() const {
    std::vector<double> times = times_us_;
    std::sort(times.begin(), times.end());
    const size_t n = times.size();
    return {times[n / 2], times[n / 10], times[n * 9 / 10], n};
  }

 private:
  std::function<void()> run_;
  std::vector<double> times_us_;
};

// The contenders in turns, so that a busy spell of the machine meets all of them.
void RunInTurns(std::vector<Contender>& contenders, double seconds) {
  const auto begin = std::chrono::steady_clock::now();
  for (int runs = 0; runs < kRunsMin || std::chrono::steady_clock::now() - begin <
                                            std::chrono::duration<double>(seconds);
       runs += kBatchRuns) {
    for (Contender& contender : contenders) contender.Run(kBatchRuns);
  }
}

// --- The modules.

struct Form {
  std::string name;
  torch::jit::Module module;
};

std::vector<Form> LoadForms(const std::string& path) {
  const auto load = [&] {
    torch::jit::Module module = torch::jit::load(path);
    module.eval();
    return module;
  };
  torch::jit::Module optimised = load();
  optimised = torch::jit::optimize_for_inference(optimised);
  return {{"as saved", load()},
          {"frozen", torch::jit::freeze(load())},
          {"optimised for inference", optimised}};
}

// A module with its inputs, all of which it takes as one batch.
struct Baseline {
  std::string name;
  std::string path;
  std::vector<torch::IValue> inputs;
};

std::vector<Baseline> Baselines(const Options& options, const std::string& model,
                                const RandomRequest& request) {
  const std::string path = options.models + "/" + model;
  std::vector<Baseline> baselines = {{"TorchScript, user once", path + ".pt", Inputs(request, 1)}};
  if (options.user_once) return baselines;
  baselines.push_back(
      {"TorchScript, user in every row", path + ".pt", Inputs(request, request.size())});
  if (fs::exists(path + ".published.pt")) {
    baselines.push_back(
        {"TorchScript, published shape", path + ".published.pt", Inputs(request, request.size())});
  }
  return baselines;
}

absl::StatusOr<double> LargestDifference(std::span<const float> ours, const Baseline& baseline,
                                         torch::jit::Module& module) {
  const torch::Tensor output = module.forward(baseline.inputs).toTensor().contiguous();
  const std::span<const float> logits(output.data_ptr<float>(), output.numel());
  if (logits.size() != ours.size()) return absl::InternalError("not one logit per candidate");
  double largest = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    const double difference = std::abs(double{ours[i]} - double{logits[i]});
    if (!(difference <= kTolerance * (1 + std::abs(logits[i])))) {
      return absl::InternalError(fmt::format("candidate {}: our logit is {}, that of {} {}", i,
                                             ours[i], baseline.name, logits[i]));
    }
    largest = std::max(largest, difference);
  }
  return largest;
}

struct Fastest {
  Form form;
  double largest_difference = 0;
};

// The fastest form of a baseline, all of whose forms must agree with our logits.
absl::StatusOr<Fastest> FastestForm(const Baseline& baseline, std::span<const float> ours) {
  std::optional<Fastest> fastest;
  double best_us = 0;
  for (Form& form : LoadForms(baseline.path)) {
    const auto difference = LargestDifference(ours, baseline, form.module);
    if (!difference.ok()) return difference.status();
    Contender contender([&] { form.module.forward(baseline.inputs); });
    contender.Run(kBatchRuns);
    const double time_us = contender.Result().median_us;
    if (!fastest || time_us < best_us) {
      fastest = {form, *difference};
      best_us = time_us;
    }
  }
  return *fastest;
}

// --- One request: ours and the baselines.

struct Measured {
  std::string name;
  Timing timing;
  std::string form;               // of a baseline
  double largest_difference = 0;  // of a baseline's logits to ours
};

// One of our rankers with all that it needs for one request.
struct Ours {
  Ours(const Ranker& which, const RandomRequest& scored)
      : ranker(which),
        request(scored),
        scratch(which.NewScratch(kBlockSize)),
        logits(scored.size()) {
    if (ranker.prepared_width() > 0) kept.emplace(ranker, request);
  }

  absl::Status Score() { return ScoreRequest(ranker, request, *scratch, logits); }

  // Score was OK.
  void AddTo(const std::string& name, std::vector<Measured>& measured,
             std::vector<Contender>& contenders) {
    measured.push_back({.name = name});
    contenders.emplace_back([this] { Score().IgnoreError(); });
    if (!kept) return;
    measured.push_back({.name = name + ", items kept"});
    contenders.emplace_back([this] { kept->Score(*scratch, logits).IgnoreError(); });
  }

  const Ranker& ranker;
  const RandomRequest& request;
  const std::unique_ptr<RankerScratch> scratch;
  std::vector<float> logits;
  std::optional<KeptRequest> kept;
};

// `in_bf16`: null where that is not computed in.
absl::StatusOr<std::vector<Measured>> Measure(const Options& options, const std::string& model,
                                              const Ranker& ranker, const Ranker* in_bf16,
                                              const RandomRequest& request) {
  std::vector<Measured> measured;
  std::vector<Contender> contenders;
  Ours ours(ranker, request);
  if (absl::Status s = ours.Score(); !s.ok()) return s;
  const std::vector<float> logits = ours.logits;
  ours.AddTo("Groundswell", measured, contenders);
  std::optional<Ours> ours_in_bf16;
  if (in_bf16 != nullptr) {
    ours_in_bf16.emplace(*in_bf16, request);
    ours_in_bf16->AddTo("Groundswell, bf16", measured, contenders);
  }
  const std::vector<Baseline> baselines = Baselines(options, model, request);
  for (const Baseline& baseline : baselines) {
    const auto fastest = FastestForm(baseline, logits);
    if (!fastest.ok()) return fastest.status();
    measured.push_back({.name = baseline.name,
                        .form = fastest->form.name,
                        .largest_difference = fastest->largest_difference});
    contenders.emplace_back(
        [&baseline, module = fastest->form.module]() mutable { module.forward(baseline.inputs); });
  }
  RunInTurns(contenders, options.seconds);
  for (size_t i = 0; i < measured.size(); ++i) measured[i].timing = contenders[i].Result();
  return measured;
}

// --- Output.

constexpr const char* kLine = "{:<18}{:>11}{:>9}  {:<32}{:>11}{:>11}{:>11}{:>8}  {}\n";

void PrintHeader() {
  fmt::print(kLine, "model", "candidates", "history", "", "median us", "p10", "p90", "ratio",
             "form; largest difference of a logit");
}

void Print(const std::string& model, const RandomRequest& request,
           std::span<const Measured> measured) {
  const auto us = [](double value) { return fmt::format("{:.0f}", value); };
  for (const Measured& m : measured) {
    fmt::print(kLine, model, request.size(), request.recent_items.size(), m.name,
               us(m.timing.median_us), us(m.timing.p10_us), us(m.timing.p90_us),
               fmt::format("{:.1f}", m.timing.median_us / measured[0].timing.median_us),
               m.form.empty() ? "" : fmt::format("{}; {:.0e}", m.form, m.largest_difference));
  }
  std::fflush(stdout);
}

nlohmann::ordered_json ToJson(const std::string& model, const RandomRequest& request,
                              std::span<const Measured> measured) {
  nlohmann::ordered_json json = {
      {"model", model}, {"candidates", request.size()}, {"history", request.recent_items.size()}};
  for (const Measured& m : measured) {
    json["measured"].push_back({{"name", m.name},
                                {"median_us", m.timing.median_us},
                                {"p10_us", m.timing.p10_us},
                                {"p90_us", m.timing.p90_us},
                                {"runs", m.timing.runs},
                                {"ratio", m.timing.median_us / measured[0].timing.median_us},
                                {"form", m.form},
                                {"largest_difference", m.largest_difference}});
  }
  return json;
}

// --- The program.

// at::set_num_threads reaches OpenMP, but not the pool of threads of Debian's OpenBLAS.
void UseOneThread() {
  at::set_num_threads(1);
  at::set_num_interop_threads(1);
  using SetThreads = void (*)(int);
  if (const auto set =
          reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
      set != nullptr) {
    set(1);
  }
}

// Names of the models in the directory, or those asked for.
std::vector<std::string> ModelNames(const Options& options) {
  if (!options.names.empty()) return options.names;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(options.models)) {
    if (entry.path().extension() == ".safetensors") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status Run(const Options& options) {
  auto rows = nlohmann::ordered_json::array();
  if (!options.as_json) PrintHeader();
  for (const std::string& name : ModelNames(options)) {
    const std::string path = options.models + "/" + name + ".safetensors";
    const auto ranker = ReadRanker(path);
    if (!ranker.ok()) return ranker.status();
    const auto other = ReadRanker(path, "bf16");  // refused where there is nothing to choose
    const bool is_bf16 = other.ok() && (*other)->arithmetic().starts_with("bf16");
    const std::vector<size_t> whole = {(*ranker)->shape().recent_items};
    for (const size_t history : options.histories.empty() ? whole : options.histories) {
      for (const size_t candidates : options.candidates) {
        const RandomRequest request((*ranker)->shape(), candidates, history);
        const auto measured =
            Measure(options, name, **ranker, is_bf16 ? other->get() : nullptr, request);
        if (!measured.ok()) return measured.status();
        if (!options.as_json) Print(name, request, *measured);
        rows.push_back(ToJson(name, request, *measured));
      }
    }
  }
  if (options.as_json) fmt::print("{}\n", rows.dump());
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Times TorchScript modules and our rankers on the same weights and features.",
               "torch_bench");
  app.add_option("--models", options.models,
                 "Directory with NAME.safetensors (bench/random_weights.py) and NAME.pt "
                 "(bench/torch/export.py)")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--model", options.names, "Only these; otherwise all")->delimiter(',');
  app.add_option("--candidates", options.candidates)
      ->delimiter(',')
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--histories", options.histories,
                 "Lengths of the user's history; otherwise all that the model reads")
      ->delimiter(',');
  app.add_option("--seconds", options.seconds, "Measured per row, at least")->capture_default_str();
  app.add_flag("--json", options.as_json, "Print JSON");
  app.footer(
      "Example:\n"
      "  bench/random_weights.py build/models && bench/torch/export.py build/models/*.safetensors\n"
      "  torch_bench --models build/models --model macgnn-none --candidates 1,100,500,10000");
  CLI11_PARSE(app, argc, argv);

  UseOneThread();
  const c10::InferenceMode inference;
  try {
    const absl::Status status = Run(options);
    if (status.ok()) return 0;
    fmt::print(stderr, "torch_bench: {}\n", std::string(status.message()));
  } catch (const std::exception& error) {  // libtorch, the file system
    fmt::print(stderr, "torch_bench: {}\n", error.what());
  }
  return 1;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
