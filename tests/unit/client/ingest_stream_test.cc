#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "client/client.h"
#include "groundswell/v1/interaction.grpc.pb.h"
#include "tests/unit/client/loopback_server.h"

namespace groundswell {
namespace {

// Acknowledges every batch, after it was told to, or ends the stream with an error.
class ScriptedService final : public v1::InteractionService::Service {
 public:
  grpc::Status Ingest(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) override {
    v1::IngestRequest request;
    int64_t batch = 0;
    while (stream->Read(&request)) {
      ++received;
      last_namespace = request.namespace_();
      if (batch == fail_at) {
        google::rpc::Status rich;
        google::rpc::ErrorInfo info;
        info.set_reason("LOG_FULL");
        rich.add_details()->PackFrom(info);
        return {grpc::StatusCode::RESOURCE_EXHAUSTED, "the log is full", rich.SerializeAsString()};
      }
      while (hold) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      v1::IngestResponse response;
      response.set_batch_index(batch++);
      response.set_accepted_count(request.interactions_size());
      for (int i = 0; i < acks_per_batch; ++i) stream->Write(response);
    }
    return grpc::Status::OK;
  }

  std::atomic<bool> hold{false};
  std::atomic<int> received{0};
  int64_t fail_at = -1;
  int acks_per_batch = 1;
  std::string last_namespace;
};

class IngestStreamTest : public testing::Test {
 protected:
  IngestStreamTest() {
    client_ = std::make_unique<Client>(
        Client::Options{.address = server_.address(), .name_space = "shop"});
  }

  ScriptedService service_;
  LoopbackServer server_{{&service_}};
  std::unique_ptr<Client> client_;
  const std::vector<v1::Interaction> batch_ = std::vector<v1::Interaction>(3);
};

TEST_F(IngestStreamTest, AStreamThatEndsEarlyFailsSendAndFinishTellsWhy) {
  service_.fail_at = 2;
  const auto stream = client_->Ingest({});
  absl::Status sent;
  for (int i = 0; i < 1'000 && sent.ok(); ++i) sent = stream->Send(batch_);
  EXPECT_EQ(sent.code(), absl::StatusCode::kAborted);
  const absl::Status finished = stream->Finish();
  EXPECT_EQ(finished.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(finished.message(), "the log is full [LOG_FULL]");
}

TEST_F(IngestStreamTest, AServerThatAcknowledgesWhatWasNotSentEndsTheStream) {
  service_.acks_per_batch = 2;
  int acks = 0;
  const auto stream = client_->Ingest(
      {.name_space = "", .inflight_max = 1, .on_ack = [&](const v1::IngestResponse&) { ++acks; }});
  EXPECT_TRUE(stream->Send(batch_).ok());
  EXPECT_FALSE(stream->Finish().ok());
  EXPECT_EQ(acks, 1);
}

TEST_F(IngestStreamTest, AServerThatIsNotThereIsUnavailable) {
  Client lost({.address = "127.0.0.1:1"});
  const auto stream = lost.Ingest({});
  absl::Status sent;
  for (int i = 0; i < 100 && sent.ok(); ++i) sent = stream->Send(batch_);
  EXPECT_EQ(sent.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kUnavailable);
}

TEST_F(IngestStreamTest, SendWaitsWhenTheWindowIsFull) {
  service_.hold = true;
  const auto stream = client_->Ingest({.name_space = "", .inflight_max = 2});
  std::atomic<int> sent{0};
  std::thread sender([&] {
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(stream->Send(batch_).ok());
      ++sent;
    }
  });
  while (sent < 2) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // time to send a third
  EXPECT_EQ(sent, 2);
  service_.hold = false;
  sender.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(service_.received, 5);
}

TEST_F(IngestStreamTest, EveryBatchIsAcknowledgedInOrder) {
  std::vector<int64_t> acks;
  const auto stream =
      client_->Ingest({.name_space = "", .on_ack = [&](const v1::IngestResponse& ack) {
                         acks.push_back(ack.batch_index());
                         EXPECT_EQ(ack.accepted_count(), 3);
                       }});
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(stream->Send(batch_).ok());
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(acks.size(), 100u);
  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(acks[static_cast<size_t>(i)], i);
  EXPECT_EQ(service_.last_namespace, "shop");
}

TEST_F(IngestStreamTest, AnAbandonedStreamIsCancelled) {
  service_.hold = true;
  auto stream = client_->Ingest({});
  EXPECT_TRUE(stream->Send(batch_).ok());
  stream.reset();
  service_.hold = false;
}

}  // namespace
}  // namespace groundswell
