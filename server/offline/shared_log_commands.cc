#include "server/offline/shared_log_commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "server/serving/empty_database.h"
#include "server/serving/shared_log.h"

namespace groundswell {
namespace {

struct SharedLogFlags {
  std::string data_dir;
  std::string name_space = "default";
  SharedLogOptions log;
  int32_t replicas = 3;
  int64_t retention_h = 24;
  bool replaces = false;
};

absl::StatusOr<int> RunCreateLog(const SharedLogFlags& flags) {
  const absl::StatusOr<RequestTopic> topic = RequestTopicOf(flags.log, "--brokers");
  if (!topic.ok()) return topic.status();
  const auto store = OpenToServe({.path = flags.data_dir, .name_space = flags.name_space});
  if (!store.ok()) return store.status();
  const absl::StatusOr<std::optional<SharedLog>> before = (*store)->ReadSharedLog();
  if (!before.ok()) return before.status();
  if (before->has_value() && !flags.replaces) {
    return absl::FailedPreconditionError(
        fmt::format("the database is of the log {} already; --replace leaves that one, and then "
                    "the others have to be made anew from this database",
                    ToHex((*before)->id)));
  }
  absl::StatusOr<SharedLog> log =
      CreateRequestTopic(*topic, flags.replicas, std::chrono::hours(flags.retention_h));
  if (!log.ok()) return log.status();
  log->event_ids_max = flags.log.event_ids_max;
  log->producers_max = flags.log.producers_max;
  GraphStore::Batch batch(**store);
  batch.PutSharedLog(*log);
  if (absl::Status s = (*store)->Commit(batch, /*sync=*/true); !s.ok()) return s;
  fmt::print(
      "made topic {} of log {}\n{} is its first database: make the others from a copy of it "
      "(groundswell-server restore --backup {})\n",
      topic->name, ToHex(log->id), flags.data_dir, flags.data_dir);
  return EXIT_SUCCESS;
}

absl::StatusOr<int> RunLeaveLog(const SharedLogFlags& flags) {
  const auto store = GraphStore::Open({.path = flags.data_dir, .name_space = flags.name_space});
  if (!store.ok()) return store.status();
  const absl::StatusOr<std::optional<SharedLog>> before = (*store)->ReadSharedLog();
  if (!before.ok()) return before.status();
  if (!before->has_value()) {
    fmt::print("{} is not of a shared log\n", flags.data_dir);
    return EXIT_SUCCESS;
  }
  GraphStore::Batch batch(**store);
  batch.DeleteSharedLog();
  if (absl::Status s = (*store)->Commit(batch, /*sync=*/true); !s.ok()) return s;
  fmt::print("{} has left the log {}, taken up to offset {} of its topic, and goes on by itself\n",
             flags.data_dir, ToHex((*before)->id), (*before)->position);
  return EXIT_SUCCESS;
}

void AddDatabase(CLI::App& command, SharedLogFlags& flags) {
  command.add_option("--data-dir", flags.data_dir, "Database directory")->required();
  command.add_option("--namespace", flags.name_space, "Namespace in it")->capture_default_str();
}

}  // namespace

std::function<absl::StatusOr<int>()> AddCreateLogCommand(CLI::App& app) {
  const auto flags = std::make_shared<SharedLogFlags>();
  CLI::App& command = *app.add_subcommand(
      "create-log", "Make a topic of Kafka the log of a database, for several servers");
  AddDatabase(command, *flags);
  command.add_option("--topic", flags->log.topic, "Topic to make")->required();
  command.add_option("--brokers", flags->log.brokers, "Brokers, host:port,host:port");
  command.add_option("--properties", flags->log.properties_file,
                     "Properties of librdkafka, for TLS and SASL");
  command.add_option("--replicas", flags->replicas, "Brokers that keep each request")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command
      .add_option("--in-sync-min", flags->log.in_sync_min,
                  "Of them, how many must have what is acknowledged")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command.add_option("--retention-h", flags->retention_h, "How long requests are kept, in hours")
      ->check(CLI::Range(kRetentionMin.count(), int64_t{87'600}))
      ->capture_default_str();
  command
      .add_option("--event-ids-max", flags->log.event_ids_max,
                  "log.event_ids_max of all servers of the log")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  command
      .add_option("--producers-max", flags->log.producers_max,
                  "log.producers_max of all servers of the log")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command.add_flag("--replace", flags->replaces, "Leave the shared log that the database is of");
  command.footer(
      "Example:\n  groundswell-server create-log --data-dir data-dir --brokers kafka-1:9092 "
      "--topic groundswell.default.requests");
  return [flags] { return RunCreateLog(*flags); };
}

std::function<absl::StatusOr<int>()> AddLeaveLogCommand(CLI::App& app) {
  const auto flags = std::make_shared<SharedLogFlags>();
  CLI::App& command =
      *app.add_subcommand("leave-log", "Have a database of a shared log go on by itself");
  AddDatabase(command, *flags);
  command.footer("Example:\n  groundswell-server leave-log --data-dir data-dir");
  return [flags] { return RunLeaveLog(*flags); };
}

}  // namespace groundswell
