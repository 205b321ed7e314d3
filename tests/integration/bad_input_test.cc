// What comes from outside and is wrong: refused with the field and the remedy, and the server goes
// on.
#include <arpa/inet.h>
#include <grpcpp/generic/generic_stub.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <limits>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

class BadInputTest : public SampleServerTest {
 protected:
  // The server answers a good request as if nothing had happened.
  void TearDown() override {
    v1::RecommendRequest request;
    request.set_user_id(kCustomer);
    EXPECT_EQ(Recommend(request).items_size(), 20);
  }

  static google::rpc::Status RecommendError(const v1::RecommendRequest& request) {
    v1::RecommendResponse response;
    return RichStatus(stubs_->recommend->Recommend(NewContext().get(), request, &response));
  }

  static google::rpc::Status RecordError(const v1::Interaction& interaction) {
    v1::RecordInteractionRequest request;
    *request.mutable_interaction() = interaction;
    v1::RecordInteractionResponse response;
    return RichStatus(
        stubs_->interaction->RecordInteraction(NewContext().get(), request, &response));
  }

  static v1::RecommendRequest Good() {
    v1::RecommendRequest request;
    request.set_user_id(kCustomer);
    return request;
  }
};

TEST_F(BadInputTest, EveryBadFieldOfRecommendIsNamed) {
  struct Case {
    std::string field;
    std::function<void(v1::RecommendRequest&)> spoil;
  };
  const Case cases[] = {
      {"user_id", [](auto& r) { r.set_user_id(""); }},
      {"user_id", [](auto& r) { r.set_user_id(std::string(257, 'x')); }},
      {"user_id", [](auto& r) { r.set_user_id("line\nbreak"); }},
      {"page_size", [](auto& r) { r.set_page_size(-1); }},
      {"explain_items", [](auto& r) { r.set_explain_items(-1); }},
      {"request_id", [](auto& r) { r.set_request_id("not-a-uuid"); }},
      {"page_token", [](auto& r) { r.set_page_token("garbage"); }},
      {"consistency_token", [](auto& r) { r.set_consistency_token("x17"); }},
      {"filter.categories",
       [](auto& r) { r.mutable_filter()->add_categories("no such category"); }},
      {"filter.categories",
       [](auto& r) {
         for (int i = 0; i < 33; ++i) r.mutable_filter()->add_categories("c");
       }},
      {"filter.excluded_item_ids",
       [](auto& r) {
         for (int i = 0; i < 1'001; ++i) r.mutable_filter()->add_excluded_item_ids("i");
       }},
      {"filter.excluded_item_ids", [](auto& r) { r.mutable_filter()->add_excluded_item_ids(""); }},
  };
  for (const Case& one : cases) {
    v1::RecommendRequest request = Good();
    one.spoil(request);
    const google::rpc::Status status = RecommendError(request);
    EXPECT_EQ(status.code(), grpc::StatusCode::INVALID_ARGUMENT) << one.field;
    EXPECT_EQ(FieldOf(status), one.field) << status.message();
    EXPECT_FALSE(ReasonOf(status).empty());
    EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(status)->domain(), "groundswell");
  }
}

TEST_F(BadInputTest, AVectorWhoseProductsWouldOverflowIsRefused) {
  v1::UpsertItemRequest request;
  request.set_item_id("overflowing");
  v1::GetServerStatusRequest of_server;
  v1::ServerStatus server;
  ASSERT_TRUE(stubs_->admin->GetServerStatus(NewContext().get(), of_server, &server).ok());
  request.mutable_embedding()->Resize(server.snapshot().embedding_dim(), 0);
  for (const float number : {3e38F, -1e16F, std::numeric_limits<float>::quiet_NaN()}) {
    request.set_embedding(0, number);
    v1::UpsertItemResponse response;
    const auto error =
        RichStatus(stubs_->admin->UpsertItem(NewContext().get(), request, &response));
    EXPECT_EQ(FieldOf(error), "embedding") << number << " " << error.message();
  }
}

TEST_F(BadInputTest, PageSizesAreCoercedAsDocumented) {
  v1::RecommendRequest request = Good();
  request.set_page_size(10'000'000);
  EXPECT_EQ(Recommend(request).items_size(), 100);
  request.set_page_size(0);
  EXPECT_EQ(Recommend(request).items_size(), 20);
}

TEST_F(BadInputTest, WhatDoesNotExistIsNotFoundWithAReason) {
  v1::RecommendRequest request = Good();
  request.set_ranker("no-such-ranker");
  google::rpc::Status status = RecommendError(request);
  EXPECT_EQ(status.code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "RANKER_UNKNOWN");

  request = Good();
  request.set_namespace_("someone-else");
  status = RecommendError(request);
  EXPECT_EQ(status.code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "NAMESPACE_UNKNOWN");

  v1::SimilarItemsRequest similar;
  similar.set_item_id("no-such-item");
  v1::SimilarItemsResponse response;
  status = RichStatus(stubs_->recommend->SimilarItems(NewContext().get(), similar, &response));
  EXPECT_EQ(status.code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "ITEM_UNKNOWN");
}

