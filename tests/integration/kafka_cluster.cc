#include "tests/integration/kafka_cluster.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <utility>

#include "tests/integration/server_process.h"

namespace groundswell {
namespace {

constexpr int kTimeoutMs = 60'000;
constexpr char kScript[] = GROUNDSWELL_KAFKA_SCRIPT;

std::string Run(const std::vector<std::string>& arguments) {
  const Finished finished = RunProgram(arguments);
  if (finished.exit_code != 0) throw std::runtime_error(finished.output);
  return finished.output;
}

void Check(rd_kafka_resp_err_t error, const char* what) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  throw std::runtime_error(std::string(what) + ": " + rd_kafka_err2str(error));
}

void Check(rd_kafka_error_t* error, const char* what) {
  if (error == nullptr) return;
  const std::string text = std::string(what) + ": " + rd_kafka_error_string(error);
  rd_kafka_error_destroy(error);
  throw std::runtime_error(text);
}

// What went wrong with a record that was to be written; Write asks.
rd_kafka_resp_err_t not_delivered = RD_KAFKA_RESP_ERR_NO_ERROR;

void NoteDelivery(rd_kafka_t* /*handle*/, const rd_kafka_message_t* message, void* /*opaque*/) {
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) not_delivered = message->err;
}

using Handle = std::shared_ptr<rd_kafka_t>;

Handle NewHandle(rd_kafka_type_t type, const std::map<std::string, std::string>& properties) {
  char error[512];
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  for (const auto& [key, value] : properties) {
    if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), error, sizeof(error)) !=
        RD_KAFKA_CONF_OK) {
      throw std::runtime_error(error);
    }
  }
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, NoteDelivery);
  rd_kafka_t* const handle = rd_kafka_new(type, conf, error, sizeof(error));
  if (handle == nullptr) throw std::runtime_error(error);
  return {handle, rd_kafka_destroy};
}

// Calls one of librdkafka's admin functions and waits for its result.
void Administer(rd_kafka_t& handle, const std::function<void(rd_kafka_queue_t*)>& call) {
  rd_kafka_queue_t* const queue = rd_kafka_queue_new(&handle);
  call(queue);
  rd_kafka_event_t* const event = rd_kafka_queue_poll(queue, kTimeoutMs);
  const rd_kafka_resp_err_t error =
      event == nullptr ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
  if (event != nullptr) rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  Check(error, "an administrative request");
}

// A topic or partition that is new, or was made anew, is not known to the writer at once.
bool IsNotKnownYet(rd_kafka_resp_err_t error) {
  return error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

void Produce(rd_kafka_t& handle, const std::string& topic, const TopicRecord& record) {
  const bool is_tombstone = !record.value.has_value();
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  const auto patience = std::chrono::steady_clock::now() + std::chrono::milliseconds(kTimeoutMs);
  do {
    rd_kafka_poll(&handle, IsNotKnownYet(error) ? 10 : 0);
    error = rd_kafka_producev(
        &handle, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(record.partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE(is_tombstone ? nullptr : const_cast<char*>(record.value->data()),
                         static_cast<size_t>(is_tombstone ? 0 : record.value->size())),
        RD_KAFKA_V_KEY(record.key.data(), record.key.size()),
        RD_KAFKA_V_TIMESTAMP(record.timestamp_ms), RD_KAFKA_V_END);
  } while (IsNotKnownYet(error) && std::chrono::steady_clock::now() < patience);
  Check(error, "produce");
}

TopicRecord ToRecord(const rd_kafka_message_t& message) {
  TopicRecord record{.partition = message.partition, .offset = message.offset};
  if (message.payload != nullptr) {
    record.value.emplace(static_cast<const char*>(message.payload), message.len);
  }
  rd_kafka_headers_t* headers = nullptr;
  rd_kafka_message_headers(&message, &headers);
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0;
       headers != nullptr && rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; ++i) {
    record.headers[name].assign(static_cast<const char*>(value), size);
  }
  return record;
}

}  // namespace

struct KafkaCluster::Handles {
  Handle plain;          // administers
  Handle transactional;  // made when it is first wanted
};

std::string KafkaCluster::WhyNot() {
  const Finished finished = RunProgram({kScript, "fetch"});
  return finished.exit_code == 0 ? "" : finished.output;
}

// The records of tests are years old: a retention by time would delete them half a minute after the
// broker's start.
KafkaCluster::KafkaCluster() : handles_(std::make_unique<Handles>()) {
  brokers_ = Run({kScript, "start", directory_.File("kafka"), "--owner", std::to_string(getpid()),
                  "log.retention.ms=-1"});
  while (!brokers_.empty() && brokers_.back() == '\n') brokers_.pop_back();
  handles_->plain = NewHandle(RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers_}});
}

KafkaCluster::~KafkaCluster() {
  handles_.reset();
  RunProgram({kScript, "stop", directory_.File("kafka")});
}

