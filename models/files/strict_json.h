// JSON from outside, as every reader of this folder takes it.
#ifndef GROUNDSWELL_MODELS_FILES_STRICT_JSON_H_
#define GROUNDSWELL_MODELS_FILES_STRICT_JSON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace groundswell {

// The document, nested at most kJsonDepthMax deep (the library prints and compares by recursion)
// and without an object that has a key twice (the library would keep the last and drop the others).
// Otherwise InvalidArgument, whose message says what and where, for the caller to put the file
// before.
inline constexpr size_t kJsonDepthMax = 32;
absl::StatusOr<nlohmann::json> ParseStrictJson(std::string_view text);

// Whether a text of the document holds what breaks a line of a log, or worse: U+0000 to U+001F, or
// U+007F.
bool HasControlCharacter(std::string_view text);

// A key of the document or another text of it, for a message: in quotes, its first characters,
// control characters escaped.
std::string QuotedText(std::string_view text);

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_FILES_STRICT_JSON_H_
