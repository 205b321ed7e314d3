// Files that the client is configured by: a token, certificates, rules, a mapping.
#ifndef GROUNDSWELL_CLIENT_TEXT_FILE_H_
#define GROUNDSWELL_CLIENT_TEXT_FILE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace groundswell {

inline constexpr size_t kTextFileBytesMax = size_t{16} << 20;

// The whole of a file, but for a byte order mark. `name`: what it was given as, such as
// "--ca-file". NotFound when it cannot be opened; InvalidArgument when it is a directory, cannot be
// read, or has more than kTextFileBytesMax bytes. Both tell `name` and the path.
absl::StatusOr<std::string> ReadTextFile(std::string_view name, const std::string& path);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_TEXT_FILE_H_
