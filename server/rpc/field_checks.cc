#include "server/rpc/field_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

constexpr std::string_view kDefaultNamespace = "default";
constexpr std::string_view kTokenPrefix = "o";

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

bool IsHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

absl::Status CheckNamespace(std::string_view name_space, std::string_view served) {
  const std::string_view wanted = name_space.empty() ? kDefaultNamespace : name_space;
  if (wanted == served) return absl::OkStatus();
  return UnknownResource("namespace", wanted, "NAMESPACE_UNKNOWN",
                         fmt::format("this server serves \"{}\"", served));
}

absl::Status CheckRequestId(std::string_view request_id) {
  if (request_id.empty()) return absl::OkStatus();
  bool is_uuid = request_id.size() == 36;
  for (size_t i = 0; i < request_id.size() && is_uuid; ++i) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    is_uuid = is_dash ? request_id[i] == '-' : IsHexDigit(request_id[i]);
  }
  if (is_uuid) return absl::OkStatus();
  return InvalidField("request_id", request_id,
                      "must be a UUID such as 123e4567-e89b-42d3-a456-426614174000, or empty");
}

absl::Status RequireRequestId(std::string_view request_id) {
  if (!request_id.empty()) return CheckRequestId(request_id);
  return InvalidField("request_id", request_id,
                      "must be a UUID: a repeated request is recognised by it");
}

absl::Status CheckId(std::string_view field, std::string_view id) {
  if (id.empty() || id.size() > kIdBytesMax) {
    return InvalidField(field, id,
                        fmt::format("must be 1 to {} bytes; it has {}", kIdBytesMax, id.size()));
  }
  if (HasControlCharacter(id)) {
    return InvalidField(field, id, "must not contain control characters");
  }
  return absl::OkStatus();
}

std::string MakeConsistencyToken(Offset offset) {
  return fmt::format("{}{:x}", kTokenPrefix, offset);
}

absl::StatusOr<Offset> CheckConsistencyToken(std::string_view token) {
  if (token.empty()) return Offset{0};
  Offset offset = 0;
  if (token.substr(0, kTokenPrefix.size()) == kTokenPrefix) {
    const std::string_view digits = token.substr(kTokenPrefix.size());
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), offset, 16);
    if (error == std::errc() && end == digits.data() + digits.size() && offset >= 0) return offset;
  }
  return InvalidField("consistency_token", token,
                      "must be a token that an acknowledged interaction returned, or empty");
}

absl::Status TooMany(std::string_view field, int count, size_t limit) {
  return InvalidField(field, std::to_string(count),
                      fmt::format("may be repeated at most {} times", limit));
}

}  // namespace groundswell
