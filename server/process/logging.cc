#include "server/process/logging.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "program/terminal_text.h"
#include "server/process/line_rate.h"

namespace groundswell {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kLibraryLinesPerSecond = 10;

// The fields of the event that this thread logs: spdlog has no place for them, and formats in the
// thread that logs.
thread_local const ordered_json* current_fields = nullptr;

// Whatever the bytes: what is no UTF-8 becomes a replacement character.
std::string Dump(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void Append(std::string_view text, spdlog::memory_buf_t& out) {
  out.append(text.data(), text.data() + text.size());
}

class MessageAsText final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    // No line but the first begins as an event does, whoever wrote what it tells.
    std::string text = TerminalLines({message.payload.data(), message.payload.size()});
    for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', end + 1)) {
      text.insert(end + 1, "    ");
    }
    Append(text, out);
    if (current_fields == nullptr) return;
    for (const auto& [key, value] : current_fields->items()) {
      Append(" " + key + "=" + Dump(value), out);
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<MessageAsText>();
  }
};

class MessageAsJson final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    ordered_json event;
    event["message"] = std::string(message.payload.data(), message.payload.size());
    if (current_fields != nullptr) event.update(*current_fields);
    const std::string text = Dump(event);
    Append(std::string_view(text).substr(1), out);  // behind the time and the level
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<MessageAsJson>();
  }
};

// Of libraries, which say a line for each connection or message that is not as it should be: one
// peer could fill the disk.
LineRate& LinesOfLibraries() {
  static auto* const lines = new LineRate(kLibraryLinesPerSecond);
  return *lines;
}

void LogOfLibrary(spdlog::level::level_enum level, std::string_view library,
                  std::string_view message) {
  if (!spdlog::should_log(level)) return;
  const auto left_out = LinesOfLibraries().Take(std::chrono::steady_clock::now());
  if (!left_out.has_value()) return;
  if (*left_out > 0) {
    spdlog::warn("{} lines of libraries were left out, of which {} a second are logged", *left_out,
                 kLibraryLinesPerSecond);
  }
  spdlog::log(level, "{}: {}", library, message);
}

void LogOfGrpc(gpr_log_func_args* event) {
  const auto level = event->severity == GPR_LOG_SEVERITY_ERROR  ? spdlog::level::err
                     : event->severity == GPR_LOG_SEVERITY_INFO ? spdlog::level::info
                                                                : spdlog::level::debug;
  LogOfLibrary(level, "gRPC", event->message);
}

void LogOfProtobuf(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/,
                   const std::string& message) {
  // What a client sends that is no message of ours is its error and not the server's.
  LogOfLibrary(
      level >= google::protobuf::LOGLEVEL_ERROR ? spdlog::level::warn : spdlog::level::debug,
      "protobuf", message);
}

}  // namespace

void LogWhatLibrariesSay() {
  gpr_set_log_function(LogOfGrpc);
  google::protobuf::SetLogHandler(LogOfProtobuf);
}

void SetLogFormat(LogFormat format) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (format == LogFormat::kJson) {
    formatter->add_flag<MessageAsJson>('*');
    formatter->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%*)");
  } else {
    formatter->add_flag<MessageAsText>('*');
    formatter->set_pattern("[%Y-%m-%d %H:%M:%S.%e] [%n] [%^%l%$] %*");
  }
  spdlog::set_formatter(std::move(formatter));
}

void LogEvent(spdlog::level::level_enum level, std::string_view message,
              const ordered_json& fields) {
  current_fields = &fields;
  spdlog::log(level, "{}", message);
  current_fields = nullptr;
}

}  // namespace groundswell
