// train: has the trainer, a program of its own, make the next snapshot of a running server. What it
// does with these flags is in trainer/refresh.py.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "client/commands/commands.h"
#include "client/quickstart/own_server.h"

namespace groundswell {
namespace {

constexpr char kTrainer[] = "groundswell-train";
constexpr char kServerVariable[] = "GROUNDSWELL_TRAINER_SERVER";

struct TrainFlags {
  std::vector<std::string> files;
  std::string trainer;
  // Handed on as they are, "--items" "items.csv" ...
  std::vector<std::string> handed_on;
};

// What `groundswell` itself reads of its environment: the trainer calls it.
void SetVariables(const Connection& connection) {
  const auto set = [](const char* name, const std::string& value) {
    if (!value.empty()) ::setenv(name, value.c_str(), /*overwrite=*/1);
  };
  set("GROUNDSWELL_SERVER", connection.address);
  set("GROUNDSWELL_CA_FILE", connection.ca_file);
  set("GROUNDSWELL_CERTIFICATE_FILE", connection.certificate_file);
  set("GROUNDSWELL_KEY_FILE", connection.key_file);
  set("GROUNDSWELL_TOKEN_FILE", connection.token_file);
  const absl::StatusOr<std::string> server = ProgramBeside("groundswell-server");
  if (std::getenv(kServerVariable) == nullptr && server.ok()) set(kServerVariable, *server);
}

// Goes on as the trainer; returns where that is not there.
absl::Status BecomeTrainer(const TrainFlags& flags, const CommandContext& context) {
  // Beside this program, or else what PATH finds.
  const std::string program =
      flags.trainer.empty() ? ProgramBeside(kTrainer).value_or(kTrainer) : flags.trainer;
  SetVariables(context.connection);
  std::vector<std::string> words = {program, "refresh", "--namespace", context.name_space};
  words.insert(words.end(), flags.handed_on.begin(), flags.handed_on.end());
  if (context.json) words.emplace_back("--json");
  words.emplace_back("--");
  words.insert(words.end(), flags.files.begin(), flags.files.end());
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execvp(program.c_str(), arguments.data());
  return absl::NotFoundError(fmt::format(
      "{} cannot be run ({}); install the trainer (docs/training.md), or name it with --trainer",
      program, strerror(errno)));
}

}  // namespace

void AddTrainCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "train", "Trains the next snapshot on the server's log, compares it, and activates it");
  auto flags = std::make_shared<TrainFlags>();
  command.add_option("file", flags->files,
                     "Logs beside the server's own, such as what it was filled with before that "
                     "began; as ingest reads them");
  const auto hand_on = [&command, flags](const std::string& name, const char* help) {
    return command.add_option_function<std::string>(
        name,
        [flags, name](const std::string& value) {
          flags->handed_on.insert(flags->handed_on.end(), {name, value});
        },
        help);
  };
  const auto hand_on_flag = [&command, flags](const std::string& name, const char* help) {
    command.add_flag_callback(
        name, [flags, name] { flags->handed_on.push_back(name); }, help);
  };
  hand_on("--items", "Titles and categories: CSV or JSON lines, by the names in use for them");
  hand_on("--config", "TOML of what is trained and how (docs/training.md), all of it optional");
  hand_on("--snapshots",
          "Directory of all snapshots, which the server can read (default: "
          "groundswell-snapshots)");
  hand_on("--keep", "So many of them are kept there (default: 3)")->check(CLI::Range(2, 1'000));
  hand_on("--held-out-days",
          "The newest days, to measure by, before all is trained on (default: 7)")
      ->check(CLI::Range(0.001, 36'500.0));
  hand_on("--gate-events", "Both snapshots are asked before so many events (default: 2000)")
      ->check(CLI::Range(1, 10'000'000));
  hand_on("--user", "Column of the user in the files; without it, by the names in use");
  hand_on("--item", "Likewise, of the item");
  hand_on("--time", "Likewise, of the time");
  hand_on("--type", "Column of the event type, or the type of records that name none");
  hand_on("--weight", "Column of what an event weighs");
  hand_on_flag("--partial-log", "Though the server's log lacks its beginning and no file has it");
  hand_on_flag("--no-gate", "Without the comparison with what is served");
  hand_on_flag("--no-activate", "Leave it at a snapshot that could serve");
  command.add_option("--trainer", flags->trainer,
                     "The trainer (default: groundswell-train beside this program, or on PATH)");
  command.footer(
      "Example:\n  groundswell train --snapshots /var/lib/groundswell/snapshots\n"
      "  groundswell train orders.csv --items items.csv");
  command.callback([flags, &context] { context.Fail(BecomeTrainer(*flags, context)); });
}

}  // namespace groundswell
