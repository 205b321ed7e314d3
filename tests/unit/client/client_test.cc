#include "client/client.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "client/channel.h"
#include "groundswell/v1/recommend.grpc.pb.h"
#include "tests/unit/client/loopback_server.h"

namespace groundswell {
namespace {

std::string Details(const google::protobuf::Message& detail) {
  google::rpc::Status rich;
  rich.add_details()->PackFrom(detail);
  return rich.SerializeAsString();
}

TEST(ToStatusTest, DetailsThatAreDamagedOrOfAnotherKindLeaveTheMessage) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(1);
  google::rpc::Status unknown;
  unknown.add_details()->set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  unknown.mutable_details(0)->set_value("\xff\xff\xff");
  for (const std::string& details :
       {std::string(), std::string("\xff\xff\xff"), Details(retry), unknown.SerializeAsString()}) {
    const absl::Status status = ToStatus({grpc::StatusCode::UNAVAILABLE, "gone", details});
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(status.message(), "gone");
  }
}

TEST(ToStatusTest, TheReasonIsInTheMessage) {
  google::rpc::ErrorInfo info;
  info.set_reason("UNKNOWN_ITEM");
  const absl::Status status =
      ToStatus({grpc::StatusCode::NOT_FOUND, "no item \"x\"", Details(info)});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "no item \"x\" [UNKNOWN_ITEM]");
  EXPECT_TRUE(ToStatus(grpc::Status::OK).ok());
}

// Answers with the namespaces that it was asked for.
class EchoService final : public v1::RecommendationService::Service {
 public:
  grpc::Status Recommend(grpc::ServerContext*, const v1::RecommendRequest* request,
                         v1::RecommendResponse* response) override {
    ++calls;
    if (failures > 0) {
      --failures;
      return {grpc::StatusCode(failure_code.load()), "not now"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    response->set_recommendation_id(request->namespace_());
    return grpc::Status::OK;
  }

  grpc::Status BatchRecommend(grpc::ServerContext*, const v1::BatchRecommendRequest* request,
                              v1::BatchRecommendResponse* response) override {
    for (const v1::RecommendRequest& one : request->requests()) {
      response->add_entries()->mutable_response()->set_recommendation_id(one.namespace_());
    }
    return grpc::Status::OK;
  }

  std::atomic<int> calls{0};
  std::atomic<int> failures{0};  // calls to fail before one succeeds
  std::atomic<int> failure_code{grpc::StatusCode::UNAVAILABLE};
  std::atomic<int> delay_ms{0};
};

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    client_ = std::make_unique<Client>(Client::Options{
        .address = server_.address(), .name_space = "shop", .timeout = std::chrono::seconds(10)});
  }

  EchoService service_;
  LoopbackServer server_{{&service_}};
  std::unique_ptr<Client> client_;
};

TEST_F(ClientTest, ACallEndsAtItsTimeout) {
  service_.delay_ms = 2'000;
  Client hasty({.address = client_->options().address, .timeout = std::chrono::milliseconds(100)});
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(hasty.Recommend({}).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1'500));
}

TEST_F(ClientTest, OnlyUnavailableIsTriedAgain) {
  service_.failures = 2;
  EXPECT_TRUE(client_->Recommend({}).ok());
  EXPECT_EQ(service_.calls, 3);
  service_.failures = 1;
  service_.failure_code = grpc::StatusCode::RESOURCE_EXHAUSTED;
  EXPECT_EQ(client_->Recommend({}).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(service_.calls, 4);
}

TEST_F(ClientTest, TheNamespaceIsFilledInWhereNoneIsNamed) {
  v1::RecommendRequest named;
  named.set_namespace_("other");
  EXPECT_EQ(client_->Recommend({})->recommendation_id(), "shop");
  EXPECT_EQ(client_->Recommend(named)->recommendation_id(), "other");

  v1::BatchRecommendRequest batch;
  batch.add_requests();
  *batch.add_requests() = named;
  const auto both = client_->BatchRecommend(batch);
  ASSERT_TRUE(both.ok()) << both.status();
  ASSERT_EQ(both->entries_size(), 2);
  EXPECT_EQ(both->entries(0).response().recommendation_id(), "shop");
  EXPECT_EQ(both->entries(1).response().recommendation_id(), "other");
}

}  // namespace
}  // namespace groundswell
