// Brokers of librdkafka's own mock cluster, in this process: for what needs no real ones.
#ifndef GROUNDSWELL_TESTS_SUPPORT_MOCK_BROKERS_H_
#define GROUNDSWELL_TESTS_SUPPORT_MOCK_BROKERS_H_

#include <memory>
#include <string>

#include "graph/kafka/request_topic.h"

namespace groundswell {

class MockBrokers {
 public:
  MockBrokers();
  ~MockBrokers();
  MockBrokers(const MockBrokers&) = delete;
  MockBrokers& operator=(const MockBrokers&) = delete;

  // A topic of its own, which has nothing yet.
  RequestTopic NewTopic(int partitions = 1);
  // The next requests to write are answered with an error that is final, such as a broker answers
  // after it has lost its rights.
  void RefuseWrites(size_t count);

 private:
  struct Cluster;
  const std::unique_ptr<Cluster> cluster_;
  int topics_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_MOCK_BROKERS_H_
