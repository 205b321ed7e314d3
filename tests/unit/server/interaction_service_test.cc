// The service of the write side on a small live graph, without a server. Its streams have tests
// with one (tests/integration).
#include "server/ingest/interaction_service.h"

#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "server/rpc/field_checks.h"
#include "tests/unit/server/live_tiny.h"
#include "tests/unit/server/unary_test_call.h"

namespace groundswell {
namespace {

constexpr char kOne[] = "00000000-0000-4000-8000-000000000001";
constexpr char kTwo[] = "00000000-0000-4000-8000-000000000002";
constexpr char kThree[] = "00000000-0000-4000-8000-000000000003";

class InteractionServiceTest : public ::testing::Test {
 protected:
  InteractionServiceTest() { serving_.Exchange(std::exchange(tiny_.live().state, nullptr)); }
  ~InteractionServiceTest() override {
    background_.Stop();
    log_.Close();
    serving_.Exchange(nullptr);  // ends the applier, which may still wake the background
  }

  static v1::RecordInteractionRequest Purchase(const std::string& user, const std::string& item,
                                               const std::string& request_id) {
    v1::RecordInteractionRequest request;
    request.set_request_id(request_id);
    v1::Interaction& interaction = *request.mutable_interaction();
    interaction.set_user_id(user);
    interaction.set_item_id(item);
    interaction.set_event_type("purchase");
    interaction.mutable_event_time()->set_seconds(1);
    return request;
  }
  grpc::StatusCode Record(const v1::RecordInteractionRequest& request, UnaryTestCall& call) {
    service_.RecordInteraction(call.context(), &request, &response_);
    return call.Wait();
  }
  // The reason of its refusal; the log has nothing of it.
  std::string Refused(const v1::RecordInteractionRequest& request, grpc::StatusCode code) {
    const Offset end = log_.end();
    UnaryTestCall call;
    EXPECT_EQ(Record(request, call), code);
    EXPECT_EQ(log_.end(), end);
    return call.reason();
  }

  // Purchases with this outcome, as the metrics show it.
  std::string EventsCounted(const std::string& outcome) {
    std::istringstream lines(metrics_.Render());
    for (std::string line; std::getline(lines, line);) {
      const bool is_it = line.find("\"purchase\"") != std::string::npos &&
                         line.find("\"" + outcome + "\"") != std::string::npos;
      if (is_it) return line.substr(line.rfind(' ') + 1);
    }
    return "not counted at all";
  }

