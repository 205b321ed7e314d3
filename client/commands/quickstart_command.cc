// quickstart: from a log to recommendations with one command.
//
//   read the log, and say what it holds -> a new data directory and its configuration -> a server
//   of this program's own -> ingest -> one list, and how to go on -> serve until interrupted
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "client/commands/commands.h"
#include "client/events/event_file.h"
#include "client/events/event_sender.h"
#include "client/quickstart/log_scan.h"
#include "client/quickstart/own_server.h"
#include "client/terminal/progress_bar.h"
#include "program/file_lock.h"
#include "program/terminal_text.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

// Room for items beside those of the log, until the server is started again.
constexpr uint64_t kMoreItems = 1'000'000;
constexpr std::chrono::milliseconds kLookInterval{50};
constexpr int64_t kRecommendTimeoutMs = 10'000;

struct QuickstartFlags {
  EventFileFlags events;
  std::string data_dir = "groundswell-data";
  std::string server_program;
  std::string grpc_address = "127.0.0.1:7100";
  std::string http_address = "127.0.0.1:7101";
  std::string connect_address = "127.0.0.1:7102";
  std::string user;
  bool stops = false;
};

absl::StatusOr<LogScan> ScanLog(const QuickstartFlags& flags) {
  EventFile file;
  if (absl::Status s = file.Open(flags.events); !s.ok()) return s;
  EventReader reader(file.stream(), flags.events.ReaderOptions());
  ProgressBar bar("reading", file.bytes());
  LogScan scan;
  const absl::Status read = scan.Read(reader, Interrupted, [&](uint64_t records) {
    bar.Update(file.BytesRead(reader), fmt::format("{} records", records));
  });
  if (!read.ok()) return file.Explain(read);
  return scan;
}

// A directory of its own; what is there is nobody's to take.
absl::Status MakeDataDir(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) {
    return absl::FailedPreconditionError(
        fmt::format("--data {}: cannot be made: {}", path, error.message()));
  }
  if (fs::is_empty(path, error) && !error) return absl::OkStatus();
  const bool is_database = fs::exists(fs::path(path) / "CURRENT", error);
  return absl::AlreadyExistsError(
      is_database
          ? fmt::format("--data {0}: holds a database already; go on with it by "
                        "`groundswell-server serve --config {0}.toml`, or choose another directory",
                        path)
          : fmt::format("--data {}: is not empty; choose a new directory", path));
}

std::string TomlText(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

// Nor is a file beside it anybody's to replace.
absl::Status CheckNothingThere(const std::string& path) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return absl::OkStatus();
  return absl::AlreadyExistsError(fmt::format(
      "\"{}\" is there already and would be replaced; move it away, or choose another --data",
      path));
}

// What the server is told: so that it can be started again by it alone.
absl::Status WriteConfig(const QuickstartFlags& flags, const LogScan& scan,
                         const std::string& path) {
  std::error_code error;
  const std::string data_dir = fs::absolute(flags.data_dir, error).lexically_normal().string();
  errno = 0;
  std::ofstream file(path);
  file << fmt::format(
      "[server]\ndata_dir = {}\ngrpc_address = {}\nhttp_address = {}\nconnect_address = {}\n\n"
      "[graph]\nnew_items_max = {}\n\n# What an event of each type weighs.\n[event_types]\n",
      TomlText(data_dir), TomlText(flags.grpc_address), TomlText(flags.http_address),
      TomlText(flags.connect_address), scan.items() + kMoreItems);
  for (const auto& [type, weight] : WeightsOf(scan)) file << fmt::format("{} = {}\n", type, weight);
  file.close();
  if (file) return absl::OkStatus();
  const std::string why = std::generic_category().message(errno);
  fs::remove(path, error);  // half of it would stand in the way of another try
  return absl::FailedPreconditionError(fmt::format("cannot write \"{}\": {}", path, why));
}

