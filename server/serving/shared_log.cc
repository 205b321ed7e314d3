#include "server/serving/shared_log.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "graph/kafka/kafka_order.h"

namespace groundswell {
namespace {

constexpr std::chrono::seconds kAskAgain{1};

// Calls `ask` until the brokers answer, and says that it waits for them.
absl::Status WhenBrokersAnswer(const std::function<absl::Status()>& ask,
                               const std::function<bool()>& cancelled) {
  while (true) {
    absl::Status status = ask();
    if (!absl::IsUnavailable(status)) return status;
    spdlog::warn("not ready: waiting for the log's brokers: {}", std::string(status.message()));
    const auto until = std::chrono::steady_clock::now() + kAskAgain;
    while (std::chrono::steady_clock::now() < until) {
      if (cancelled()) return absl::CancelledError("stopped while waiting for the log's brokers");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

absl::Status CheckSetting(std::string_view name, int64_t of_log, int64_t of_server) {
  if (of_log == of_server) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{0} is {1}, and that of the log which this database shares is {2}: with another "
                  "one, this server would take other requests for duplicates. Set it to {2}",
                  name, of_server, of_log));
}

absl::Status CheckGoTogether(const std::optional<SharedLog>& taken,
                             const SharedLogOptions& options) {
  if (!taken.has_value() && !options.topic.empty()) {
    return absl::FailedPreconditionError(fmt::format(
        "log.kafka_topic is \"{}\", but this database is not of a shared log: restore a backup of "
        "a server of that log (`groundswell-server restore --replace`), or make a log of this "
        "database with `groundswell-server create-log`",
        options.topic));
  }
  if (taken.has_value() && options.topic.empty()) {
    return absl::FailedPreconditionError(fmt::format(
        "this database is of the log {} that servers share, and log.kafka_topic is not set: set "
        "it, or have the database go on by itself with `groundswell-server leave-log`",
        ToHex(taken->id)));
  }
  if (!taken.has_value()) return absl::OkStatus();
  if (absl::Status s =
          CheckSetting("log.event_ids_max", taken->event_ids_max, options.event_ids_max);
      !s.ok()) {
    return s;
  }
  return CheckSetting("log.producers_max", taken->producers_max, options.producers_max);
}

}  // namespace

absl::StatusOr<RequestTopic> RequestTopicOf(const SharedLogOptions& options,
                                            std::string_view origin) {
  auto properties = ReadKafkaProperties(options.properties_file, options.brokers, origin);
  if (!properties.ok()) return properties.status();
  if (absl::Status s = CheckNotOurs(*properties); !s.ok()) return s;
  return RequestTopic{.properties = *std::move(properties),
                      .name = options.topic,
                      .in_sync_min = options.in_sync_min};
}

absl::StatusOr<std::optional<RocksdbLog::Shared>> OpenSharedLog(
    const GraphStore& store, const SharedLogOptions& options,
    const std::function<bool()>& cancelled) {
  const absl::StatusOr<std::optional<SharedLog>> taken = store.ReadSharedLog();
  if (!taken.ok()) return taken.status();
  if (absl::Status s = CheckGoTogether(*taken, options); !s.ok()) return s;
  if (!taken->has_value()) return std::nullopt;
  const absl::StatusOr<RequestTopic> topic = RequestTopicOf(options, "log.kafka_brokers");
  if (!topic.ok()) return topic.status();
  std::unique_ptr<KafkaOrder> order;
  const auto open = [&]() -> absl::Status {
    auto opened = KafkaOrder::Open(
        {.properties = topic->properties, .topic = topic->name, .queue_max = options.queue_max},
        **taken);
    if (!opened.ok()) return opened.status();
    if (absl::Status s = CheckRequestTopic(*topic); !s.ok()) return s;
    order = *std::move(opened);
    return absl::OkStatus();
  };
  if (absl::Status s = WhenBrokersAnswer(open, cancelled); !s.ok()) return s;
  spdlog::info("the log is topic {}: log {}, taken up to offset {}", topic->name,
               ToHex((*taken)->id), (*taken)->position);
  return RocksdbLog::Shared{.order = std::move(order), .taken = **taken};
}

absl::Status CatchUpWithShared(RocksdbLog& log, const std::function<bool()>& cancelled) {
  return WhenBrokersAnswer([&] { return log.AwaitShared(cancelled); }, cancelled);
}

absl::Status CheckLogIsOwn(const GraphStore& store, std::string_view what) {
  const absl::StatusOr<std::optional<SharedLog>> taken = store.ReadSharedLog();
  if (!taken.ok()) return taken.status();
  if (!taken->has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "the database is of the log {} that servers share, and the others would not know of {}: "
      "restore a backup of another one, or have this database go on by itself with "
      "`groundswell-server leave-log`",
      ToHex((*taken)->id), what));
}

}  // namespace groundswell
