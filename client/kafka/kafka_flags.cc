#include "client/kafka/kafka_flags.h"

#include "client/text_file.h"

namespace groundswell {

absl::StatusOr<KafkaProperties> ReadKafkaProperties(const std::string& path,
                                                    const std::string& brokers) {
  KafkaProperties properties;
  if (!path.empty()) {
    const absl::StatusOr<std::string> text = ReadTextFile("--properties", path);
    if (!text.ok()) return text.status();
    auto parsed = ParseKafkaProperties(*text, path);
    if (!parsed.ok()) return parsed.status();
    properties = *std::move(parsed);
  }
  if (!brokers.empty()) SetBrokers(brokers, "--brokers", properties);
  if (!HasBrokers(properties)) {
    return absl::InvalidArgumentError(
        "no brokers are named; give --brokers HOST:PORT, or bootstrap.servers in --properties");
  }
  return properties;
}

}  // namespace groundswell