// How many were refused.
absl::StatusOr<uint64_t> SendLog(const QuickstartFlags& flags, const LogScan& scan,
                                 Client& client) {
  EventFile file;
  if (absl::Status s = file.Open(flags.events); !s.ok()) return s;
  EventReader::Options options = flags.events.ReaderOptions();
  if (scan.summary.out_of_order > 0) options.sort_bytes_max = EventReader::kSortBytesMax;
  EventReader reader(file.stream(), std::move(options));
  ProgressBar bar("ingest", scan.summary.events);
  EventSender sender(client, {.stopped = Interrupted});
  absl::Status status;
  for (uint64_t sent = 0; status.ok();) {
    absl::StatusOr<std::optional<ReadEvent>> event = reader.Next();
    if (reader.IsOfRecord(event.status())) continue;  // told of when the log was scanned
    status = file.Explain(event.status());
    if (!status.ok() || !event->has_value()) break;
    v1::Interaction& interaction = (*event)->interaction;
    interaction.set_event_type(ServerTypeOf(interaction.event_type()));
    status = sender.Send((*event)->record, std::move(interaction));
    bar.Update(++sent, fmt::format("{} acknowledged", sender.totals().sum()));
  }
  if (status.ok()) status = sender.Finish();
  const EventSender::Totals totals = sender.totals();
  bar.Finish(totals.sum(), fmt::format("{} acknowledged", totals.sum()));
  fmt::print("{} interactions are on disk, {} were there already, {} refused\n", totals.accepted,
             totals.duplicates, totals.refused);
  for (const std::string& reason : totals.reasons.ToStrings()) {
    fmt::print("  refused: {}\n", TerminalText(reason));
  }
  if (!status.ok()) return status;
  return totals.refused;
}

absl::Status AwaitApplied(Client& client) {
  while (!Interrupted()) {
    const absl::StatusOr<v1::ServerStatus> status = client.GetServerStatus({});
    if (!status.ok()) return status.status();
    if (status->graph().applied_offset() >= status->graph().log_end_offset()) {
      return absl::OkStatus();
    }
    std::this_thread::sleep_for(kLookInterval);
  }
  return absl::CancelledError("stopped");
}

void PrintHowToGoOn(const QuickstartFlags& flags, const OwnServer& server,
                    const std::string& user) {
  const std::string address = fmt::format("127.0.0.1:{}", server.grpc_port());
  const std::string client =
      server.grpc_port() == 7100 ? "groundswell" : "groundswell --server " + address;
  fmt::print(
      "\nThe server listens on {0} (gRPC); its metrics are at http://127.0.0.1:{1}/metrics.\n"
      "Its data are in {2}, its log is {2}.log, its configuration {2}.toml.\n\n"
      "  {3} recommend {4}\n"
      "  {3} ingest MORE.csv\n"
      "  {3} status\n"
      "  curl -s http://127.0.0.1:{5}/groundswell.v1.RecommendationService/Recommend \\\n"
      "      -H 'Content-Type: application/json' -d '{{\"userId\": \"{4}\"}}'\n"
      "  http://127.0.0.1:{5}/console    shows users, lists and why they are so, in a browser\n"
      "  groundswell-server serve --config {2}.toml    starts it again\n",
      address, server.http_port(), flags.data_dir, client, user, server.connect_port());
  if (!flags.stops) fmt::print("\nCtrl-C stops it.\n");
  std::fflush(stdout);
}

// What is not in the lists was named above; whether that is well, the caller says.
absl::Status CheckWhole(const QuickstartFlags& flags, const LogScan& scan, uint64_t refused) {
  const uint64_t missing = scan.summary.bad_records() + refused;
  if (missing == 0 || flags.events.skip_bad_records) return absl::OkStatus();
  return absl::DataLossError(
      fmt::format("{} of {} records are not in it, as said above; --skip-bad-records allows that",
                  missing, scan.summary.records));
}

absl::Status ServeLog(const QuickstartFlags& flags, const LogScan& scan, CommandContext& context,
                      OwnServer& server) {
  context.connection = {.address = fmt::format("127.0.0.1:{}", server.grpc_port())};
  context.timeout_ms = std::max(context.timeout_ms, kRecommendTimeoutMs);
  Client client = context.MakeClient();
  const absl::StatusOr<uint64_t> refused = SendLog(flags, scan, client);
  if (!refused.ok()) return refused.status();
  if (absl::Status s = AwaitApplied(client); !s.ok()) return s;
  v1::RecommendRequest request;
  request.set_user_id(flags.user.empty() ? scan.newest_user : flags.user);
  const absl::StatusOr<v1::RecommendResponse> list = client.Recommend(request);
  if (!list.ok()) return list.status();
  fmt::print("\nRecommendations for {}:\n\n", TerminalText(request.user_id()));
  PrintRecommendations(*list);
  PrintHowToGoOn(flags, server, request.user_id());
  while (!flags.stops && !Interrupted()) {
    if (server.HasEnded()) {
      return absl::FailedPreconditionError(
          fmt::format("the server has ended; its log is {}.log", flags.data_dir));
    }
    std::this_thread::sleep_for(kLookInterval);
  }
  return CheckWhole(flags, scan, *refused);
}

