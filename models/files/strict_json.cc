#include "models/files/strict_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace groundswell {
namespace {

using nlohmann::json;

constexpr size_t kQuotedMax = 64;

// Walks a text without building anything; returning false ends the walk.
class Checker final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(json::number_integer_t) override { return true; }
  bool number_unsigned(json::number_unsigned_t) override { return true; }
  bool number_float(json::number_float_t, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(json::binary_t&) override { return true; }
  bool start_object(size_t) override { return Enter(); }
  bool start_array(size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }

  bool key(std::string& key) override {
    if (keys_.size() == 1) outermost_key_ = QuotedText(key);
    if (keys_.back().insert(key).second) return true;
    problem_ =
        fmt::format("the key {} stands twice in one object; keep one of them", QuotedText(key));
    return false;
  }

  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    problem_ = fmt::format("this is not JSON (at byte {})", position);
    return false;
  }

  const std::string& problem() const { return problem_; }

 private:
  bool Enter() {
    if (keys_.size() == kJsonDepthMax) {
      problem_ = outermost_key_.empty()
                     ? fmt::format("the JSON is nested deeper than {}", kJsonDepthMax)
                     : fmt::format("the value of {} is nested deeper than {}", outermost_key_,
                                   kJsonDepthMax);
      return false;
    }
    keys_.emplace_back();
    return true;
  }
  bool Leave() {
    keys_.pop_back();
    return true;
  }

  // One set per open object or array; an array's stays empty.
  std::vector<absl::flat_hash_set<std::string>> keys_;
  std::string outermost_key_;
  std::string problem_;
};

}  // namespace

absl::StatusOr<json> ParseStrictJson(std::string_view text) {
  Checker checker;
  if (!json::sax_parse(text, &checker)) return absl::InvalidArgumentError(checker.problem());
  return json::parse(text, nullptr, /*allow_exceptions=*/false);
}

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

std::string QuotedText(std::string_view text) {
  return json(std::string(text.substr(0, kQuotedMax)))
      .dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

}  // namespace groundswell
