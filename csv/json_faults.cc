#include "csv/json_faults.h"

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

// Stops at the first fault.
class FaultsOfMessage : public nlohmann::json_sax<json> {
 public:
  std::optional<std::string> fault;

  bool null() override { return !IsInList("null"); }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(int64_t /*value*/) override { return true; }
  bool number_unsigned(uint64_t /*value*/) override { return true; }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return true; }
  bool string(std::string& /*value*/) override { return true; }
  bool binary(json::binary_t& /*value*/) override { return true; }
  bool start_array(size_t /*size*/) override { return !IsInList("a list") && Open(true); }
  bool end_array() override { return Close(); }
  bool start_object(size_t /*size*/) override { return Open(false); }
  bool end_object() override { return Close(); }
  bool key(std::string& key) override {
    const auto [known, is_new] = around_.back().keys.try_emplace(JsonNameOf(key), key);
    if (is_new) return true;
    fault = known->second == key
                ? fmt::format("has the key {} twice; give each field once", ShownText(key))
                : fmt::format(
                      "has the key {} beside {}, which is the same field; "
                      "give each field once",
                      ShownText(key), ShownText(known->second));
    return false;
  }
  bool parse_error(size_t at, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    fault = fmt::format("is no JSON from byte {} on", at);
    return false;
  }

 private:
  struct Around {
    bool is_list = false;
    // Ordered: keys come from strangers, who know what a hash makes of them.
    std::map<std::string, std::string> keys;
  };

  bool IsInList(std::string_view what) {
    if (around_.empty() || !around_.back().is_list) return false;
    fault = fmt::format("has {} within a list; leave it out", what);
    return true;
  }
  bool Open(bool is_list) {
    around_.push_back({.is_list = is_list, .keys = {}});
    return around_.size() <= kDepthMax;
  }
  bool Close() {
    around_.pop_back();
    return true;
  }

  std::vector<Around> around_;
};

}  // namespace

std::optional<std::string> FindJsonFault(std::string_view text) {
  FaultsOfMessage message;
  json::sax_parse(text, &message);
  return std::move(message.fault);
}

}  // namespace groundswell
