#include "csv/json_line.h"

#include <algorithm>
#include <cstddef>
#include <unordered_set>

namespace groundswell {
namespace {

using nlohmann::json;
using Event = json::parse_event_t;

// The keys of the object itself, as they come.
template <typename OnKey>
json ParseWithKeys(std::string_view line, const OnKey& on_key) {
  const auto keep = [&on_key](int depth, Event event, json& parsed) {
    if (event == Event::key && depth == 1) on_key(parsed.get_ref<const std::string&>());
    return true;
  };
  return json::parse(line, keep, /*allow_exceptions=*/false);
}

}  // namespace

bool JsonLine::HasTwice(std::string_view key) const {
  return std::ranges::find(keys_twice, key) != keys_twice.end();
}

JsonLine ParseJsonLine(std::string_view line) {
  size_t keys = 0;
  JsonLine parsed{.value = ParseWithKeys(line, [&keys](const std::string&) { ++keys; }),
                  .keys_twice = {}};
  if (!parsed.value.is_object() || keys == parsed.value.size()) return parsed;
  std::unordered_set<std::string> seen;
  ParseWithKeys(line, [&](const std::string& key) {
    if (!seen.insert(key).second && !parsed.HasTwice(key)) parsed.keys_twice.push_back(key);
  });
  return parsed;
}

}  // namespace groundswell
