#include "client/items/item_sender.h"

#include <gmock/gmock.h>
#include <google/rpc/error_details.pb.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <mutex>

#include "groundswell/v1/admin.grpc.pb.h"
#include "tests/unit/client/loopback_server.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Does what it is told to with one batch after the other; without more to do, it creates all items.
class ScriptedItems final : public v1::AdminService::Service {
 public:
  using Step = std::function<grpc::Status(const v1::UpsertItemsRequest&, v1::UpsertItemsResponse&)>;

  grpc::Status UpsertItems(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::UpsertItemsResponse, v1::UpsertItemsRequest>* stream) override {
    v1::UpsertItemsRequest request;
    while (stream->Read(&request)) {
      v1::UpsertItemsResponse response;
      const grpc::Status status = Do(request, response);
      if (!status.ok()) return status;
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status Do(const v1::UpsertItemsRequest& request, v1::UpsertItemsResponse& response) {
    const std::lock_guard<std::mutex> lock(mutex);
    std::string batch;
    for (const v1::UpsertItemRequest& one : request.requests()) batch += one.item_id();
    batches.push_back(batch);
    if (steps.empty()) {
      response.set_created_count(request.requests_size());
      response.set_last_offset(static_cast<int64_t>(batches.size()));
      return grpc::Status::OK;
    }
    const Step step = steps.front();
    steps.pop_front();
    return step(request, response);
  }

  static void Refuse(int32_t index, grpc::StatusCode code, bool for_now,
                     v1::UpsertItemsResponse& response) {
    v1::UpsertItemsResponse::Refusal& refusal = *response.add_refusals();
    refusal.set_index(index);
    refusal.mutable_status()->set_code(code);
    refusal.mutable_status()->set_message("refused");
    google::rpc::RetryInfo info;
    info.mutable_retry_delay()->set_nanos(1'000'000);
    if (for_now) refusal.mutable_status()->add_details()->PackFrom(info);
  }

  std::mutex mutex;
  std::deque<Step> steps;
  std::vector<std::string> batches;
};

class ItemSenderTest : public testing::Test {
 protected:
  absl::Status SendAll(const std::string& items, ItemSender& sender) {
    for (const char id : items) {
      v1::UpsertItemRequest request;
      request.set_item_id(std::string(1, id));
      if (absl::Status s = sender.Send(request); !s.ok()) return s;
    }
    return sender.Flush();
  }

  ScriptedItems service_;
  LoopbackServer server_{{&service_}};
  Client client_{{.address = server_.address()}};
};

TEST_F(ItemSenderTest, BatchesEndByNumberAndBytes) {
  ItemSender by_number(client_, {.batch_size = 2});
  ASSERT_TRUE(SendAll("abcde", by_number).ok());
  EXPECT_THAT(service_.batches, ElementsAre("ab", "cd", "e"));
  EXPECT_EQ(by_number.totals().created, 5u);
  EXPECT_EQ(by_number.totals().last_offset, 3);

  service_.batches.clear();
  v1::UpsertItemRequest one;
  one.set_item_id("a");
  ItemSender by_bytes(client_, {.batch_bytes_max = 2 * one.ByteSizeLong()});
  ASSERT_TRUE(SendAll("abc", by_bytes).ok());
  EXPECT_THAT(service_.batches, ElementsAre("ab", "c"));
}

TEST_F(ItemSenderTest, OnlyWhatWasRefusedForNowIsSentAgain) {
  service_.steps.push_back([](const auto&, v1::UpsertItemsResponse& response) {
    response.set_replaced_count(1);
    ScriptedItems::Refuse(1, grpc::StatusCode::RESOURCE_EXHAUSTED, /*for_now=*/true, response);
    // A catalogue that is full is so for good.
    ScriptedItems::Refuse(2, grpc::StatusCode::RESOURCE_EXHAUSTED, /*for_now=*/false, response);
    ScriptedItems::Refuse(3, grpc::StatusCode::INVALID_ARGUMENT, /*for_now=*/false, response);
    return grpc::Status::OK;
  });
  ItemSender sender(client_, {});
  ASSERT_TRUE(SendAll("abcd", sender).ok());
  EXPECT_THAT(service_.batches, ElementsAre("abcd", "b"));
  EXPECT_EQ(sender.totals().replaced, 1u);
  EXPECT_EQ(sender.totals().created, 1u);
  EXPECT_EQ(sender.totals().refused, 2u);
  EXPECT_THAT(sender.totals().reasons.ToStrings(), ElementsAre("refused (2 times)"));
}

TEST_F(ItemSenderTest, AServerThatStopsIsTriedAgainAndAWrongBatchIsNot) {
  const auto end = [this](grpc::StatusCode code) {
    service_.steps.push_back([code](const auto&, auto&) { return grpc::Status(code, "ended"); });
  };
  end(grpc::StatusCode::UNAVAILABLE);
  end(grpc::StatusCode::DEADLINE_EXCEEDED);
  ItemSender sender(client_, {});
  ASSERT_TRUE(SendAll("ab", sender).ok());
  EXPECT_THAT(service_.batches, testing::Each("ab"));
  EXPECT_EQ(sender.totals().created, 2u);

  end(grpc::StatusCode::PERMISSION_DENIED);
  const absl::Status denied = SendAll("c", sender);
  EXPECT_TRUE(absl::IsPermissionDenied(denied)) << denied;
}

TEST_F(ItemSenderTest, RetriesEnd) {
  for (int i = 0; i < 100; ++i) {
    service_.steps.push_back([](const auto&, v1::UpsertItemsResponse& response) {
      ScriptedItems::Refuse(0, grpc::StatusCode::RESOURCE_EXHAUSTED, /*for_now=*/true, response);
      return grpc::Status::OK;
    });
  }
  ItemSender given_up(client_, {.retry_for = std::chrono::milliseconds(0)});
  const absl::Status full = SendAll("a", given_up);
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;

  bool stopped = false;
  service_.steps.push_front([&stopped](const auto&, v1::UpsertItemsResponse& response) {
    stopped = true;
    ScriptedItems::Refuse(0, grpc::StatusCode::RESOURCE_EXHAUSTED, /*for_now=*/true, response);
    return grpc::Status::OK;
  });
  ItemSender told_to_stop(client_, {.stopped = [this, &stopped] {
                            const std::lock_guard<std::mutex> lock(service_.mutex);
                            return stopped;
                          }});
  const absl::Status status = SendAll("a", told_to_stop);
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

}  // namespace
}  // namespace groundswell
