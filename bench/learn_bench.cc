// What learning from the log costs on one core: one step of server/pipeline/blend_learner, with its
// candidates and their features, over the graph of a snapshot. Interactions are made up, of users
// who are there with items that somebody took, and are not applied; so all steps are of one graph.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/offline/import.h"
#include "server/pipeline/blend_learner.h"
#include "server/serving/load_state.h"

namespace groundswell {
namespace {

struct Options {
  std::string snapshot;
  std::string directory;
  size_t steps = 4'000;
  bool as_json = false;
};

// Of this thread's processor, so that others on the machine do not count.
double NowMicros() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

[[noreturn]] void Fail(const absl::Status& status) {
  fmt::print(stderr, "learn_bench: {}\n", std::string(status.message()));
  std::exit(1);
}

double MeanOf(const std::vector<double>& us) {
  double sum = 0;
  for (const double one : us) sum += one;
  return us.empty() ? 0 : sum / static_cast<double>(us.size());
}

struct Person {
  std::string id;
  UserState state;
};

std::vector<Person> ReadUsers(const Generation& generation) {
  std::vector<Person> people;
  const absl::Status read =
      generation.ForEachUser([&](std::string_view id, UserState user) -> absl::Status {
        if (!user.edges.empty()) people.push_back({std::string(id), std::move(user)});
        return absl::OkStatus();
      });
  if (!read.ok()) Fail(read);
  return people;
}

int Run(const Options& options) {
  const auto nothing = [](std::string_view, uint64_t, uint64_t) {};
  const auto imported = Import(
      {.snapshot_directory = options.snapshot, .data_dir = options.directory + "/learn_bench"},
      nothing, [] { return false; });
  if (!imported.ok()) Fail(imported.status());
  auto store = GraphStore::Open({.path = options.directory + "/learn_bench"});
  if (!store.ok()) Fail(store.status());
  const auto generation = Generation::OpenCurrent(**store);
  if (!generation.ok()) Fail(generation.status());
  auto loaded = LoadServingState(*generation, {}, nothing);
  if (!loaded.ok()) Fail(loaded.status());
  ServingState& state = **loaded;
  const std::vector<Person> people = ReadUsers(*generation);

  BlendLearner learner(state, {});
  std::mt19937_64 random(1);
  std::vector<double> of_graph, whole;
  for (Offset offset = 1; of_graph.size() + whole.size() < options.steps; ++offset) {
    const Person& asks = people[random() % people.size()];
    const std::vector<Edge>& others = people[random() % people.size()].state.edges;
    const auto before = learner.model().learned();
    const double begin = NowMicros();
    learner.BeforeApplied({.offset = offset,
                           .user = &asks.state,
                           .item = others[random() % others.size()].item,
                           .now_us = state.graph_state.newest_event_time_us});
    const double took = NowMicros() - begin;
    const bool is_whole = BlendLearner::IsWhole(offset, true);
    if (learner.model().learned() != before) (is_whole ? whole : of_graph).push_back(took);
    learner.BeginAnew();  // all are young
  }
  const double one_in = BlendLearner::kWholeOneIn;
  const double mean = MeanOf(of_graph) * (1 - 1 / one_in) + MeanOf(whole) / one_in;
  const double share = 100 * mean / static_cast<double>(LearningPace::kGapUs);
  if (options.as_json) {
    fmt::print("{}\n", nlohmann::ordered_json({{"steps", options.steps},
                                               {"step_of_graph_us", MeanOf(of_graph)},
                                               {"whole_step_us", MeanOf(whole)},
                                               {"step_us", mean},
                                               {"core_percent_max", share}})
                           .dump());
  } else {
    fmt::print(
        "{} steps: {:.0f} us of what the graph proposes, {:.0f} us of all candidates, one in {}: "
        "{:.0f} us; at most {:.1f}% of a core where event time goes as the clock\n",
        options.steps, MeanOf(of_graph), MeanOf(whole), BlendLearner::kWholeOneIn, mean, share);
  }
  std::filesystem::remove_all(options.directory + "/learn_bench");
  return 0;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Times a step of learning from the log, on one thread.", "learn_bench");
  app.add_option("--snapshot", options.snapshot, "Directory of a snapshot")->required();
  app.add_option("--directory", options.directory, "An existing one, for a database")->required();
  app.add_option("--steps", options.steps)->check(CLI::Range(10, 1'000'000))->capture_default_str();
  app.add_flag("--json", options.as_json, "Print JSON");
  app.footer("Example:\n  learn_bench --snapshot sample/online-retail --directory /tmp");
  CLI11_PARSE(app, argc, argv);
  return Run(options);
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
