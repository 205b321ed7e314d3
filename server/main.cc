// groundswell-server: serves, imports snapshots, replays logs.
#include <fmt/format.h>
#include <semaphore.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/config.h"
#include "server/import.h"
#include "server/replay.h"
#include "server/server.h"

namespace groundswell {
namespace {

// Set and posted by the handler of SIGINT and SIGTERM. A handler and not sigwait: libraries start
// threads before main, and those would take a signal that only our threads block.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");
sem_t interruption;

void OnSignal(int /*signal_number*/) {
  interrupted = true;
  sem_post(&interruption);
}

void HandleSignals() {
  sem_init(&interruption, /*pshared=*/0, 0);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void WaitForSignal() {
  while (sem_wait(&interruption) != 0) {
  }
}

int Fail(const absl::Status& status) {
  fmt::print(stderr, "groundswell-server: {}\n", std::string(status.message()));
  return EXIT_FAILURE;
}

int Serve(const ConfigFlags& flags) {
  absl::StatusOr<Config> config = flags.Resolve(CurrentEnvironment());
  if (!config.ok()) return Fail(config.status());
  if (absl::Status s = RequireDataDir(*config); !s.ok()) return Fail(s);
  spdlog::set_level(spdlog::level::from_str(config->logging.level));
  spdlog::info("effective configuration:\n{}", EffectiveToml(*config));

  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(*config, [] { return interrupted.load(); });
  if (!server.ok()) return Fail(server.status());
  // For scripts that asked for port 0.
  fmt::print("ready grpc_port={} http_port={}\n", (*server)->grpc_port(), (*server)->http_port());
  std::fflush(stdout);
  WaitForSignal();
  spdlog::info("draining");
  (*server)->Drain();
  spdlog::info("stopped");
  return EXIT_SUCCESS;
}

int RunImport(const ImportOptions& options) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  std::string last_step;
  const auto report = Import(
      options,
      [&](std::string_view step, uint64_t done, uint64_t total) {
        if (!terminal && step == last_step) return;
        last_step = step;
        fmt::print(stderr, "{}import: {:<26} {:>12} of {}{}", terminal ? "\r" : "", step, done,
                   total, terminal && done < total ? "" : "\n");
      },
      [] { return interrupted.load(); });
  if (!report.ok()) return Fail(report.status());
  if (report->already_there) {
    fmt::print("{} is in {} already; nothing was changed\n", report->snapshot_version,
               options.data_dir);
    return EXIT_SUCCESS;
  }
  fmt::print("imported {} into {}: {} users, {} items, {} edges", report->snapshot_version,
             options.data_dir, report->users, report->items, report->edges);
  if (report->carried_interactions > 0) {
    fmt::print(", and {} interactions of its own log", report->carried_interactions);
  }
  fmt::print("\n");
  return EXIT_SUCCESS;
}

void AddImportFlags(CLI::App& command, ImportOptions& options, int64_t& window_age_s) {
  command.add_option("--snapshot", options.snapshot_directory, "Snapshot directory")->required();
  command.add_option("--data-dir", options.data_dir, "Database directory to make or replace")
      ->required();
  command.add_option("--namespace", options.name_space, "Namespace to import into")
      ->capture_default_str();
  command
      .add_option("--window-age-s", window_age_s,
                  "Keep a user's interactions of so many seconds, by event time; 0: all")
      ->check(CLI::Range(int64_t{0}, int64_t{3'153'600'000}))
      ->capture_default_str();
  command
      .add_option("--window-interactions", options.window.interactions,
                  "Keep the newest so many interactions of a user; 0: all")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command
      .add_option("--window-items", options.window.items,
                  "Keep the newest so many items of a user; 0: all")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command.footer(
      "Example:\n  groundswell-server import --snapshot sample/online-retail --data-dir data-dir");
}

void AddReplayFlags(CLI::App& command, ReplayOptions& options) {
  command.add_option("--snapshot", options.snapshot_directory, "Snapshot directory")->required();
  command
      .add_option("--events", options.events_path,
                  "CSV of interactions in time order: timestamp (Unix seconds), user, item")
      ->required();
  command.add_option("--graph-out", options.graph_out, "Write graph.safetensors here");
  command.add_option("--rows-out", options.rows_out, "Write training rows here");
  command.add_option("--rows-from", options.rows_from_s, "First event time that makes rows");
  command.add_option("--rows-until", options.rows_until_s, "Event time before which rows end");
  command.add_option("--sample-rate", options.sample_rate, "Share of the events that make rows")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--negatives", options.negatives, "Negatives per positive")
      ->check(CLI::Range(0, 1'000))
      ->capture_default_str();
  command
      .add_option("--popular-negatives", options.popular_negatives,
                  "Share of the negatives drawn by popularity")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--recent-len", options.recent_len, "Newest neighbours per row")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command.add_option("--seed", options.seed, "Seed of the samples")->capture_default_str();
  command.footer(
      "Example:\n  groundswell-server replay --snapshot draft --events events.csv "
      "--graph-out graph.safetensors --rows-out rows.safetensors");
}

int Main(int argc, char** argv) {
  HandleSignals();
  spdlog::set_default_logger(spdlog::stderr_color_mt("groundswell"));

  CLI::App app("Serves graph recommenders online.", "groundswell-server");
  app.require_subcommand(1);
  app.set_version_flag("--version", GROUNDSWELL_VERSION);
  CLI::App& serve = *app.add_subcommand("serve", "Serve a database over gRPC");
  const ConfigFlags serve_flags(serve);
  serve.footer("Example:\n  groundswell-server serve --server.data_dir=data-dir");
  ImportOptions import_options;
  CLI::App& import = *app.add_subcommand("import", "Make a database from a snapshot");
  int64_t window_age_s = 0;
  AddImportFlags(import, import_options, window_age_s);
  ReplayOptions replay_options;
  CLI::App& replay = *app.add_subcommand("replay", "Make training rows and the graph from a log");
  AddReplayFlags(replay, replay_options);
  CLI11_PARSE(app, argc, argv);

  if (serve) return Serve(serve_flags);
  if (import) {
    import_options.window.age_us = window_age_s * 1'000'000;
    return RunImport(import_options);
  }
  const absl::Status replayed = Replay(replay_options, [] { return interrupted.load(); });
  return replayed.ok() ? EXIT_SUCCESS : Fail(replayed);
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
