// How the command line is told to reach brokers.
#ifndef GROUNDSWELL_CLIENT_KAFKA_KAFKA_FLAGS_H_
#define GROUNDSWELL_CLIENT_KAFKA_KAFKA_FLAGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "kafka/kafka_properties.h"

namespace groundswell {

// The properties of the file `path`, with `brokers` ("host:port,...") in place of its
// bootstrap.servers where they are not empty. No path: only these. NotFound when it cannot be read,
// InvalidArgument when no brokers are named.
absl::StatusOr<KafkaProperties> ReadKafkaProperties(const std::string& path,
                                                    const std::string& brokers);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_KAFKA_KAFKA_FLAGS_H_
