#include "server/rpc/status_details.h"

#include <gmock/gmock.h>

#include "google/rpc/error_details.pb.h"

namespace groundswell {
namespace {

using ::testing::HasSubstr;

template <typename Detail>
std::vector<Detail> DetailsOf(const google::rpc::Status& status) {
  std::vector<Detail> details;
  for (const auto& any : status.details()) {
    Detail detail;
    if (any.UnpackTo(&detail)) details.push_back(detail);
  }
  return details;
}

TEST(QuoteValueTest, BytesThatAreNotUtf8AreReplaced) {
  const std::string bad =
      "a\xFF"
      "b\xC0\xAF\xED\xA0\x80\xF5";
  const std::string quoted = QuoteValue(bad);
  EXPECT_THAT(quoted, HasSubstr("a\xEF\xBF\xBD"
                                "b"));
  google::rpc::Status status;
  status.set_message(quoted);
  google::rpc::Status copy;
  EXPECT_TRUE(copy.ParseFromString(status.SerializeAsString()));  // protobuf checks UTF-8
}

TEST(QuoteValueTest, ControlCharactersCannotForgeLines) {
  EXPECT_EQ(QuoteValue("a\nb").find('\n'), std::string::npos);
  EXPECT_EQ(QuoteValue(std::string_view("a\0b", 3)).find('\0'), std::string::npos);
}

TEST(QuoteValueTest, LongValuesAreCutBetweenCharacters) {
  std::string umlauts = "x";
  for (int i = 0; i < 100; ++i) umlauts += "ä";
  const std::string quoted = QuoteValue(umlauts);
  EXPECT_LE(quoted.size(), 64u + 2 + 3);
  EXPECT_TRUE(quoted.ends_with("ä…\""));
}

TEST(QuoteValueTest, GoodTextStaysAsItIs) {
  EXPECT_EQ(QuoteValue("Grüße 你好 😀"), "\"Grüße 你好 😀\"");
  EXPECT_EQ(QuoteValue(""), "\"\"");
}

TEST(StatusDetailsTest, AnErrorWithoutAReasonGetsItsCodesName) {
  const auto rpc = ToRpcStatus(absl::InternalError("broken"));
  const auto infos = DetailsOf<google::rpc::ErrorInfo>(rpc);
  ASSERT_EQ(infos.size(), 1u);
  EXPECT_EQ(infos[0].reason(), "INTERNAL");
  EXPECT_EQ(infos[0].domain(), "groundswell");
}

TEST(StatusDetailsTest, OkHasNoDetails) {
  EXPECT_EQ(ToRpcStatus(absl::OkStatus()).details_size(), 0);
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(WithReason(absl::OkStatus(), "X").ok());
  EXPECT_TRUE(WithRetryAfter(absl::OkStatus(), std::chrono::milliseconds(1)).ok());
}

TEST(StatusDetailsTest, AnInvalidFieldNamesFieldValueAndRemedy) {
  const absl::Status status = InvalidField("user_id", "\xFF", "must be valid UTF-8");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "user_id is \"\xEF\xBF\xBD\": must be valid UTF-8");
  const auto bad = DetailsOf<google::rpc::BadRequest>(ToRpcStatus(status));
  ASSERT_EQ(bad.size(), 1u);
  ASSERT_EQ(bad[0].field_violations_size(), 1);
  EXPECT_EQ(bad[0].field_violations(0).field(), "user_id");
  EXPECT_THAT(bad[0].field_violations(0).description(), HasSubstr("must be valid UTF-8"));
  EXPECT_EQ(ReasonOf(status), "INVALID_FIELD");
}

TEST(StatusDetailsTest, OverloadSaysWhenToTryAgain) {
  const auto status = Overloaded("the queue", std::chrono::milliseconds(1'250));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  const auto retry = DetailsOf<google::rpc::RetryInfo>(ToRpcStatus(status));
  ASSERT_EQ(retry.size(), 1u);
  EXPECT_EQ(retry[0].retry_delay().seconds(), 1);
  EXPECT_EQ(retry[0].retry_delay().nanos(), 250'000'000);
}

TEST(StatusDetailsTest, AnUnknownResourceNamesIt) {
  const auto status = UnknownResource("item", "x1", "ITEM_UNKNOWN", "take one of the catalogue");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(status), "ITEM_UNKNOWN");
  const auto resource = DetailsOf<google::rpc::ResourceInfo>(ToRpcStatus(status));
  ASSERT_EQ(resource.size(), 1u);
  EXPECT_EQ(resource[0].resource_name(), "x1");
}

TEST(StatusDetailsTest, ANewReasonReplacesTheOld) {
  const auto status =
      WithReason(PreconditionFailed("OLD", "page_token", "is gone"), "NEW", {{"key", "value"}});
  const auto infos = DetailsOf<google::rpc::ErrorInfo>(ToRpcStatus(status));
  ASSERT_EQ(infos.size(), 1u);
  EXPECT_EQ(infos[0].reason(), "NEW");
  EXPECT_EQ(infos[0].metadata().at("key"), "value");
  EXPECT_EQ(DetailsOf<google::rpc::PreconditionFailure>(ToRpcStatus(status)).size(), 1u);
}

TEST(StatusDetailsTest, EveryCodeSurvivesTheWayToGrpcAndItsDetailsParse) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status sent = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(sent.error_code()), code);
    google::rpc::Status rpc;
    ASSERT_TRUE(rpc.ParseFromString(sent.error_details()));
    EXPECT_EQ(rpc.code(), code);
    EXPECT_EQ(rpc.message(), "why");
    EXPECT_EQ(DetailsOf<google::rpc::ErrorInfo>(rpc).size(), 1u);
  }
}

TEST(StatusDetailsTest, LongMessagesAreCutToFitHeaders) {
  EXPECT_LE(ToGrpcStatus(absl::InternalError(std::string(100'000, 'x'))).error_message().size(),
            1'100u);
}

}  // namespace
}  // namespace groundswell
