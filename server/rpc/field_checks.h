// What fields that many requests have must be. Each check names the field, shows the value and says
// what would be right (InvalidArgument with BadRequest), or names what is not there (NotFound).
#ifndef GROUNDSWELL_SERVER_RPC_FIELD_CHECKS_H_
#define GROUNDSWELL_SERVER_RPC_FIELD_CHECKS_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"

namespace groundswell {

inline constexpr size_t kIdBytesMax = 256;
inline constexpr size_t kCategoriesMax = 32;  // of a filter, of a rule

// `name_space` empty means "default"; anything but `served` is NotFound (NAMESPACE_UNKNOWN).
absl::Status CheckNamespace(std::string_view name_space, std::string_view served);

// Empty, or a UUID in its usual form (8-4-4-4-12 hexadecimal digits).
absl::Status CheckRequestId(std::string_view request_id);

// A UUID, and not empty.
absl::Status RequireRequestId(std::string_view request_id);

// 1 to 256 bytes of UTF-8 without control characters.
absl::Status CheckId(std::string_view field, std::string_view id);

// Opaque outside: the offset that a client wants to see in an answer. An empty token is offset 0.
std::string MakeConsistencyToken(Offset offset);
absl::StatusOr<Offset> CheckConsistencyToken(std::string_view token);

// `field` was repeated `count` times, more than `limit`.
absl::Status TooMany(std::string_view field, int count, size_t limit);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_FIELD_CHECKS_H_
