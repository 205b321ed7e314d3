// One line of JSON lines.
#ifndef GROUNDSWELL_CSV_JSON_LINE_H_
#define GROUNDSWELL_CSV_JSON_LINE_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace groundswell {

struct JsonLine {
  nlohmann::json value;                 // discarded: the line is no JSON
  std::vector<std::string> keys_twice;  // of the object, those that it has more than once

  bool HasTwice(std::string_view key) const;
};

JsonLine ParseJsonLine(std::string_view line);

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_JSON_LINE_H_
