// checkpoint, verify, backup, activate, rollback, snapshots, forget, upsert-item, remove-item,
// rules, log: what an operator asks of a running server.
#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "client/commands/admin_call.h"
#include "client/commands/commands.h"
#include "client/events/event_reader.h"
#include "client/terminal/table.h"
#include "client/text_file.h"
#include "csv/event_time.h"
#include "csv/json_faults.h"
#include "groundswell/v1/interaction.grpc.pb.h"
#include "program/standard_error.h"
#include "program/terminal_text.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;

void PrintReceipt(const v1::RemovalReceipt& receipt) {
  Table table({{.title = "what"}, {.title = "value"}});
  table.AddRow({"offset", std::to_string(receipt.offset())});
  table.AddRow({"users", std::to_string(receipt.user_count())});
  table.AddRow({"edges", std::to_string(receipt.edge_count())});
  table.AddRow({"summed count", std::to_string(receipt.total_count())});
  table.AddRow({"log records redacted", std::to_string(receipt.redacted_record_count())});
  table.AddRow({"late until", TimeUtil::ToString(receipt.late_until())});
  table.AddRow({"digest after it", receipt.digest()});
  fmt::print("{}", table.ToString());
}

// As `groundswell ingest` reads it.
void PrintLogEntry(const v1::LogEntry& entry) {
  const v1::Interaction& interaction = entry.interaction();
  nlohmann::ordered_json line = {{"timestamp", TimeUtil::ToString(interaction.event_time())},
                                 {"user", interaction.user_id()},
                                 {"item", interaction.item_id()},
                                 {"type", interaction.event_type()}};
  if (interaction.has_weight()) line["weight"] = interaction.weight();
  line["event_id"] = interaction.event_id();
  line["offset"] = entry.offset();
  fmt::print("{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void PrintLog(CommandContext& context, v1::ReadLogRequest request) {
  request.set_namespace_(context.name_space);
  const Client client = context.MakeClient();
  const auto stub = v1::AdminService::NewStub(client.channel());
  grpc::ClientContext call;
  const auto stream = stub->ReadLog(&call, request);
  v1::ReadLogResponse response;
  uint64_t printed = 0;
  uint64_t left_out = 0;
  while (stream->Read(&response)) {
    if (Interrupted()) call.TryCancel();
    for (const v1::LogEntry& entry : response.entries()) {
      if (entry.has_interaction()) {
        PrintLogEntry(entry);
        ++printed;
      } else {
        ++left_out;
      }
    }
  }
  const grpc::Status status = stream->Finish();
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return context.Fail(absl::ResourceExhaustedError("the output cannot be written"));
  }
  PrintToStandardError("{} interactions; {} entries that are none (redacted, changes) left out\n",
                       printed, left_out);
  if (!status.ok()) context.Fail(ToStatus(status));
}

void AddLogCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command =
      *app.add_subcommand("log", "Prints the interactions of the log as JSON lines, for ingest");
  auto request = std::make_shared<v1::ReadLogRequest>();
  auto from = std::make_shared<int64_t>(0);
  auto limit = std::make_shared<int64_t>(0);
  command.add_option("--from", *from, "First offset; 0: the oldest")->capture_default_str();
  command.add_option("--limit", *limit, "Entries at most; 0: all")->capture_default_str();
  command.footer(
      "Example:\n  groundswell log > events.jsonl\n  groundswell --server other:7100 ingest "
      "events.jsonl");
  command.callback([=, &context] {
    request->set_from_offset(*from);
    request->set_limit(*limit);
    PrintLog(context, *request);
  });
}

void AddCheckpointCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command =
      *app.add_subcommand("checkpoint", "Writes the graph's item side, for a fast start");
  command.footer("Example:\n  groundswell checkpoint");
  command.callback([&context] {
    CallAdmin(context, "checkpoint", v1::CreateCheckpointRequest(),
              &v1::AdminService::Stub::CreateCheckpoint, [](const v1::Checkpoint& checkpoint) {
                fmt::print("checkpoint at offset {}: {} items, {} bytes\n", checkpoint.offset(),
                           checkpoint.item_count(), checkpoint.size_bytes());
              });
  });
}

void AddVerifyCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "verify", "Recomputes all that follows the users' edges and compares exactly");
  command.footer("Example:\n  groundswell verify --json");
  command.callback([&context] {
    CallAdmin(context, "verify", v1::VerifyGraphRequest(), &v1::AdminService::Stub::VerifyGraph,
              [](const v1::GraphVerification& verified) {
                fmt::print("graph up to offset {}: {} users, {} items, {} edges\n",
                           verified.applied_offset(), verified.user_count(), verified.item_count(),
                           verified.edge_count());
                fmt::print("{} counters and what lists read compared, {} differences\ndigest {}\n",
                           verified.counter_count(), verified.difference_count(),
                           verified.digest());
                for (const std::string& difference : verified.differences()) {
                  fmt::print("  {}\n", TerminalText(difference));
                }
              });
  });
}

void AddBackupCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command =
      *app.add_subcommand("backup", "Writes a consistent copy of the database on the server");
  auto request = std::make_shared<v1::CreateBackupRequest>();
  command.add_option("directory", *request->mutable_directory(), "Absolute path on the server")
      ->required();
  command.footer("Example:\n  groundswell backup /var/backups/groundswell-monday");
  command.callback([request, &context] {
    CallAdmin(context, "backup", *request, &v1::AdminService::Stub::CreateBackup,
              [](const v1::Backup& backup) {
                fmt::print("backup in {}, up to offset {}\n", TerminalText(backup.directory()),
                           backup.log_end_offset());
              });
  });
}

void PrintSnapshot(const v1::SnapshotInfo& snapshot, std::string_view does) {
  fmt::print("{} {}: {} users, {} items, {} and {} clusters\n", TerminalText(snapshot.version()),
             does, snapshot.users(), snapshot.items(), snapshot.user_clusters(),
             snapshot.item_clusters());
}

void AddActivateCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("activate", "Serves another snapshot, without a pause");
  auto request = std::make_shared<v1::ActivateSnapshotRequest>();
  command
      .add_option("directory", *request->mutable_directory(),
                  "Snapshot directory: absolute path on the server")
      ->required();
  auto validate_only = std::make_shared<bool>(false);
  command.add_flag("--validate-only", *validate_only, "Check it, its example rows too, no more");
  command.footer("Example:\n  groundswell activate /srv/snapshots/2011-11-18");
  command.callback([=, &context] {
    request->set_validate_only(*validate_only);
    CallAdmin(context, "activate", *request, &v1::AdminService::Stub::ActivateSnapshot,
              [&](const v1::SnapshotInfo& snapshot) {
                PrintSnapshot(snapshot, *validate_only ? "can serve" : "serves");
              });
  });
}

void AddRollBackCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "rollback", "Serves the snapshot that served before, without a pause; interactions stay");
  command.footer("Example:\n  groundswell rollback");
  command.callback([&context] {
    CallAdmin(context, "rollback", v1::RollBackSnapshotRequest(),
              &v1::AdminService::Stub::RollBackSnapshot,
              [](const v1::SnapshotInfo& snapshot) { PrintSnapshot(snapshot, "serves"); });
  });
}

std::string_view NameOf(v1::SnapshotState state) {
  switch (state) {
    case v1::SNAPSHOT_STATE_SERVING:
      return "serving";
    case v1::SNAPSHOT_STATE_AVAILABLE:
      return "available";
    case v1::SNAPSHOT_STATE_GONE:
      return "gone";
    default:
      return "unknown";
  }
}

void AddSnapshotsCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command =
      *app.add_subcommand("snapshots", "Lists the snapshots that served, the newest first");
  command.footer("Example:\n  groundswell snapshots");
  command.callback([&context] {
    CallAdmin(context, "snapshots", v1::ListSnapshotsRequest(),
              &v1::AdminService::Stub::ListSnapshots, [](const v1::ListSnapshotsResponse& list) {
                Table table({{.title = "version"},
                             {.title = "state"},
                             {.title = "activated"},
                             {.title = "directory"}});
                for (const v1::ServedSnapshot& served : list.snapshots()) {
                  table.AddRow({served.version(), std::string(NameOf(served.state())),
                                TimeUtil::ToString(served.activate_time()), served.directory()});
                }
                fmt::print("{}", table.ToString());
              });
  });
}

void AddForgetCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command =
      *app.add_subcommand("forget", "Takes out everything that a user ever contributed");
  auto request = std::make_shared<v1::ForgetUserRequest>();
  command.add_option("user", *request->mutable_user_id(), "User id")->required();
  command.add_option("--request-id", *request->mutable_request_id(),
                     "UUID; the one of an earlier call gives its receipt");
  command.footer("Example:\n  groundswell forget 17850");
  command.callback([request, &context] {
    if (request->request_id().empty()) request->set_request_id(NewRequestId());
    request->set_namespace_(context.name_space);
    const Client client = context.MakeClient();
    const auto stub = v1::InteractionService::NewStub(client.channel());
    context.Show(CallAndWait<v1::RemovalReceipt>(
                     "forget",
                     [&](grpc::ClientContext& call, v1::RemovalReceipt& receipt) {
                       return stub->ForgetUser(&call, *request, &receipt);
                     }),
                 PrintReceipt);
  });
}

void AddRemoveItemCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "remove-item", "Takes an item out of the catalogue, the graph and the log");
  auto request = std::make_shared<v1::RemoveItemRequest>();
  command.add_option("item", *request->mutable_item_id(), "Item id")->required();
  command.add_option("--request-id", *request->mutable_request_id(),
                     "UUID; the one of an earlier call gives its receipt");
  command.footer("Example:\n  groundswell remove-item 85123A");
  command.callback([request, &context] {
    if (request->request_id().empty()) request->set_request_id(NewRequestId());
    CallAdmin(context, "remove-item", *request, &v1::AdminService::Stub::RemoveItem, PrintReceipt);
  });
}

void AddUpsertItemCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand(
      "upsert-item", "Creates an item, or replaces what the catalogue says of it");
  auto request = std::make_shared<v1::UpsertItemRequest>();
  auto embedding = std::make_shared<std::vector<float>>();
  command.add_option("item", *request->mutable_item_id(), "Item id")->required();
  command.add_option("--title", *request->mutable_title(), "Title");
  command.add_option("--category", *request->mutable_category(), "Category");
  command
      .add_option("--embedding", *embedding,
                  "The item's vector, comma-separated; without one it keeps what it has")
      ->delimiter(',');
  const auto add_time = [&command](const char* name, google::protobuf::Timestamp* time,
                                   const char* help) {
    return command.add_option_function<std::string>(
        name,
        [name, time](const std::string& text) {
          const absl::StatusOr<EventTime> parsed = ParseSingleTime(text);
          if (!parsed.ok()) {
            throw CLI::ValidationError(
                name, fmt::format("\"{}\"; {}", text, std::string(parsed.status().message())));
          }
          *time = TimeUtil::MicrosecondsToTimestamp(parsed->us);
        },
        help);
  };
  auto from = std::make_shared<google::protobuf::Timestamp>();
  auto until = std::make_shared<google::protobuf::Timestamp>();
  CLI::Option* const has_from =
      add_time("--available-from", from.get(), "Answered from this time on");
  CLI::Option* const has_until =
      add_time("--available-until", until.get(), "Answered until just before this time");
  command.footer(
      "Example:\n  groundswell upsert-item 99001 --title \"Blue lamp\" --category Lamp "
      "--available-until 2027-01-01T00:00:00Z");
  command.callback([=, &context] {
    request->mutable_embedding()->Add(embedding->begin(), embedding->end());
    if (*has_from) *request->mutable_available_from() = *from;
    if (*has_until) *request->mutable_available_until() = *until;
    CallAdmin(context, "upsert-item", *request, &v1::AdminService::Stub::UpsertItem,
              [](const v1::UpsertItemResponse& upserted) {
                fmt::print("{} at offset {}, in item cluster {}\n",
                           upserted.created() ? "created" : "replaced", upserted.offset(),
                           upserted.item_cluster());
              });
  });
}

