#include "kafka/kafka_properties.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>

namespace groundswell {
namespace {

constexpr std::string_view kBrokersKey = "bootstrap.servers";
constexpr size_t kFileBytesMax = size_t{1} << 20;

absl::StatusOr<std::string> ReadPropertiesFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    return absl::NotFoundError(fmt::format("the properties \"{}\" cannot be read", path));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() <= kFileBytesMax) return text;
  return absl::InvalidArgumentError(fmt::format(
      "the properties \"{}\" have more than {} bytes; is it the right file?", path, kFileBytesMax));
}

// Keys that are not for the operator to set, and why.
const std::map<std::string_view, std::string_view>& RefusedKeys() {
  static const std::map<std::string_view, std::string_view> keys = {
      {"auto.offset.reset", "offsets that are gone are an error"},
      {"debug", "what it prints may hold credentials"},
      {"enable.auto.commit", "nothing is committed: the database knows how far each partition is"},
      {"enable.auto.offset.store",
       "nothing is committed: the database knows how far each partition is"},
      {"enable.idempotence", "everything is written so"},
      {"enable.partition.eof", "the end of a partition is always told"},
      {"group.id", "there is no consumer group: the database knows how far each partition is"},
      {"isolation.level", "only what was committed is read"},
      {"sasl.jaas.config", "it is Java's; set sasl.username and sasl.password"},
      {"ssl.truststore.location", "it is Java's; set ssl.ca.location to a PEM file"},
  };
  return keys;
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\f";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

absl::StatusOr<KafkaProperty> ParseLine(std::string_view line, std::string origin) {
  const size_t sign = line.find('=');
  if (sign == std::string_view::npos || Trimmed(line.substr(0, sign)).empty()) {
    // Not the line itself: it may be a password that was broken off.
    return absl::InvalidArgumentError(
        fmt::format("{} is no property; write KEY = VALUE, or # before a remark", origin));
  }
  KafkaProperty property{.key = std::string(Trimmed(line.substr(0, sign))),
                         .value = std::string(Trimmed(line.substr(sign + 1))),
                         .origin = std::move(origin)};
  if (const auto refused = RefusedKeys().find(property.key); refused != RefusedKeys().end()) {
    return absl::InvalidArgumentError(fmt::format("{} sets \"{}\", which must be left out: {}",
                                                  property.origin, property.key, refused->second));
  }
  return property;
}

}  // namespace

absl::StatusOr<KafkaProperties> ParseKafkaProperties(std::string_view text, std::string_view file) {
  KafkaProperties properties;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#' || line.front() == '!') continue;
    auto property = ParseLine(line, fmt::format("line {} of {}", number, file));
    if (!property.ok()) return property.status();
    properties.push_back(*std::move(property));
  }
  return properties;
}

absl::StatusOr<KafkaProperties> ReadKafkaProperties(const std::string& path,
                                                    const std::string& brokers,
                                                    std::string_view brokers_name) {
  KafkaProperties properties;
  if (!path.empty()) {
    const absl::StatusOr<std::string> text = ReadPropertiesFile(path);
    if (!text.ok()) return text.status();
    auto parsed = ParseKafkaProperties(*text, path);
    if (!parsed.ok()) return parsed.status();
    properties = *std::move(parsed);
  }
  const auto names_brokers = [](const KafkaProperty& one) { return one.key == kBrokersKey; };
  if (!brokers.empty()) {
    std::erase_if(properties, names_brokers);
    properties.push_back(
        {.key = std::string(kBrokersKey), .value = brokers, .origin = std::string(brokers_name)});
  }
  if (std::ranges::any_of(properties, names_brokers)) return properties;
  return absl::InvalidArgumentError(fmt::format(
      "no brokers are named; give {}, or {} among the properties", brokers_name, kBrokersKey));
}

}  // namespace groundswell
