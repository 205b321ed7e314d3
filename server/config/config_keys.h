// Every setting of the server: its key, where it is kept, its unit, its range, and what it is for.
// What flags, variables, files and the documentation are made from.
#ifndef GROUNDSWELL_SERVER_CONFIG_CONFIG_KEYS_H_
#define GROUNDSWELL_SERVER_CONFIG_CONFIG_KEYS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "server/config/config.h"

namespace groundswell {

using ConfigMember = std::variant<std::string*, int64_t*, bool*>;

// Describes what would be right, or nothing when `value` is.
using TextRule = std::optional<std::string> (*)(std::string_view value);

struct ConfigKey {
  std::string_view name;  // "section.key"
  ConfigMember (*member)(Config&);
  std::string_view unit;
  int64_t min;  // of integers; of texts: bytes
  int64_t max;
  std::string_view help;
  TextRule rule = nullptr;
};

std::span<const ConfigKey> ConfigKeys();

// Null for a key that does not exist.
const ConfigKey* FindConfigKey(std::string_view name);

// Whether `value` consists of a-z, 0-9 and the characters of `also`.
bool IsName(std::string_view value, std::string_view also);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_CONFIG_CONFIG_KEYS_H_
