// groundswell-server: serves, imports snapshots, replays logs, verifies and recovers databases.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <stdio_ext.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "graph/store/write_error.h"
#include "program/empty_flags.h"
#include "program/process_limits.h"
#include "program/run_main.h"
#include "program/standard_error.h"
#include "program/suggestion.h"
#include "program/unsigned_flags.h"
#include "server/config/config_reading.h"
#include "server/offline/database_commands.h"
#include "server/offline/import_command.h"
#include "server/offline/replay_command.h"
#include "server/offline/shared_log_commands.h"
#include "server/process/descriptor_limit.h"
#include "server/process/early_output.h"
#include "server/process/exit_status.h"
#include "server/process/logging.h"
#include "server/process/signals.h"
#include "server/server.h"

// Read by jemalloc: what is freed goes back to the system after some seconds, by a thread of its
// own and not by one that answers requests. MALLOC_CONF in the environment overrides it.
extern "C" const char* malloc_conf;
const char* malloc_conf = "background_thread:true";

namespace groundswell {
namespace {

constexpr const char* kProgram = "groundswell-server";
// For the database and the listeners, and a few connections. gRPC ends the process where it gets
// none.
constexpr int kDescriptorsMin = 64;
// What RocksDB, gRPC and the server itself have without a call, beside those for each core; and
// what opens a database alone, by up to 16 threads that open tables.
constexpr int64_t kServingThreads = 32;
constexpr int64_t kOfflineThreads = 28;

int Fail(const absl::Status& status) {
  PrintError(kProgram, std::string(status.message()).c_str());
  return EXIT_FAILURE;
}

// As the command line `groundswell` has it.
int FailAsJson(const absl::Status& status) {
  const nlohmann::ordered_json error = {{"error",
                                         {{"code", absl::StatusCodeToString(status.code())},
                                          {"message", std::string(status.message())}}}};
  PrintToStandardError(
      "{}\n", error.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  return EXIT_FAILURE;
}

// Once the format of the log is set, an error is an event of the log like any other.
int FailServing(const absl::Status& status) {
  const std::string message(status.message());
  if (IsPassing(status)) {
    spdlog::critical("{}; this may pass: ending with status {}, to be started again", message,
                     kExitTryAgain);
    return kExitTryAgain;
  }
  spdlog::critical("{}", message);
  return EXIT_FAILURE;
}

int64_t Cores() { return static_cast<int64_t>(std::thread::hardware_concurrency()); }

absl::Status CheckLimitsOfServing(const Config& config) {
  return CheckThreads(
      kServingThreads + 2 * Cores() + std::max(Cores(), config.server.compute_threads), "serving");
}

absl::Status CheckLimitsOffline(std::string_view command) {
  const absl::Status space = CheckAddressSpace(AddressSpaceInUse() + kOfflineAddressSpace, command);
  return space.ok() ? CheckThreads(kOfflineThreads + Cores(), command) : space;
}

int PrintConfig(const ConfigFlags& flags) {
  const absl::StatusOr<Config> config = flags.Resolve(CurrentEnvironment());
  if (!config.ok()) return Fail(config.status());
  fmt::print("{}", EffectiveToml(*config));
  return EXIT_SUCCESS;
}

// For scripts that asked for port 0. A service may have nobody there who reads it.
void TellReady(const Server& server) {
  std::string line = fmt::format("ready grpc_port={} http_port={} admin_port={}",
                                 server.grpc_port(), server.http_port(), server.admin_port());
  if (const auto port = server.connect_port()) line += fmt::format(" connect_port={}", *port);
  line += "\n";
  if (std::fputs(line.c_str(), stdout) != EOF && std::fflush(stdout) == 0) return;
  spdlog::warn("standard output cannot be written: the ports are not told there");
  ::__fpurge(stdout);
  std::clearerr(stdout);
}

// `early`: what libraries said before.
int Serve(const ConfigFlags& flags, const std::vector<std::string>& early) {
  if (absl::Status s = CheckAddressSpace(kServingAddressSpace, "serving"); !s.ok()) return Fail(s);
  absl::StatusOr<Config> config = flags.Resolve(CurrentEnvironment());
  if (!config.ok()) return Fail(config.status());
  if (absl::Status s = CheckLimitsOfServing(*config); !s.ok()) return Fail(s);
  spdlog::set_level(spdlog::level::from_str(config->logging.level));
  SetLogFormat(config->logging.format == "json" ? LogFormat::kJson : LogFormat::kText);
  LogWhatLibrariesSay();
  for (const std::string& line : early) spdlog::warn("at the start of the process: {}", line);
  if (absl::Status s = RequireDataDir(*config); !s.ok()) return FailServing(s);
  spdlog::info("effective configuration:\n{}", EffectiveToml(*config));

  const int descriptors = RaiseDescriptorLimit();
  if (descriptors < kDescriptorsMin) {
    return FailServing(absl::InvalidArgumentError(
        fmt::format("the limit of descriptors (ulimit -n) is {}, and serving takes at least {}",
                    descriptors, kDescriptorsMin)));
  }
  spdlog::info("{} descriptors, of them {} for connections", descriptors,
               ConnectionDescriptorsEnd(descriptors));
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(*config, Interrupted);
  if (Interrupted() && absl::IsCancelled(server.status())) {
    spdlog::info("stopped before it served");
    return EXIT_SUCCESS;
  }
  if (!server.ok()) return FailServing(server.status());
  TellReady(**server);
  WaitForSignal();
  spdlog::info("draining");
  (*server)->Drain();
  spdlog::info("stopped");
  return EXIT_SUCCESS;
}

int Main(int argc, char** argv) {
  const std::vector<std::string> early = TakeEarlyOutput();
  HandleSignals();
  spdlog::set_default_logger(spdlog::stderr_color_mt("groundswell"));

  CLI::App app("Serves graph recommenders online.", "groundswell-server");
  app.require_subcommand(1);
  app.set_version_flag("--version", GROUNDSWELL_VERSION);
  CLI::App& serve = *app.add_subcommand("serve", "Serve a database over gRPC");
  const ConfigFlags serve_flags(serve);
  bool prints_config = false;
  serve.add_flag("--print-config", prints_config,
                 "Print the settings that these make, as TOML with their meaning, and end");
  serve.footer("Example:\n  groundswell-server serve --server.data_dir=data-dir");
  const std::pair<std::string, std::function<absl::StatusOr<int>()>> offline[] = {
      {"import", AddImportCommand(app)},     {"replay", AddReplayCommand(app)},
      {"verify", AddVerifyCommand(app)},     {"restore", AddRestoreCommand(app)},
      {"repair", AddRepairCommand(app)},     {"create-log", AddCreateLogCommand(app)},
      {"leave-log", AddLeaveLogCommand(app)}};
  CheckUnsignedFlags(app);
  CheckEmptyFlags(app, {});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ExitOnParseError(app, error, /*json=*/false);
  }

  for (const auto& [name, run] : offline) {
    if (!app.got_subcommand(name)) continue;
    for (const std::string& line : early) PrintToStandardError("{}\n", line);
    const absl::Status limits = CheckLimitsOffline(name);
    const absl::StatusOr<int> exit_status = limits.ok() ? run() : limits;
    if (exit_status.ok()) return *exit_status;
    const CLI::Option* const json = app.get_subcommand(name)->get_option_no_throw("--json");
    return json != nullptr && json->count() > 0 ? FailAsJson(exit_status.status())
                                                : Fail(exit_status.status());
  }
  return prints_config ? PrintConfig(serve_flags) : Serve(serve_flags, early);
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) {
  return groundswell::RunMain(groundswell::kProgram, groundswell::Main, argc, argv);
}
