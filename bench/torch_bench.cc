// The baseline of the rankers: the same weights as a TorchScript module, run by libtorch with all
// candidates as one batch, beside our ranker on the same features, both on one thread. The logits
// are compared before anything is timed.
//
// A TorchScript module has three forms: as it was saved, frozen, and optimised for inference. The
// fastest is the baseline. The user's features are given once per request; MacGNN is also timed
// with the user's features repeated in every row, as training batches have them.
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>
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
constexpr int kFormRuns = 7;
constexpr int kBatchRuns = 5;  // of one contender, before the next one has its turn
constexpr int kRunsMin = 10;

struct Options {
  std::string models;
  std::vector<std::string> names;
  std::vector<size_t> candidates = {500};
  std::vector<size_t> histories;
  double seconds = 2;
  bool as_json = false;
};

// --- Inputs of the modules; see bench/torch/{macgnn,surge}.py.

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
  recent.resize(request.shape.recent_len);
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
std::vector<torch::IValue> SurgeInputs(const RandomRequest& request) {
  std::vector<uint32_t> history(request.recent_items.rbegin(), request.recent_items.rend());
  history.resize(request.shape.recent_len);
  return {ToTensor(std::span<const uint32_t>(history), 1).flatten(),
          static_cast<int64_t>(request.recent_items.size()),
          ToTensor(request.Items(0, request.size()).rows, request.size()).flatten()};
}

// --- Timing.

struct Timing {
  double median_us = 0, p10_us = 0, p90_us = 0;
  size_t runs = 0;
};

class Contender {
 public:
  explicit Contender(std::function<void()> run) : run_(std::move(run)) {
    for (int i = 0; i < kWarmUpRuns; ++i) run_();
  }