  LiveTiny tiny_;
  RocksdbLog& log_ = *tiny_.live().log;
  ServingCell serving_;
  Metrics metrics_{std::vector<std::string>{"purchase"}};
  std::unique_ptr<AccessControl> access_ = *AccessControl::Create({}, metrics_.requests());
  GraphJobs jobs_{
      *tiny_.live().store, log_, serving_, metrics_.durability(), {.now_us = [] { return 1; }}};
  BackgroundThread background_{{}};
  Removals removals_{log_,  *tiny_.live().store,    serving_, background_,
                     jobs_, std::chrono::seconds(2)};
  NewItemRoom new_items_;
  InteractionService service_{*access_,
                              log_,
                              serving_,
                              removals_,
                              new_items_,
                              metrics_,
                              {.name_space = "default",
                               .events = {.types = {{"purchase", 1}}},
                               .create_items = true,
                               .now_us = [] { return int64_t{2'000'000}; }}};
  v1::RecordInteractionResponse response_;
};

TEST_F(InteractionServiceTest, WhatIsAcknowledgedIsInTheLogUnderTheOffsetThatItSays) {
  UnaryTestCall call;
  ASSERT_EQ(Record(Purchase("ann", "i1", kOne), call), grpc::StatusCode::OK) << call.message();
  EXPECT_FALSE(response_.duplicate());
  EXPECT_EQ(response_.consistency_token(), MakeConsistencyToken(response_.offset()));
  const auto read = log_.Read(response_.offset(), 1);
  ASSERT_TRUE(read.ok() && read->size() == 1) << read.status();
  const auto& interaction = std::get<Interaction>(read->front().second);
  EXPECT_EQ(interaction.user_id, "ann");
  EXPECT_EQ(interaction.item_id, "i1");
  EXPECT_EQ(interaction.event_id, kOne) << "the request's id is its event's, which had none";
}

TEST_F(InteractionServiceTest, ARequestThatIsRepeatedCountsOnceAndAnotherOfItsIdIsRefused) {
  UnaryTestCall first;
  UnaryTestCall again;
  ASSERT_EQ(Record(Purchase("ann", "i1", kOne), first), grpc::StatusCode::OK);
  const int64_t offset = response_.offset();
  ASSERT_EQ(Record(Purchase("ann", "i1", kOne), again), grpc::StatusCode::OK);
  EXPECT_TRUE(response_.duplicate());
  EXPECT_EQ(response_.offset(), offset);
  EXPECT_EQ(Refused(Purchase("ann", "i2", kOne), grpc::StatusCode::ALREADY_EXISTS),
            "EVENT_ID_REUSED");
  for (const char* outcome : {"accepted", "duplicate", "refused"}) {
    EXPECT_EQ(EventsCounted(outcome), "1") << outcome;
  }
}

TEST_F(InteractionServiceTest, BadInputIsRefusedBeforeTheLog) {
  v1::RecordInteractionRequest request = Purchase("ann", "i1", kOne);
  request.set_namespace_("another");
  EXPECT_EQ(Refused(request, grpc::StatusCode::NOT_FOUND), "NAMESPACE_UNKNOWN");
  Refused(Purchase("", "i1", kOne), grpc::StatusCode::INVALID_ARGUMENT);
  Refused(Purchase("ann", "i1", ""), grpc::StatusCode::INVALID_ARGUMENT);
  request = Purchase("ann", "i1", kOne);
  request.mutable_interaction()->set_event_type("glance");
  Refused(request, grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(InteractionServiceTest, AnItemHasRoomInTheCatalogueOrIsNotLetIn) {
  for (int n = 1; n < kNewItemsMax; ++n) {  // all but one are promised
    ASSERT_TRUE(new_items_.Take("promised " + std::to_string(n), *serving_.Get()).ok());
  }
  UnaryTestCall fits;
  ASSERT_EQ(Record(Purchase("ann", "new", kOne), fits), grpc::StatusCode::OK) << fits.message();
  EXPECT_EQ(Refused(Purchase("ann", "newer", kTwo), grpc::StatusCode::FAILED_PRECONDITION),
            "CATALOGUE_FULL");
  UnaryTestCall again;
  EXPECT_EQ(Record(Purchase("bob", "new", kThree), again), grpc::StatusCode::OK);
}

TEST_F(InteractionServiceTest, WhatTheLogRefusesLeavesItsPlaceToOthers) {
  log_.Close();
  Refused(Purchase("ann", "new", kOne), grpc::StatusCode::FAILED_PRECONDITION);
  const std::shared_ptr<ServingState> state = serving_.Get();
  for (int n = 0; n < kNewItemsMax; ++n) {
    EXPECT_TRUE(new_items_.Take("promised " + std::to_string(n), *state).ok()) << n;
  }
}

TEST_F(InteractionServiceTest, AUserIsForgottenByAnIdThatIsNamed) {
  UnaryTestCall call;
  ASSERT_EQ(Record(Purchase("ann", "i1", kOne), call), grpc::StatusCode::OK);
  v1::ForgetUserRequest request;
  request.set_user_id("ann");
  v1::RemovalReceipt receipt;
  UnaryTestCall nameless;
  service_.ForgetUser(nameless.context(), &request, &receipt);
  EXPECT_EQ(nameless.Wait(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_request_id(kThree);
  UnaryTestCall forget;
  service_.ForgetUser(forget.context(), &request, &receipt);
  ASSERT_EQ(forget.Wait(), grpc::StatusCode::OK);
  EXPECT_EQ(receipt.user_count(), 1);
  EXPECT_EQ(receipt.total_count(), 4) << "three of the snapshot, and this one";
}

}  // namespace
}  // namespace groundswell
