// groundswell-server: serves, imports snapshots, replays logs, verifies and recovers databases.
#include <fmt/format.h>
#include <semaphore.h>
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "server/config/config.h"
#include "server/offline/import.h"
#include "server/offline/recovery.h"
#include "server/offline/replay.h"
#include "server/process/logging.h"
#include "server/server.h"

// Read by jemalloc: what is freed goes back to the system after some seconds, by a thread of its
// own and not by one that answers requests. MALLOC_CONF in the environment overrides it.
extern "C" const char* malloc_conf;
const char* malloc_conf = "background_thread:true";

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
  SetLogFormat(config->logging.format == "json" ? LogFormat::kJson : LogFormat::kText);
  spdlog::info("effective configuration:\n{}", EffectiveToml(*config));

  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(*config, [] { return interrupted.load(); });
  if (!server.ok()) return Fail(server.status());
  // For scripts that asked for port 0.
  fmt::print("ready grpc_port={} http_port={} admin_port={}\n", (*server)->grpc_port(),
             (*server)->http_port(), (*server)->admin_port());
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
  fmt::print("\n{}\n", Describe(report->examples));
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

struct DatabaseFlags {
  std::string data_dir;
  std::string name_space = "default";
  std::string backup;
  bool accept_loss = false;
  bool json = false;
};

void AddDatabaseFlags(CLI::App& command, DatabaseFlags& flags) {
  command.add_option("--data-dir", flags.data_dir, "Database directory")->required();
  command.add_option("--namespace", flags.name_space, "Namespace in it")->capture_default_str();
}

void ShowProgress(std::string_view what, uint64_t done, uint64_t total) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  static std::string last;
  if (!terminal && what == last) return;
  last = what;
  fmt::print(stderr, "{}{} {}{}", terminal ? "\r" : "", what,
             total == 0 ? std::string() : fmt::format("{} of {}", done, total),
             terminal && done < total ? "" : "\n");
}

int RunVerify(const DatabaseFlags& flags) {
  const auto verified = VerifyDatabase(flags.data_dir, flags.name_space, ShowProgress);
  if (!verified.ok()) return Fail(verified.status());
  const Verification& graph = verified->graph;
  if (flags.json) {
    const nlohmann::ordered_json report = {{"snapshot", verified->snapshot_version},
                                           {"log_begin_offset", verified->log.begin},
                                           {"log_end_offset", verified->log.end},
                                           {"interactions", verified->log.interactions},
                                           {"redacted", verified->log.redacted},
                                           {"applied_offset", graph.applied_offset},
                                           {"digest", graph.digest.ToString()},
                                           {"users", graph.users},
                                           {"edges", graph.edges},
                                           {"items", graph.items},
                                           {"counters", graph.counters},
                                           {"difference_count", graph.difference_count},
                                           {"differences", graph.differences}};
    fmt::print("{}\n", report.dump());
  } else {
    fmt::print(
        "snapshot  {}\nlog       offsets {} to {}: {} interactions, {} redacted\n"
        "graph     applied to {}: {} users, {} items, {} edges\n"
        "counters  {} compared, {} differ\ndigest    {}\n",
        verified->snapshot_version, verified->log.begin, verified->log.end,
        verified->log.interactions, verified->log.redacted, graph.applied_offset, graph.users,
        graph.items, graph.edges, graph.counters, graph.difference_count, graph.digest.ToString());
    for (const std::string& difference : graph.differences) fmt::print("  {}\n", difference);
  }
  return graph.difference_count == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int RunRestore(const DatabaseFlags& flags) {
  const absl::Status restored =
      RestoreBackup(flags.backup, flags.data_dir, flags.name_space, ShowProgress);
  if (!restored.ok()) return Fail(restored);
  fmt::print("restored {} from {}\n", flags.data_dir, flags.backup);
  return EXIT_SUCCESS;
}

int RunRepair(const DatabaseFlags& flags) {
  const auto repair = RepairDatabase(flags.data_dir, flags.name_space, flags.accept_loss);
  if (!repair.ok()) return Fail(repair.status());
  if (repair->damage.empty()) {
    fmt::print("{} is whole up to offset {}\n", flags.data_dir, repair->kept_until);
    return EXIT_SUCCESS;
  }
  fmt::print("damage: {}\nthe log is whole up to offset {}\n", repair->damage, repair->kept_until);
  if (repair->lost_until > repair->kept_until) {
    fmt::print("lost: the interactions {} to {}\n", repair->kept_until + 1, repair->lost_until);
  }
  if (flags.accept_loss) {
    fmt::print("repaired; the next interaction gets offset {}\n", repair->continues_at);
    return EXIT_SUCCESS;
  }
  fmt::print("nothing was changed; repair it with --accept-loss\n");
  return EXIT_FAILURE;
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
  command.add_option("--features-at", options.features_at_s,
                     "All rows with the features of this time, to measure what freshness is worth");
  NegativeCounts& negatives = options.negatives;
  const auto add_count = [&command](const char* name, uint32_t& count, const char* help) {
    command.add_option(name, count, help)->check(CLI::Range(0, 1'000))->capture_default_str();
  };
  add_count("--uniform-negatives", negatives.uniform, "Negatives per event, drawn from all items");
  add_count("--popular-negatives", negatives.popular, "Drawn from all earlier events");
  add_count("--session-negatives", negatives.session, "Drawn from the events of the last while");
  add_count("--retrieval-negatives", negatives.retrieval,
            "Drawn from what the embedding search finds for the user as they are then");
  command.add_option("--session-s", negatives.session_s, "Length of that while, in seconds")
      ->check(CLI::Range(1, 31'536'000))
      ->capture_default_str();
  command.add_option("--retrieval-depth", negatives.retrieval_depth, "Items that the search finds")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command.add_option("--history-len", options.history_len, "Newest items of the user per event")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command.add_option("--recent-len", options.recent_len, "Newest users per item")
      ->check(CLI::Range(1, 1'000))
      ->capture_default_str();
  command.add_flag("--create-items", options.creates_items,
                   "Items outside the snapshot are new ones; else their events are left out");
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
  DatabaseFlags database;
  CLI::App& verify =
      *app.add_subcommand("verify", "Recompute every counter of a database and compare exactly");
  AddDatabaseFlags(verify, database);
  verify.add_flag("--json", database.json, "Print one JSON object");
  verify.footer("Example:\n  groundswell-server verify --data-dir data-dir");
  CLI::App& restore = *app.add_subcommand("restore", "Make a database from a backup");
  AddDatabaseFlags(restore, database);
  restore.add_option("--backup", database.backup, "Backup directory; it stays")->required();
  restore.footer("Example:\n  groundswell-server restore --backup backup --data-dir data-dir");
  CLI::App& repair =
      *app.add_subcommand("repair", "See what a damaged database has lost, or go on");
  AddDatabaseFlags(repair, database);
  repair.add_flag("--accept-loss", database.accept_loss, "Change the database so that it serves");
  repair.footer("Example:\n  groundswell-server repair --data-dir data-dir");
  CLI11_PARSE(app, argc, argv);

  if (serve) return Serve(serve_flags);
  if (import) {
    import_options.window.age_us = window_age_s * 1'000'000;
    import_options.now_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count();
    return RunImport(import_options);
  }
  if (verify) return RunVerify(database);
  if (restore) return RunRestore(database);
  if (repair) return RunRepair(database);
  const absl::Status replayed = Replay(replay_options, [] { return interrupted.load(); });
  return replayed.ok() ? EXIT_SUCCESS : Fail(replayed);
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