  // The first of a batch runs with the caches of the contender before it, and is not counted.
  void Run(int runs) {
    run_();
    for (int i = 0; i < runs; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      run_();
      const auto end = std::chrono::steady_clock::now();
      times_us_.push_back(std::chrono::duration<double, std::micro>(end - begin).count());
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

Form FastestForm(std::vector<Form> forms, const std::vector<torch::IValue>& inputs) {
  std::vector<Contender> contenders;
  for (Form& form : forms) {
    contenders.emplace_back([&] { form.module.forward(inputs); });
  }
  RunInTurns(contenders, 0);
  for (Contender& contender : contenders) contender.Run(kFormRuns);
  size_t best = 0;
  for (size_t i = 1; i < forms.size(); ++i) {
    if (contenders[i].Result().median_us < contenders[best].Result().median_us) best = i;
  }
  return forms[best];
}

std::vector<float> Logits(torch::jit::Module& module, const std::vector<torch::IValue>& inputs) {
  const torch::Tensor logits = module.forward(inputs).toTensor().contiguous();
  return {logits.data_ptr<float>(), logits.data_ptr<float>() + logits.numel()};
}

absl::StatusOr<double> LargestDifference(std::span<const float> ours,
                                         std::span<const float> torch) {
  double largest = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    const double difference = std::abs(double{ours[i]} - double{torch[i]});
    if (!(difference <= kTolerance * (1 + std::abs(torch[i])))) {
      return absl::InternalError(fmt::format(
          "candidate {}: our logit is {}, that of TorchScript {}", i, ours[i], torch[i]));
    }
    largest = std::max(largest, difference);
  }
  return largest;
}

// --- One row of the table.

struct Row {
  std::string model;
  size_t candidates = 0, history = 0;
  double largest_difference = 0;
  std::string form;
  Timing ours, torch;
  std::optional<Timing> torch_user_in_every_row;
};

absl::StatusOr<Row> Measure(const Options& options, const std::string& name, const Ranker& ranker,
                            size_t candidates, size_t history) {
  const RandomRequest request(ranker.shape(), candidates, history);
  const bool is_macgnn = name.starts_with("macgnn");
  const auto inputs = is_macgnn ? MacgnnInputs(request, 1) : SurgeInputs(request);
  const std::unique_ptr<RankerScratch> scratch = ranker.NewScratch(kBlockSize);
  std::vector<float> logits(candidates);
  ScoreRequest(ranker, request, *scratch, logits);

  std::vector<Form> forms = LoadForms(options.models + "/" + name + ".pt");
  for (Form& form : forms) {
    const auto difference = LargestDifference(logits, Logits(form.module, inputs));
    if (!difference.ok()) return difference.status();
  }
  Form form = FastestForm(std::move(forms), inputs);
  Row row{.model = name,
          .candidates = candidates,
          .history = request.recent_items.size(),
          .form = form.name};
  row.largest_difference = *LargestDifference(logits, Logits(form.module, inputs));

  std::vector<Contender> contenders;
  contenders.emplace_back([&] { ScoreRequest(ranker, request, *scratch, logits); });
  contenders.emplace_back([&] { form.module.forward(inputs); });
  std::vector<torch::IValue> repeated;
  if (is_macgnn) {
    repeated = MacgnnInputs(request, candidates);
    const auto difference = LargestDifference(logits, Logits(form.module, repeated));
    if (!difference.ok()) return difference.status();
    contenders.emplace_back([&] { form.module.forward(repeated); });
  }
  RunInTurns(contenders, options.seconds);
  row.ours = contenders[0].Result();
  row.torch = contenders[1].Result();
  if (is_macgnn) row.torch_user_in_every_row = contenders[2].Result();
  return row;
}

// --- Output.

std::string Cell(const Timing& timing) {
  return fmt::format("{:.0f} ({:.0f} to {:.0f})", timing.median_us, timing.p10_us, timing.p90_us);
}

void PrintHeader() {
  fmt::print("{:<20}{:>10}{:>8}  {:<26}{:<28}{:>6}  {:<28}{:>6}  {}\n", "us: median (p10 to p90)",
             "candidates", "history", "ours", "TorchScript", "ratio", "user in every row", "ratio",
             "form; largest difference");
}

void Print(const Row& row) {
  const auto ratio = [&](const Timing& timing) {
    return fmt::format("{:.1f}", timing.median_us / row.ours.median_us);
  };
  const auto& repeated = row.torch_user_in_every_row;
  fmt::print("{:<23}{:>7}{:>8}  {:<26}{:<28}{:>6}  {:<28}{:>6}  {}; {:.0e}\n", row.model,
             row.candidates, row.history, Cell(row.ours), Cell(row.torch), ratio(row.torch),
             repeated ? Cell(*repeated) : "", repeated ? ratio(*repeated) : "", row.form,
             row.largest_difference);
  std::fflush(stdout);
}

nlohmann::ordered_json ToJson(const Row& row) {
  const auto timing = [](const Timing& t) {
    return nlohmann::ordered_json{
        {"median_us", t.median_us}, {"p10_us", t.p10_us}, {"p90_us", t.p90_us}, {"runs", t.runs}};
  };
  nlohmann::ordered_json json = {
      {"model", row.model},         {"candidates", row.candidates},
      {"history", row.history},     {"largest_difference", row.largest_difference},
      {"form", row.form},           {"ours", timing(row.ours)},
      {"torch", timing(row.torch)}, {"ratio", row.torch.median_us / row.ours.median_us}};
  if (row.torch_user_in_every_row) {
    json["torch_user_in_every_row"] = timing(*row.torch_user_in_every_row);
    json["ratio_user_in_every_row"] = row.torch_user_in_every_row->median_us / row.ours.median_us;
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
    if (entry.path().extension() == ".pt") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status Run(const Options& options) {
  auto rows = nlohmann::ordered_json::array();
  if (!options.as_json) PrintHeader();
  for (const std::string& name : ModelNames(options)) {
    const auto ranker = ReadRanker(options.models + "/" + name + ".safetensors");
    if (!ranker.ok()) return ranker.status();
    const std::vector<size_t> whole = {(*ranker)->shape().recent_len};
    for (const size_t history : options.histories.empty() ? whole : options.histories) {
      for (const size_t candidates : options.candidates) {
        const auto row = Measure(options, name, **ranker, candidates, history);
        if (!row.ok())
          return absl::InternalError(fmt::format("{}: {}", name, row.status().ToString()));
        if (!options.as_json) Print(*row);
        rows.push_back(ToJson(*row));
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
  app.add_option("--model", options.names, "Only these; otherwise each that has a .pt")
      ->delimiter(',');
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
