#include "server/offline/import_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "graph/state/neighbor_lists.h"
#include "program/standard_error.h"
#include "server/config/config.h"
#include "server/config/config_reading.h"
#include "server/offline/import.h"
#include "server/process/signals.h"

namespace groundswell {
namespace {

absl::StatusOr<int> RunImport(const ImportOptions& options) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  std::string last_step;
  const auto report = Import(
      options,
      [&](std::string_view step, uint64_t done, uint64_t total) {
        if (!terminal && step == last_step) return;
        last_step = step;
        PrintToStandardError("{}import: {:<26} {:>12} of {}{}", terminal ? "\r" : "", step, done,
                             total, terminal && done < total ? "" : "\n");
      },
      Interrupted);
  if (!report.ok()) return report.status();
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
  command
      .add_option(
          "--traced-interactions", options.window.traced,
          "Keep the order and the repeats of the newest so many interactions of a user, from "
          "which next items are told; older ones are summed up by item. 0: of none")
      ->check(CLI::Range(size_t{0}, NeighborLists::kNeighborsMaxLimit))
      ->capture_default_str();
  command.footer(
      "Example:\n  groundswell-server import --snapshot sample/online-retail --data-dir data-dir");
}

}  // namespace

std::function<absl::StatusOr<int>()> AddImportCommand(CLI::App& app) {
  struct Flags {
    ImportOptions options;
    int64_t window_age_s = 0;
  };
  const auto flags = std::make_shared<Flags>();
  CLI::App& command = *app.add_subcommand("import", "Make a database from a snapshot");
  AddImportFlags(command, flags->options, flags->window_age_s);
  return [flags]() -> absl::StatusOr<int> {
    Config config;  // a server takes no other namespace
    absl::Status named = SetKey("server.namespace", flags->options.name_space, config);
    if (!named.ok()) return named;
    flags->options.window.age_us = flags->window_age_s * kMicrosPerSecond;
    flags->options.now_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count();
    return RunImport(flags->options);
  };
}

}  // namespace groundswell
