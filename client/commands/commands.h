// The commands of the `groundswell` program. Each Add function adds one to the application; when it
// is chosen, its work runs during the parsing and leaves its exit code in `exit_code`.
#ifndef GROUNDSWELL_CLIENT_COMMANDS_COMMANDS_H_
#define GROUNDSWELL_CLIENT_COMMANDS_COMMANDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/channel.h"
#include "client/client.h"
#include "google/protobuf/message.h"

namespace CLI {
class App;
}  // namespace CLI

namespace groundswell {

inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;

// What all commands share.
struct CommandContext {
  Connection connection;
  std::string name_space = "default";
  int64_t timeout_ms = 1'000;
  bool json = false;
  int exit_code = kExitOk;

  // Throws CLI::ValidationError for what is wrong with the connection's options.
  Client MakeClient() const;
  // Prints the error to stderr and sets the exit code.
  void Fail(const absl::Status& status);
  // Prints the message as one JSON object, with the field names of the .proto; Fails where it holds
  // what JSON cannot tell.
  void PrintJson(const google::protobuf::Message& message);
  // Prints what a call returned, as JSON or by `print`, or its error.
  template <typename Response, typename Print>
  void Show(const absl::StatusOr<Response>& response, Print print) {
    if (!response.ok()) {
      Fail(response.status());
    } else if (json) {
      PrintJson(*response);
    } else {
      print(*response);
    }
  }
};

void AddRecommendCommand(CLI::App& app, CommandContext& context);
void AddRankCommand(CLI::App& app, CommandContext& context);
void AddSimilarCommand(CLI::App& app, CommandContext& context);
void AddTraceCommand(CLI::App& app, CommandContext& context);
void AddUserCommand(CLI::App& app, CommandContext& context);
// item, items, categories.
void AddItemCommands(CLI::App& app, CommandContext& context);
void AddStatusCommand(CLI::App& app, CommandContext& context);
void AddQuickstartCommand(CLI::App& app, CommandContext& context);
void AddIngestCommand(CLI::App& app, CommandContext& context);
void AddIngestKafkaCommand(CLI::App& app, CommandContext& context);
void AddConvertCommand(CLI::App& app, CommandContext& context);
void AddTrainCommand(CLI::App& app, CommandContext& context);
void AddEvaluateCommand(CLI::App& app, CommandContext& context);
void AddLoadCommand(CLI::App& app, CommandContext& context);
void AddBlendCommand(CLI::App& app, CommandContext& context);
void AddUpsertItemsCommand(CLI::App& app, CommandContext& context);
// forget, upsert-item, remove-item, rules, log, checkpoint, verify, backup, activate.
void AddAdminCommands(CLI::App& app, CommandContext& context);

void AddSlowCallsCommand(CLI::App& app, CommandContext& context);

// A list, as `recommend` shows it.
void PrintRecommendations(const v1::RecommendResponse& response);

// True once SIGINT or SIGTERM was received; commands that last ask it.
bool Interrupted();

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_COMMANDS_COMMANDS_H_