void PrintRules(const v1::ListRules& rules) {
  Table table({{.title = "name"},
               {.title = "does", .width_max = 60},
               {.title = "from"},
               {.title = "until"},
               {.title = "categories asked for", .width_max = 40}});
  for (const v1::ListRule& rule : rules.rules()) {
    const v1::BoostItems& boost = rule.boost();
    const bool of_category = boost.target_case() == v1::BoostItems::kCategory;
    std::string categories;
    for (const std::string& category : rule.categories()) {
      categories += (categories.empty() ? "" : ", ") + category;
    }
    table.AddRow(
        {rule.name(),
         rule.has_pin()
             ? fmt::format("pins item {} at {}", rule.pin().item_id(), rule.pin().position())
             : fmt::format("boosts {} {} by {}", of_category ? "category" : "item",
                           of_category ? boost.category() : boost.item_id(), boost.factor()),
         rule.has_start_time() ? TimeUtil::ToString(rule.start_time()) : "",
         rule.has_end_time() ? TimeUtil::ToString(rule.end_time()) : "",
         categories.empty() ? "any" : categories});
  }
  fmt::print("{}{} rules, etag {}\n", table.ToString(), rules.rules_size(),
             TerminalText(rules.etag()));
}

absl::StatusOr<v1::ListRules> ReadRules(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadTextFile("the file of rules,", path);
  if (!text.ok()) return text.status();
  if (const auto fault = FindJsonFault(*text); fault.has_value()) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" {}", path, *fault));
  }
  v1::ListRules rules;
  const auto parsed = google::protobuf::util::JsonStringToMessage(*text, &rules);
  if (parsed.ok()) return rules;
  return absl::InvalidArgumentError(
      fmt::format("\"{}\" holds no rules as `groundswell --json rules get` prints them: {}", path,
                  std::string(parsed.message().data(), parsed.message().size())));
}

void AddRulesCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command = *app.add_subcommand("rules", "Items that are pinned or boosted in lists");
  command.require_subcommand(1);
  command.footer("Example:\n  groundswell rules get");
  CLI::App& get = *command.add_subcommand("get", "Prints the rules");
  get.footer("Example:\n  groundswell --json rules get > rules.json");
  get.callback([&context] {
    CallAdmin(context, "rules get", v1::GetListRulesRequest(),
              &v1::AdminService::Stub::GetListRules, PrintRules);
  });
  CLI::App& set = *command.add_subcommand("set", "Replaces all rules");
  auto path = std::make_shared<std::string>();
  set.add_option("file", *path,
                 "JSON, as get prints it with --json. With its etag, only if nobody has set others "
                 "since; without one, whatever there is")
      ->required();
  set.footer(
      "Example:\n  echo '{\"rules\": [{\"name\": \"lamp of the week\", \"end_time\": "
      "\"2030-01-31T00:00:00Z\",\n    \"pin\": {\"item_id\": \"85123A\", \"position\": 1}}, "
      "{\"name\": \"more bags\",\n    \"boost\": {\"category\": \"bags\", \"factor\": 1.5}}]}' > "
      "rules.json\n  groundswell rules set rules.json");
  set.callback([path, &context] {
    absl::StatusOr<v1::ListRules> rules = ReadRules(*path);
    if (!rules.ok()) return context.Fail(rules.status());
    v1::SetListRulesRequest request;
    *request.mutable_rules() = *std::move(rules);
    CallAdmin(context, "rules set", request, &v1::AdminService::Stub::SetListRules, PrintRules);
  });
}

}  // namespace

std::string NewRequestId() {
  std::random_device device;
  const auto word = [&device] { return static_cast<unsigned>(device()); };
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:08x}{:04x}", word(), word() & 0xffff,
                     word() & 0xfff, 0x8000 | (word() & 0x3fff), word(), word() & 0xffff);
}

void AddAdminCommands(CLI::App& app, CommandContext& context) {
  AddForgetCommand(app, context);
  AddUpsertItemCommand(app, context);
  AddRemoveItemCommand(app, context);
  AddRulesCommand(app, context);
  AddLogCommand(app, context);
  AddCheckpointCommand(app, context);
  AddVerifyCommand(app, context);
  AddBackupCommand(app, context);
  AddActivateCommand(app, context);
  AddRollBackCommand(app, context);
  AddSnapshotsCommand(app, context);
}

}  // namespace groundswell
