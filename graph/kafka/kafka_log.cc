#include "graph/kafka/kafka_log.h"

#include <spdlog/spdlog.h>

#include <string_view>

namespace groundswell {

void LogOfKafka(const rd_kafka_t* /*handle*/, int /*level*/, const char* facility,
                const char* message) {
  // A producer's settings in one file with a consumer's.
  if (std::string_view(facility) == "CONFWARN") return;
  spdlog::warn("Kafka: {}", message);
}

}  // namespace groundswell