// So that another try can be made. The directory was empty, and what a server has put there that
// did not start is nobody's, unless another one has it by now.
void ForgetThatItWasTried(const std::string& data_dir, const std::string& config) {
  const std::optional<FileLock> lock = FileLock::Take((fs::path(data_dir) / "LOCK").string());
  if (!lock.has_value()) return;
  std::error_code error;
  fs::remove(config, error);
  for (const auto& file : fs::directory_iterator(data_dir, error)) fs::remove_all(file, error);
}

absl::Status Quickstart(QuickstartFlags& flags, CommandContext& context) {
  if (flags.events.IsStandardInput()) {
    return absl::InvalidArgumentError("the log is read twice: give a file, not standard input");
  }
  while (flags.data_dir.size() > 1 && flags.data_dir.ends_with('/')) flags.data_dir.pop_back();
  if (flags.server_program.empty()) {
    absl::StatusOr<std::string> beside = ProgramBeside("groundswell-server");
    if (!beside.ok()) return beside.status();
    flags.server_program = *std::move(beside);
  }
  const std::string config = flags.data_dir + ".toml";
  const absl::StatusOr<LogScan> scan = ScanLog(flags);
  if (!scan.ok()) return scan.status();
  fmt::print("{}", TerminalLines(Describe(*scan, flags.events.file)));
  std::fflush(stdout);
  if (absl::Status s = MakeDataDir(flags.data_dir); !s.ok()) return s;
  if (absl::Status s = CheckNothingThere(config); !s.ok()) return s;
  if (absl::Status s = WriteConfig(flags, *scan, config); !s.ok()) return s;
  auto server = OwnServer::Start({.program = flags.server_program,
                                  .arguments = {"serve", "--config", config},
                                  .log_file = flags.data_dir + ".log"},
                                 Interrupted);
  if (!server.ok()) {
    ForgetThatItWasTried(flags.data_dir, config);
    return server.status();
  }
  absl::Status served = ServeLog(flags, *scan, context, **server);
  const int exit_status = (*server)->Stop();
  if (!served.ok()) return served;
  fmt::print("the server has stopped\n");
  if (exit_status == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "the server ended with status {}; its log is {}.log", exit_status, flags.data_dir));
}

}  // namespace

void AddQuickstartCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "quickstart", "From a log to recommendations: starts a server of its own and fills it");
  auto flags = std::make_shared<QuickstartFlags>();
  flags->events.AddColumnsTo(command);
  flags->events.AddSkipTo(command);
  command.add_option("--data", flags->data_dir, "New directory of the server's data")
      ->capture_default_str();
  command.add_option("--show-user", flags->user,
                     "Whose list is shown (default: the user of the newest interaction)");
  command.add_option("--grpc-address", flags->grpc_address, "Where the server listens")
      ->capture_default_str();
  command.add_option("--http-address", flags->http_address, "Where its metrics are")
      ->capture_default_str();
  command
      .add_option("--connect-address", flags->connect_address, "Where it listens for HTTP and JSON")
      ->capture_default_str();
  command.add_option("--server-program", flags->server_program,
                     "The server (default: groundswell-server beside this program)");
  command.add_flag("--stop", flags->stops, "End the server once the list is shown");
  command.footer(
      "Example:\n  groundswell quickstart orders.csv\n"
      "  groundswell quickstart clicks.csv.gz --user visitor --item page --data clicks");
  command.callback([flags, &context] {
    const absl::Status status = Quickstart(*flags, context);
    if (!status.ok() && !(absl::IsCancelled(status) && Interrupted())) context.Fail(status);
  });
}

}  // namespace groundswell
