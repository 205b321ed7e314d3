#include "tests/support/mock_brokers.h"

#include <stdexcept>

// The second one wants the first before it.
// clang-format off
#include "kafka/librdkafka.h"
#include <librdkafka/rdkafka_mock.h>
// clang-format on

namespace groundswell {
namespace {

constexpr int16_t kProduce = 0;  // Kafka's number of the request

void Silent(const rd_kafka_t*, int, const char*, const char*) {}

}  // namespace

struct MockBrokers::Cluster {
  KafkaHandle handle{nullptr, &rd_kafka_destroy};
  rd_kafka_mock_cluster_t* mock = nullptr;
};

MockBrokers::MockBrokers() : cluster_(std::make_unique<Cluster>()) {
  auto conf = MakeKafkaConf({}, {}, Silent);
  if (!conf.ok()) throw std::runtime_error(std::string(conf.status().message()));
  auto handle = MakeKafkaHandle(RD_KAFKA_PRODUCER, *std::move(conf));
  if (!handle.ok()) throw std::runtime_error(std::string(handle.status().message()));
  cluster_->handle = *std::move(handle);
  cluster_->mock = rd_kafka_mock_cluster_new(cluster_->handle.get(), 1);
}

MockBrokers::~MockBrokers() { rd_kafka_mock_cluster_destroy(cluster_->mock); }

RequestTopic MockBrokers::NewTopic(int partitions) {
  RequestTopic topic{.name = "requests-" + std::to_string(++topics_)};
  topic.properties =
      *ReadKafkaProperties("", rd_kafka_mock_cluster_bootstraps(cluster_->mock), "the test");
  rd_kafka_mock_topic_create(cluster_->mock, topic.name.c_str(), partitions, 1);
  return topic;
}

void MockBrokers::RefuseWrites(size_t count) {
  for (size_t i = 0; i < count; ++i) {
    rd_kafka_mock_push_request_errors(cluster_->mock, kProduce, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  }
}

}  // namespace groundswell
