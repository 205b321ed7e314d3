// What librdkafka has to say, in the server's log.
#ifndef GROUNDSWELL_GRAPH_KAFKA_KAFKA_LOG_H_
#define GROUNDSWELL_GRAPH_KAFKA_KAFKA_LOG_H_

#include "kafka/librdkafka.h"

namespace groundswell {

void LogOfKafka(const rd_kafka_t* handle, int level, const char* facility, const char* message);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_KAFKA_KAFKA_LOG_H_
