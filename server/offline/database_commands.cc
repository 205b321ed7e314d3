#include "server/offline/database_commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "program/standard_error.h"
#include "server/offline/recovery.h"

namespace groundswell {
namespace {

struct DatabaseFlags {
  std::string data_dir;
  std::string name_space = "default";
  std::string backup;
  bool replaces = false;
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
  PrintToStandardError("{}{} {}{}", terminal ? "\r" : "", what,
                       total == 0 ? std::string() : fmt::format("{} of {}", done, total),
                       terminal && done < total ? "" : "\n");
}

absl::StatusOr<int> RunVerify(const DatabaseFlags& flags) {
  const auto verified = VerifyDatabase(flags.data_dir, flags.name_space, ShowProgress);
  if (!verified.ok()) return verified.status();
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

absl::StatusOr<int> RunRestore(const DatabaseFlags& flags) {
  const absl::Status restored = RestoreBackup({.backup = flags.backup,
                                               .data_dir = flags.data_dir,
                                               .name_space = flags.name_space,
                                               .replaces = flags.replaces},
                                              ShowProgress);
  if (!restored.ok()) return restored;
  fmt::print("restored {} from {}\n", flags.data_dir, flags.backup);
  return EXIT_SUCCESS;
}

absl::StatusOr<int> RunRepair(const DatabaseFlags& flags) {
  const auto repair = RepairDatabase(flags.data_dir, flags.name_space, flags.accept_loss);
  if (!repair.ok()) return repair.status();
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

}  // namespace

std::function<absl::StatusOr<int>()> AddVerifyCommand(CLI::App& app) {
  const auto flags = std::make_shared<DatabaseFlags>();
  CLI::App& command =
      *app.add_subcommand("verify", "Recompute every counter of a database and compare exactly");
  AddDatabaseFlags(command, *flags);
  command.add_flag("--json", flags->json, "Print one JSON object");
  command.footer("Example:\n  groundswell-server verify --data-dir data-dir");
  return [flags] { return RunVerify(*flags); };
}

std::function<absl::StatusOr<int>()> AddRestoreCommand(CLI::App& app) {
  const auto flags = std::make_shared<DatabaseFlags>();
  CLI::App& command = *app.add_subcommand("restore", "Make a database from a backup");
  AddDatabaseFlags(command, *flags);
  command.add_option("--backup", flags->backup, "Backup directory; it stays")->required();
  command.add_flag("--replace", flags->replaces, "Delete the database that is in --data-dir");
  command.footer("Example:\n  groundswell-server restore --backup backup --data-dir data-dir");
  return [flags] { return RunRestore(*flags); };
}

std::function<absl::StatusOr<int>()> AddRepairCommand(CLI::App& app) {
  const auto flags = std::make_shared<DatabaseFlags>();
  CLI::App& command =
      *app.add_subcommand("repair", "See what a damaged database has lost, or go on");
  AddDatabaseFlags(command, *flags);
  command.add_flag("--accept-loss", flags->accept_loss, "Change the database so that it serves");
  command.footer("Example:\n  groundswell-server repair --data-dir data-dir");
  return [flags] { return RunRepair(*flags); };
}

}  // namespace groundswell
