// What an operator may build upon once a change of the catalogue or of the blend is answered, also
// while the fold is behind.
#include "server/admin/admin_service.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/snapshot_fixture.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/server/live_sample.h"

namespace groundswell {
namespace {

constexpr char kUpsertId[] = "5d0a39f6-95a1-4e52-8a5b-2b0d0d2c6a11";
constexpr char kResetBlendId[] = "5d0a39f6-95a1-4e52-8a5b-2b0d0d2c6a12";

class AdminServiceTest : public testing::Test {
 protected:
  AdminServiceTest() {
    serving_.Exchange(std::move(live_.state));
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::AdminService::NewStub(server_->InProcessChannel({}));
  }
  ~AdminServiceTest() override {
    server_->Shutdown();
    background_.Stop();
    live_.log->Close();
    serving_.Exchange(nullptr);
  }

  grpc::Status Upsert(std::chrono::milliseconds time = std::chrono::minutes(5)) {
    v1::UpsertItemRequest request;
    request.set_request_id(kUpsertId);
    request.set_item_id("new");
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + time);
    v1::UpsertItemResponse response;
    return stub_->UpsertItem(&context, request, &response);
  }
  grpc::Status ResetBlend(std::chrono::milliseconds time = std::chrono::minutes(5)) {
    v1::ResetBlendRequest request;
    request.set_request_id(kResetBlendId);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + time);
    v1::ResetBlendResponse response;
    return stub_->ResetBlend(&context, request, &response);
  }
  bool IsKnown() { return serving_.Get()->catalogue->Find("new").has_value(); }

  TemporaryDirectory directory_;
  const SnapshotFixture fixture_{directory_.path()};
  LiveSample live_{directory_.path()};
  ServingCell serving_;
  Metrics metrics_{std::vector<std::string>{}};
  const Config config_;
  const std::unique_ptr<AccessControl> access_ = *AccessControl::Create({}, metrics_.requests());
  const std::unique_ptr<ListRulesCell> list_rules_ =
      *ListRulesCell::Open(*live_.store, metrics_.pipeline(), [] { return 1; });
  GraphJobs jobs_{
      *live_.store, *live_.log, serving_, metrics_.durability(), {.now_us = [] { return 1; }}};
  BackgroundThread background_{{}};
  Removals removals_{*live_.log, *live_.store, serving_, background_, jobs_, std::nullopt};
  NewItemRoom new_items_;
  ActivationPoint point_;
  const ActivationContext activation_{.store = *live_.store,
                                      .log = *live_.log,
                                      .serving = serving_,
                                      .point = point_,
                                      .load = {},
                                      .start = {},
                                      .on_served = {},
                                      .now_us = [] { return 1; }};
  SlowCallLog slow_calls_{std::chrono::milliseconds(1)};
  AdminService service_{{.config = config_,
                         .access = *access_,
                         .serving = serving_,
                         .store = *live_.store,
                         .log = *live_.log,
                         .list_rules = *list_rules_,
                         .background = background_,
                         .jobs = jobs_,
                         .removals = removals_,
                         .new_items = new_items_,
                         .activation = activation_,
                         .slow_calls = slow_calls_,
                         .metrics = metrics_.requests(),
                         .now_us = [] { return 1; }}};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::AdminService::Stub> stub_;
};

TEST_F(AdminServiceTest, AnItemIsAnsweredOnceItIsKnown) {
  const std::shared_ptr<ServingState> state = serving_.Get();
  const Offset before = live_.log->end();
  std::promise<void> held;
  std::promise<void> may_go_on;
  std::thread holder([&] {
    EXPECT_TRUE(state->applier
                    ->RunAtBatchEdge([&] {
                      held.set_value();
                      may_go_on.get_future().wait();
                    })
                    .ok());
  });
  held.get_future().wait();
  EXPECT_EQ(Upsert(std::chrono::milliseconds(300)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ResetBlend(std::chrono::milliseconds(300)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_FALSE(IsKnown());
  may_go_on.set_value();
  holder.join();

  const grpc::Status status = Upsert();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(IsKnown());
  EXPECT_TRUE(ResetBlend().ok());
  EXPECT_EQ(state->applier->applied_offset(), before + 2) << "the same request is done once";
}

}  // namespace
}  // namespace groundswell
