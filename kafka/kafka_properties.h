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

// Those of the file `path`, with `brokers` ("host:port,...") in place of its bootstrap.servers;
// either may be empty. `brokers_name` is what the latter is given as, such as "--brokers". NotFound
// when the file cannot be read; InvalidArgument when it is too large to be one, holds no
// properties, or no brokers are named.
absl::StatusOr<KafkaProperties> ReadKafkaProperties(const std::string& path,
                                                    const std::string& brokers,
                                                    std::string_view brokers_name);

}  // namespace groundswell

#endif  // GROUNDSWELL_KAFKA_KAFKA_PROPERTIES_H_