void KafkaCluster::CreateTopic(const std::string& topic, int partitions,
                               const std::map<std::string, std::string>& config) {
  rd_kafka_NewTopic_t* created = rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, nullptr, 0);
  for (const auto& [name, value] : config) {
    rd_kafka_NewTopic_set_config(created, name.c_str(), value.c_str());
  }
  Administer(*handles_->plain, [&](rd_kafka_queue_t* queue) {
    rd_kafka_CreateTopics(handles_->plain.get(), &created, 1, nullptr, queue);
  });
  rd_kafka_NewTopic_destroy(created);
}

void KafkaCluster::AddPartitions(const std::string& topic, int partitions) {
  rd_kafka_NewPartitions_t* added =
      rd_kafka_NewPartitions_new(topic.c_str(), static_cast<size_t>(partitions), nullptr, 0);
  Administer(*handles_->plain, [&](rd_kafka_queue_t* queue) {
    rd_kafka_CreatePartitions(handles_->plain.get(), &added, 1, nullptr, queue);
  });
  rd_kafka_NewPartitions_destroy(added);
}

void KafkaCluster::DeleteTopic(const std::string& topic) {
  rd_kafka_DeleteTopic_t* deleted = rd_kafka_DeleteTopic_new(topic.c_str());
  Administer(*handles_->plain, [&](rd_kafka_queue_t* queue) {
    rd_kafka_DeleteTopics(handles_->plain.get(), &deleted, 1, nullptr, queue);
  });
  rd_kafka_DeleteTopic_destroy(deleted);
}

void KafkaCluster::DeleteRecords(const std::string& topic, int32_t partition, int64_t before) {
  rd_kafka_topic_partition_list_t* const list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset = before;
  rd_kafka_DeleteRecords_t* deleted = rd_kafka_DeleteRecords_new(list);
  rd_kafka_topic_partition_list_destroy(list);
  Administer(*handles_->plain, [&](rd_kafka_queue_t* queue) {
    rd_kafka_DeleteRecords(handles_->plain.get(), &deleted, 1, nullptr, queue);
  });
  rd_kafka_DeleteRecords_destroy(deleted);
}

void KafkaCluster::Write(const std::string& topic, const std::vector<TopicRecord>& records,
                         Transaction transaction) {
  // One that knows nothing yet: of a topic that was made anew, an older one believes what was.
  Handle handle = NewHandle(RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers_}});
  if (transaction != Transaction::kNone) {
    if (handles_->transactional == nullptr) {
      handles_->transactional = NewHandle(
          RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers_}, {"transactional.id", "test"}});
      Check(rd_kafka_init_transactions(handles_->transactional.get(), kTimeoutMs), "transactions");
    }
    handle = handles_->transactional;
    Check(rd_kafka_begin_transaction(handle.get()), "begin");
  }
  for (const TopicRecord& record : records) Produce(*handle, topic, record);
  Check(rd_kafka_flush(handle.get(), kTimeoutMs), "flush");
  Check(std::exchange(not_delivered, RD_KAFKA_RESP_ERR_NO_ERROR), "deliver");
  if (transaction == Transaction::kCommit) {
    Check(rd_kafka_commit_transaction(handle.get(), kTimeoutMs), "commit");
  } else if (transaction == Transaction::kAbort) {
    Check(rd_kafka_abort_transaction(handle.get(), kTimeoutMs), "abort");
  }
}

std::vector<TopicRecord> KafkaCluster::Read(const std::string& topic) {
  const Handle handle = NewHandle(
      RD_KAFKA_CONSUMER, {{"bootstrap.servers", brokers_}, {"enable.partition.eof", "true"}});
  rd_kafka_topic_t* const opened = rd_kafka_topic_new(handle.get(), topic.c_str(), nullptr);
  rd_kafka_consume_start(opened, 0, RD_KAFKA_OFFSET_BEGINNING);
  std::vector<TopicRecord> records;
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  while (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_message_t* const message = rd_kafka_consume(opened, 0, kTimeoutMs);
    error = message == nullptr ? RD_KAFKA_RESP_ERR__TIMED_OUT : message->err;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) records.push_back(ToRecord(*message));
    if (message != nullptr) rd_kafka_message_destroy(message);
  }
  rd_kafka_consume_stop(opened, 0);
  rd_kafka_topic_destroy(opened);
  if (error != RD_KAFKA_RESP_ERR__PARTITION_EOF) Check(error, "read");
  return records;
}

void KafkaCluster::Kill() {
  pid_t pid = 0;
  std::ifstream(directory_.File("kafka/node-1/pid")) >> pid;
  if (pid <= 1 || kill(pid, SIGKILL) != 0) throw std::runtime_error("no broker to kill");
}

void KafkaCluster::StartAgain() { Run({kScript, "start-node", directory_.File("kafka"), "1"}); }

}  // namespace groundswell
