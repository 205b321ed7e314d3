// groundswell: the command line of a Groundswell server.
#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/support/channel_arguments.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>

#include "client/commands/commands.h"
#include "client/listener_probe.h"
#include "program/empty_flags.h"
#include "program/process_limits.h"
#include "program/run_main.h"
#include "program/standard_error.h"
#include "program/suggestion.h"
#include "program/terminal_text.h"
#include "program/unsigned_flags.h"
#include "program/utf8_flags.h"

namespace groundswell {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");

// A second signal ends the program at once.
void OnSignal(int signal_number) {
  if (interrupted.exchange(true)) _exit(128 + signal_number);
}

// Also where the command line was not understood.
bool WantsJson(int argc, char** argv) {
  return std::any_of(argv, argv + argc,
                     [](const char* word) { return std::string_view(word) == "--json"; });
}

// What the API or the server takes for its default, for the beginning or for none, and what an item
// may be without.
constexpr std::array<std::string_view, 11> kMayBeEmpty = {"--namespace",
                                                          "--ranker",
                                                          "--page-token",
                                                          "--consistency-token",
                                                          "recommend --category",
                                                          "similar --category",
                                                          "trace --category",
                                                          "upsert-item --title",
                                                          "upsert-item --category",
                                                          "quickstart --http-address",
                                                          "quickstart --connect-address"};

// Of files on this machine.
constexpr std::array<std::string_view, 6> kPaths = {
    "file", "--data", "--mapping", "--properties", "--server-program", "--trainer"};

// gRPC ends the process, or waits for ever, where it gets none.
absl::Status CheckLimits() {
  constexpr rlim_t kDescriptorsMin = 32;
  constexpr int64_t kThreads = 8;  // beside those for each core
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < kDescriptorsMin) {
    return absl::ResourceExhaustedError(
        fmt::format("the limit of descriptors (ulimit -n) is {}; it must be {} at least",
                    limit.rlim_cur, kDescriptorsMin));
  }
  const absl::Status space = CheckAddressSpace(kClientAddressSpace, "groundswell");
  return space.ok() ? CheckThreads(kThreads + std::thread::hardware_concurrency(), "groundswell")
                    : space;
}

}  // namespace

bool Interrupted() { return interrupted; }

Client CommandContext::MakeClient() const {
  const auto channel = MakeChannel(connection, RetryPolicy());
  if (!channel.ok()) throw CLI::ValidationError(std::string(channel.status().message()));
  return Client({.address = connection.address,
                 .channel = *channel,
                 .name_space = name_space,
                 .timeout = std::chrono::milliseconds(timeout_ms)});
}

void CommandContext::Fail(const absl::Status& status) {
  std::string message(status.message());
  if (absl::IsUnavailable(status)) message += fmt::format(" ({})", WhyUnavailable(connection));
  if (json) {
    const nlohmann::ordered_json object = {
        {"error", {{"code", absl::StatusCodeToString(status.code())}, {"message", message}}}};
    PrintToStandardError(
        "{}\n", object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    PrintToStandardError("groundswell: {}: {}\n", absl::StatusCodeToString(status.code()),
                         TerminalLines(message));
  }
  exit_code = kExitError;
}

void CommandContext::PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto written = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (written.ok()) {
    fmt::print("{}\n", text);
  } else {
    Fail(absl::InternalError(
        fmt::format("the answer cannot be told as JSON: {}",
                    std::string(written.message().data(), written.message().size()))));
  }
}

namespace {

// Those of all commands.
void AddCommonFlags(CLI::App& app, CommandContext& context) {
  app.add_option("--server", context.connection.address, "Address of the server")
      ->envname("GROUNDSWELL_SERVER")
      ->capture_default_str();
  app.add_option("--ca-file", context.connection.ca_file,
                 "Root certificates (PEM) of the server; without them no TLS")
      ->envname("GROUNDSWELL_CA_FILE");
  app.add_option("--certificate-file", context.connection.certificate_file,
                 "This client's certificate (PEM), for mutual TLS")
      ->envname("GROUNDSWELL_CERTIFICATE_FILE");
  app.add_option("--key-file", context.connection.key_file, "Its private key (PEM)")
      ->envname("GROUNDSWELL_KEY_FILE");
  app.add_option("--token-file", context.connection.token_file,
                 "File whose first line is the bearer token of this client")
      ->envname("GROUNDSWELL_TOKEN_FILE");
  app.add_option("--namespace", context.name_space, "Namespace")->capture_default_str();
  app.add_option("--timeout-ms", context.timeout_ms, "Time for one call")
      ->check(CLI::Range(1, 600'000))
      ->capture_default_str();
  app.add_flag("--json", context.json, "Print JSON for programs instead of tables");
}

void AddCommands(CLI::App& app, CommandContext& context) {
  AddQuickstartCommand(app, context);
  AddRecommendCommand(app, context);
  AddRankCommand(app, context);
  AddSimilarCommand(app, context);
  AddTraceCommand(app, context);
  AddUserCommand(app, context);
  AddItemCommands(app, context);
  AddIngestCommand(app, context);
  AddUpsertItemsCommand(app, context);
  AddIngestKafkaCommand(app, context);
  AddStatusCommand(app, context);
  AddConvertCommand(app, context);
  AddTrainCommand(app, context);
  AddEvaluateCommand(app, context);
  AddLoadCommand(app, context);
  AddBlendCommand(app, context);
  AddAdminCommands(app, context);
  AddSlowCallsCommand(app, context);
}

}  // namespace

int Main(int argc, char** argv) {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);

  CommandContext context;
  CLI::App app("Recommendations, rankings and interactions of a Groundswell server.",
               "groundswell");
  app.require_subcommand(1);
  app.set_version_flag("--version", GROUNDSWELL_VERSION);
  app.fallthrough();
  AddCommonFlags(app, context);
  AddCommands(app, context);
  CheckUnsignedFlags(app);
  CheckEmptyFlags(app, kMayBeEmpty);
  CheckUtf8Flags(app, kPaths);
  // What it would write has its error beside it, and is not as this program writes.
  google::protobuf::SetLogHandler(nullptr);
  if (const absl::Status s = CheckLimits(); !s.ok()) {
    context.json = WantsJson(argc, argv);
    context.Fail(s);
    return context.exit_code;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ExitOnParseError(app, error, WantsJson(argc, argv));
  }
  return context.exit_code;
}

}  // namespace groundswell

int main(int argc, char** argv) {
  return groundswell::RunMain("groundswell", groundswell::Main, argc, argv);
}
