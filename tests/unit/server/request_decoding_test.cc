#include "server/rpc/request_decoding.h"

#include <gtest/gtest.h>

#include <string>

#include "groundswell/v1/admin.pb.h"
#include "groundswell/v1/interaction.pb.h"
#include "groundswell/v1/recommend.pb.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

constexpr size_t kMessageBytes = size_t{4} << 20;

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string Repeated(std::string_view piece, size_t times = 1'200'000) {
  std::string bytes;
  for (size_t i = 0; i < times; ++i) bytes.append(piece);
  return bytes;
}

template <typename Message>
absl::Status CheckSize(const std::string& bytes) {
  return CheckDecodedSize(BufferOf(bytes), *Message::descriptor());
}

TEST(DecodedSizeTest, WhatWouldTakeHundredsOfMegabytesIsRefused) {
  using namespace std::string_view_literals;
  // Empty entries, empty strings, fields that the message does not have, groups, packed numbers.
  for (const std::string_view piece : {"\x0a\x00"sv, "\xfa\x01\x00"sv, "\xfb\x01\xfc\x01"sv}) {
    EXPECT_EQ(ReasonOf(CheckSize<v1::BatchRecommendRequest>(Repeated(piece))), "REQUEST_TOO_LARGE");
  }
  EXPECT_EQ(ReasonOf(CheckSize<v1::IngestRequest>(Repeated("\x12\x00"sv))), "REQUEST_TOO_LARGE");
  EXPECT_EQ(ReasonOf(CheckSize<v1::RankRequest>(Repeated("\x22\x00"sv))), "REQUEST_TOO_LARGE");
  v1::BatchRecommendRequest nested;
  v1::RecommendRequest& one = *nested.add_requests();
  for (int i = 0; i < 1'000'000; ++i) one.mutable_filter()->add_excluded_item_ids("");
  EXPECT_EQ(ReasonOf(CheckSize<v1::BatchRecommendRequest>(nested.SerializeAsString())),
            "REQUEST_TOO_LARGE");
}

TEST(DecodedSizeTest, FieldsOfNoApiAreFewOrRefused) {
  using namespace std::string_view_literals;
  const std::string name = "\x0a\x40" + std::string(64, 'n');  // a field that is no message
  const auto with = [&](std::string_view piece, size_t times) {
    return CheckSize<v1::RecommendRequest>(Repeated(name, 2'000) + Repeated(piece, times));
  };
  const std::string text = "\xfa\x7f\x64" + std::string(100, 't');
  // A field of another type than the one of its number is kept like one of no number.
  for (const std::string_view piece :
       {std::string_view(text), "\xf8\x7f\x01"sv, "\x08\x01"sv, "\xfb\x7f\x08\x01\xfc\x7f"sv}) {
    EXPECT_TRUE(with(piece, 500).ok()) << with(piece, 500);
    EXPECT_EQ(ReasonOf(with(piece, 20'000)), "REQUEST_TOO_LARGE") << piece;
    EXPECT_NE(with(piece, 20'000).message().find("none of this API"), std::string_view::npos);
  }
}

TEST(DecodedSizeTest, TheLargestRequestsWithinTheLimitsPass) {
  v1::BatchRecommendRequest batch;
  for (int i = 0; i < 100; ++i) {
    v1::RecommendRequest& one = *batch.add_requests();
    one.set_user_id("a user");
    for (int id = 0; id < 1'000; ++id) {
      one.mutable_filter()->add_excluded_item_ids("an id of some length " + std::to_string(id));
    }
  }
  EXPECT_TRUE(CheckSize<v1::BatchRecommendRequest>(batch.SerializeAsString()).ok());
  v1::IngestRequest ingest;
  for (int i = 0; i < 1'000; ++i) {
    v1::Interaction& one = *ingest.add_interactions();
    one.set_event_id(std::string(256, 'e'));
    one.set_user_id(std::string(256, 'u'));
    one.set_item_id(std::string(256, 'i'));
    one.set_event_type("purchase");
    one.mutable_event_time()->set_seconds(1);
  }
  EXPECT_TRUE(CheckSize<v1::IngestRequest>(ingest.SerializeAsString()).ok());
  v1::RecommendRequest long_id;
  long_id.set_user_id(std::string(kMessageBytes - 100, 'u'));
  EXPECT_TRUE(CheckSize<v1::RecommendRequest>(long_id.SerializeAsString()).ok());
}

TEST(DecodedSizeTest, WhatPassesTakesAboutThatMuch) {
  v1::BatchRecommendRequest batch;
  while (CheckSize<v1::BatchRecommendRequest>(batch.SerializeAsString()).ok()) {
    for (int i = 0; i < 50'000; ++i) batch.add_requests()->set_user_id("u");
    EXPECT_LT(batch.SpaceUsedLong(), 2 * kDecodedBytesMax);
  }
}

TEST(DecodedSizeTest, BytesThatAreNoMessageAreNotOne) {
  EXPECT_EQ(ReasonOf(CheckSize<v1::BatchRecommendRequest>("\x0a\x7f" +
                                                          std::string(kMessageBytes, '\xff'))),
            "UNDECODABLE_REQUEST");
  const std::string cut = std::string("\x0a\xff\xff\xff\x07", 5) + std::string(100'000, '\x0a');
  EXPECT_EQ(ReasonOf(CheckSize<v1::BatchRecommendRequest>(cut)), "UNDECODABLE_REQUEST");
  // Groups within groups, without end.
  EXPECT_EQ(ReasonOf(CheckSize<v1::BatchRecommendRequest>(Repeated("\xfb\x01", 100'000))),
            "UNDECODABLE_REQUEST");
}

TEST(DecodedSizeTest, EveryMethodHasItsPlace) {
  EXPECT_EQ(IndexOf("groundswell.v1.RecommendationService", Method::kRecommend), 0);
  EXPECT_EQ(IndexOf("groundswell.v1.InteractionService", Method::kForgetUser), 2);
  EXPECT_EQ(IndexOf("groundswell.v1.AdminService", Method::kReadLog), 14);
  // Of all files' services, which a program has whose messages it has.
  for (const auto* const message :
       {v1::RecommendRequest::descriptor(), v1::ForgetUserRequest::descriptor(),
        v1::ReadLogRequest::descriptor()}) {
    EXPECT_EQ(message->file()->service_count(), 1);
  }
}

}  // namespace
}  // namespace groundswell
