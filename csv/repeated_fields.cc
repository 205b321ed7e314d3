#include "csv/repeated_fields.h"

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "csv/utf8.h"

namespace groundswell {
namespace {

using nlohmann::json;

// protobuf's parser refuses what is deeper.
constexpr size_t kDepthMax = 128;

// user_id -> userId, as protobuf names fields in JSON.
std::string JsonNameOf(std::string_view key) {
  std::string name;
  bool is_behind_underscore = false;
  for (const char c : key) {
    if (c == '_') {
      is_behind_underscore = true;
      continue;
    }
    const bool is_lower = c >= 'a' && c <= 'z';
    name.push_back(is_behind_underscore && is_lower ? static_cast<char>(c - 'a' + 'A') : c);
    is_behind_underscore = false;
  }
  return name;
}

// Stops at the first field that is there twice.
class FieldsOfObjects : public nlohmann::json_sax<json> {
 public:
  std::optional<std::string> repeated;

  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(int64_t /*value*/) override { return true; }
  bool number_unsigned(uint64_t /*value*/) override { return true; }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return true; }
  bool string(std::string& /*value*/) override { return true; }
  bool binary(json::binary_t& /*value*/) override { return true; }
  bool start_array(size_t /*size*/) override { return true; }
  bool end_array() override { return true; }
  bool start_object(size_t /*size*/) override {
    keys_.emplace_back();
    return keys_.size() <= kDepthMax;
  }
  bool end_object() override {
    keys_.pop_back();
    return true;
  }
  bool key(std::string& key) override {
    const auto [known, is_new] = keys_.back().try_emplace(JsonNameOf(key), key);
    if (is_new) return true;
    repeated = known->second == key ? fmt::format("the key {} twice", ShownText(key))
                                    : fmt::format("the key {} beside {}, which is the same field",
                                                  ShownText(key), ShownText(known->second));
    return false;
  }
  bool parse_error(size_t /*at*/, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    return false;
  }

 private:
  // Of the objects around. Ordered: keys come from strangers, who know what a hash makes of them.
  std::vector<std::map<std::string, std::string>> keys_;
};

}  // namespace

std::optional<std::string> FindRepeatedField(std::string_view text) {
  FieldsOfObjects fields;
  json::sax_parse(text, &fields);
  return std::move(fields.repeated);
}

}  // namespace groundswell
