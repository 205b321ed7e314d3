#include "server/rpc/trace_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace groundswell {
namespace {

constexpr size_t kTraceAt = 3;
constexpr size_t kParentAt = 36;
constexpr size_t kFlagsAt = 53;
constexpr size_t kLength = 55;

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool IsId(std::string_view text) {
  return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

uint64_t NewSpan() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return std::max<uint64_t>(random(), 1);
}

}  // namespace

std::optional<TraceContext> ParseTraceParent(std::string_view header) {
  if (header.size() < kLength || header[2] != '-' || header[kParentAt - 1] != '-' ||
      header[kFlagsAt - 1] != '-') {
    return std::nullopt;
  }
  const std::string_view version = header.substr(0, 2);
  const std::string_view trace = header.substr(kTraceAt, 32);
  const std::string_view parent = header.substr(kParentAt, 16);
  const std::string_view flags = header.substr(kFlagsAt, 2);
  if (!IsHex(version) || version == "ff" || !IsId(trace) || !IsId(parent) || !IsHex(flags)) {
    return std::nullopt;
  }
  const bool ends = header.size() == kLength;
  if (!ends && (version == "00" || header[kLength] != '-')) return std::nullopt;
  return TraceContext{.trace_id = std::string(trace),
                      .parent_id = std::string(parent),
                      .flags = std::string(flags)};
}

std::string TraceResponse(const TraceContext& trace) {
  return fmt::format("00-{}-{:016x}-{}", trace.trace_id, NewSpan(), trace.flags);
}

}  // namespace groundswell