TEST_F(BadInputTest, ATokenOfAnotherQueryIsRefused) {
  v1::RecommendRequest request = Good();
  request.set_page_token(Recommend(request).next_page_token());
  request.mutable_filter()->set_include_seen(true);
  const google::rpc::Status status = RecommendError(request);
  EXPECT_EQ(status.code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "page_token");
}

TEST_F(BadInputTest, EveryBadFieldOfAnInteractionIsNamed) {
  struct Case {
    std::string field;
    std::function<void(v1::Interaction&)> spoil;
  };
  const Case cases[] = {
      {"event_id", [](auto& i) { i.set_event_id(""); }},
      {"event_id", [](auto& i) { i.set_event_id(std::string(300, 'e')); }},
      {"user_id", [](auto& i) { i.set_user_id(""); }},
      {"item_id", [](auto& i) { i.set_item_id(std::string("a\0b", 3)); }},
      {"event_type", [](auto& i) { i.set_event_type(""); }},
      {"event_type", [](auto& i) { i.set_event_type("telepathy"); }},
      {"weight", [](auto& i) { i.set_weight(0); }},
      {"weight", [](auto& i) { i.set_weight(1'000'001); }},
      {"weight", [](auto& i) { i.set_weight(std::numeric_limits<int32_t>::min()); }},
      {"event_time", [](auto& i) { i.clear_event_time(); }},
      {"event_time", [](auto& i) { i.mutable_event_time()->set_seconds(-1); }},
      {"event_time",
       [](auto& i) { i.mutable_event_time()->set_seconds(std::numeric_limits<int64_t>::max()); }},
      {"event_time", [](auto& i) { i.mutable_event_time()->set_nanos(-5); }},
      {"event_time", [](auto& i) { i.mutable_event_time()->set_seconds(time(nullptr) + 200'000); }},
  };
  for (const Case& one : cases) {
    v1::Interaction interaction = NewInteraction("bad", "bad-user", kItem);
    one.spoil(interaction);
    const google::rpc::Status status = RecordError(interaction);
    EXPECT_EQ(status.code(), grpc::StatusCode::INVALID_ARGUMENT) << one.field;
    EXPECT_EQ(FieldOf(status), one.field) << status.message();
  }
  v1::GetUserStateRequest request;
  request.set_user_id("bad-user");
  v1::GetUserStateResponse state;
  EXPECT_EQ(stubs_->recommend->GetUserState(NewContext().get(), request, &state).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(BadInputTest, RepeatedFieldsOverTheirLimitAreRefusedWhole) {
  v1::RankRequest rank;
  rank.set_user_id(kCustomer);
  v1::RankResponse ranked;
  EXPECT_EQ(FieldOf(RichStatus(stubs_->recommend->Rank(NewContext().get(), rank, &ranked))),
            "item_ids");
  for (int i = 0; i < 1'001; ++i) rank.add_item_ids("item-" + std::to_string(i));
  EXPECT_EQ(FieldOf(RichStatus(stubs_->recommend->Rank(NewContext().get(), rank, &ranked))),
            "item_ids");
  rank.clear_item_ids();
  rank.add_item_ids(kItem);
  rank.add_item_ids(kItem);
  EXPECT_EQ(FieldOf(RichStatus(stubs_->recommend->Rank(NewContext().get(), rank, &ranked))),
            "item_ids");

  v1::BatchRecommendRequest batch;
  v1::BatchRecommendResponse answered;
  EXPECT_EQ(
      FieldOf(RichStatus(stubs_->recommend->BatchRecommend(NewContext().get(), batch, &answered))),
      "requests");
  for (int i = 0; i < 101; ++i) batch.add_requests()->set_user_id(kCustomer);
  EXPECT_EQ(
      FieldOf(RichStatus(stubs_->recommend->BatchRecommend(NewContext().get(), batch, &answered))),
      "requests");
}

TEST_F(BadInputTest, AnIngestBatchOverTheLimitEndsTheStreamAndAppliesNothing) {
  const auto context = NewContext();
  const auto stream = stubs_->interaction->Ingest(context.get());
  v1::IngestRequest request;
  for (int i = 0; i < 1'001; ++i) {
    *request.add_interactions() = NewInteraction("flood-" + std::to_string(i), "flood-user", kItem);
  }
  stream->Write(request);
  stream->WritesDone();
  v1::IngestResponse response;
  EXPECT_FALSE(stream->Read(&response));
  const google::rpc::Status status = RichStatus(stream->Finish());
  EXPECT_EQ(status.code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "interactions");
  v1::GetUserStateRequest state_request;
  state_request.set_user_id("flood-user");
  v1::GetUserStateResponse state;
  EXPECT_EQ(stubs_->recommend->GetUserState(NewContext().get(), state_request, &state).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(BadInputTest, AMarkOverTheLimitEndsTheStream) {
  const auto context = NewContext();
  const auto stream = stubs_->interaction->Ingest(context.get());
  v1::IngestRequest request;
  *request.add_interactions() = NewInteraction("marked", "marked-user", kItem);
  request.set_producer_id("marks-too-much");
  request.set_first_sequence(1);
  request.set_producer_mark(std::string(64, 'm'));
  v1::IngestResponse response;
  EXPECT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.last_sequence(), 1);
  request.set_first_sequence(2);
  request.set_producer_mark(std::string(65, 'm'));
  stream->Write(request);
  EXPECT_FALSE(stream->Read(&response));
  const google::rpc::Status status = RichStatus(stream->Finish());
  EXPECT_EQ(status.code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "producer_mark");
}

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

// A message that C++ stubs would never send: proto3 strings must be UTF-8, so the bytes are written
// by hand. Field 3 (user_id) of RecommendRequest holds 0xff.
TEST_F(BadInputTest, BytesThatAreNotUtf8AreRefused) {
  grpc::GenericStub stub(stubs_->channel);
  const grpc::ByteBuffer request = BufferOf("\x1a\x02\xff\xfe");
  grpc::ByteBuffer response;
  grpc::CompletionQueue queue;
  const auto context = NewContext();
  const auto call = stub.PrepareUnaryCall(
      context.get(), "/groundswell.v1.RecommendationService/Recommend", request, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOf(RichStatus(status)), "UNDECODABLE_REQUEST");
  EXPECT_NE(status.error_message().find("groundswell.v1.RecommendRequest"), std::string::npos)
      << status.error_message();
}

// Interaction.event_id holds 0xe9, "é" in Latin-1: a stream that ended with OK would have lost it.
TEST_F(BadInputTest, ABatchThatCannotBeDecodedDoesNotEndItsStreamWithOk) {
  grpc::GenericStub stub(stubs_->channel);
  grpc::CompletionQueue queue;
  const auto context = NewContext();
  const auto stream =
      stub.PrepareCall(context.get(), "/groundswell.v1.InteractionService/Ingest", &queue);
  void* tag = nullptr;
  bool ok = false;
  stream->StartCall(nullptr);
  queue.Next(&tag, &ok);
  stream->WriteLast(BufferOf("\x12\x06\x0a\x04"
                             "caf\xe9"),
                    grpc::WriteOptions(), nullptr);
  queue.Next(&tag, &ok);
  grpc::Status status;
  stream->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
  EXPECT_EQ(ReasonOf(RichStatus(status)), "UNDECODABLE_REQUEST");
}

TEST_F(BadInputTest, AnIdThatSaysSomethingElseIsRefused) {
  v1::RecordInteractionRequest request;
  *request.mutable_interaction() = NewInteraction("said-before", "one", kItem);
  v1::RecordInteractionResponse response;
  const auto record = [&] {
    return stubs_->interaction->RecordInteraction(NewContext().get(), request, &response);
  };
  ASSERT_TRUE(record().ok());
  ASSERT_TRUE(record().ok());
  EXPECT_TRUE(response.duplicate());
  request.mutable_interaction()->set_user_id("another");
  const grpc::Status refused = record();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(ReasonOf(RichStatus(refused)), "EVENT_ID_REUSED");
}

TEST_F(BadInputTest, WhatTheSnapshotWasTrainedOnIsRefused) {
  v1::RecordInteractionRequest request;
  *request.mutable_interaction() = NewInteraction("long-ago", kCustomer, kItem);
  request.mutable_interaction()->mutable_event_time()->set_seconds(1'300'000'000);
  v1::RecordInteractionResponse response;
  const grpc::Status refused =
      stubs_->interaction->RecordInteraction(NewContext().get(), request, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOf(RichStatus(refused)), "ALREADY_TRAINED");
  EXPECT_EQ(FieldOf(RichStatus(refused)), "event_time");
}

TEST_F(BadInputTest, AnOversizedMessageIsRefused) {
  v1::RecommendRequest request = Good();
  request.set_page_token(std::string(size_t{5} << 20, 'x'));
  v1::RecommendResponse response;
  EXPECT_EQ(stubs_->recommend->Recommend(NewContext().get(), request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(BadInputTest, BytesThatAreNotGrpcAreSurvived) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(server_->grpc_port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::string noise(10'000, '\x7f');
  EXPECT_GT(send(connection, noise.data(), noise.size(), MSG_NOSIGNAL), 0);
  close(connection);
  EXPECT_EQ(HttpGet(server_->http_port(), "/no-such-page").find("200 OK"), std::string::npos);
}

}  // namespace
}  // namespace groundswell
