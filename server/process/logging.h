// Logging: text for people or JSON for programs, one line per event on stderr, by spdlog.
#ifndef GROUNDSWELL_SERVER_PROCESS_LOGGING_H_
#define GROUNDSWELL_SERVER_PROCESS_LOGGING_H_

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "spdlog/common.h"

namespace groundswell {

enum class LogFormat {
  kText,  // [time] [groundswell] [level] message key=value ...
  kJson,  // {"time":...,"level":...,"message":...,key:value,...}
};

// How spdlog's default logger writes from here on. Not while another thread logs.
void SetLogFormat(LogFormat format);

// From here on what gRPC and protobuf have to say becomes events of the log: they write lines of
// their own format to standard error otherwise.
void LogWhatLibrariesSay();

// One event with fields: an object of numbers and texts.
void LogEvent(spdlog::level::level_enum level, std::string_view message,
              const nlohmann::ordered_json& fields);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_LOGGING_H_
