// How to reach brokers: the properties that librdkafka is given.
#ifndef GROUNDSWELL_KAFKA_KAFKA_PROPERTIES_H_
#define GROUNDSWELL_KAFKA_KAFKA_PROPERTIES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace groundswell {

// Values may be passwords: no message names one.
struct KafkaProperty {
  std::string key;
  std::string value;
  std::string origin;  // for messages: "line 3 of kafka.properties"
};

using KafkaProperties = std::vector<KafkaProperty>;

// `key = value` a line, as in Java's properties without its escapes; lines that begin with # or !,
// and empty ones, say nothing. InvalidArgument, naming line and key, for anything else, and for a
// key that the reading itself decides, such as "auto.offset.reset".
absl::StatusOr<KafkaProperties> ParseKafkaProperties(std::string_view text, std::string_view file);

// `brokers` ("host:port,...") in place of the bootstrap.servers that are in `properties`.
void SetBrokers(const std::string& brokers, std::string origin, KafkaProperties& properties);
bool HasBrokers(const KafkaProperties& properties);

}  // namespace groundswell

#endif  // GROUNDSWELL_KAFKA_KAFKA_PROPERTIES_H_
