#include "client/events/single_batch.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "groundswell/v1/interaction.grpc.pb.h"
#include "tests/unit/client/loopback_server.h"

namespace groundswell {
namespace {

// Answers, or ends the stream without an answer, or is silent until it is left.
class AnsweringService final : public v1::InteractionService::Service {
 public:
  grpc::Status Ingest(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) override {
    v1::IngestRequest request;
    while (stream->Read(&request)) {
      asked = true;
      while (is_silent && !context->IsCancelled()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      if (!end.ok() || is_mute) return end;
      v1::IngestResponse response;
      response.set_last_sequence(7 + request.interactions_size());
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status end;
  bool is_mute = false;
  bool is_silent = false;
  std::atomic<bool> asked{false};
};

class SingleBatchTest : public testing::Test {
 protected:
  SingleBatchTest() {
    client_ = std::make_unique<Client>(Client::Options{.address = server_.address()});
  }

  absl::StatusOr<v1::IngestResponse> Ask(const SingleBatchOptions& options = {}) {
    return SendSingleBatch(*client_, "p", {}, options);
  }

  AnsweringService service_;
  LoopbackServer server_{{&service_}};
  std::unique_ptr<Client> client_;
};

TEST_F(SingleBatchTest, TheAnswerIsTheLastNumber) {
  EXPECT_EQ(Ask()->last_sequence(), 7);
  const auto of_three = SendSingleBatch(*client_, "p", std::vector<v1::Interaction>(3), {});
  EXPECT_EQ(of_three->last_sequence(), 10);
}

TEST_F(SingleBatchTest, NoAnswerIsNoNumber) {
  service_.is_mute = true;
  EXPECT_TRUE(absl::IsUnavailable(Ask().status())) << Ask().status();
  service_.end = {grpc::StatusCode::RESOURCE_EXHAUSTED, "the log is full"};
  EXPECT_TRUE(absl::IsResourceExhausted(Ask().status())) << Ask().status();
}

TEST_F(SingleBatchTest, ASilentServerIsLeftAfterTheTimeout) {
  service_.is_silent = true;
  const auto last = Ask({.timeout = std::chrono::milliseconds(50)});
  EXPECT_TRUE(absl::IsUnavailable(last.status())) << last.status();
}

TEST_F(SingleBatchTest, ASilentServerIsLeftWhenStopped) {
  service_.is_silent = true;
  const auto last =
      Ask({.stopped = [this] { return service_.asked.load(); }, .timeout = std::chrono::hours(1)});
  EXPECT_TRUE(absl::IsCancelled(last.status())) << last.status();
}

}  // namespace
}  // namespace groundswell
