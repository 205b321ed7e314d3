// What an operator may build upon once a change of the catalogue or of the blend is answered, and
// what an export of the log holds, also while the fold is behind.
#include "server/admin/admin_service.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/graph_fixture.h"
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
  // Nothing is folded for the life of the object.
  class HeldFold {
   public:
    explicit HeldFold(Applier& applier)
        : holder_([this, &applier] {
            EXPECT_TRUE(applier
                            .RunAtBatchEdge([this] {
                              held_.set_value();
                              may_go_on_.get_future().wait();
                            })
                            .ok());
          }) {
      held_.get_future().wait();
    }
    ~HeldFold() {
      may_go_on_.set_value();
      holder_.join();
    }
    HeldFold(const HeldFold&) = delete;
    HeldFold& operator=(const HeldFold&) = delete;

   private:
    std::promise<void> held_;
    std::promise<void> may_go_on_;
    std::thread holder_;  // last: it uses what is above
  };

  // The offset of the last.
  Offset Append(std::vector<LogEntry> entries) {
    std::promise<Offset> appended;
    AppendRequest request{.entries = std::move(entries)};
    EXPECT_TRUE(live_.log
                    ->Append(std::move(request),
                             [&](const absl::StatusOr<AppendResult>& result) {
                               appended.set_value(result.ok() ? result->entries.back().offset : 0);
                             })
                    .ok());
    return appended.get_future().get();
  }
  bool WaitForFold(Offset offset) {
    std::promise<bool> applied;
    serving_.Get()->applier->WhenApplied(offset,
                                         std::chrono::steady_clock::now() + std::chrono::minutes(5),
                                         [&](bool reached) { applied.set_value(reached); });
    return applied.get_future().get();
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
  std::optional<HeldFold> held(std::in_place, *state->applier);
  EXPECT_EQ(Upsert(std::chrono::milliseconds(300)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ResetBlend(std::chrono::milliseconds(300)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_FALSE(IsKnown());
  held.reset();

  const grpc::Status status = Upsert();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(IsKnown());
  EXPECT_TRUE(ResetBlend().ok());
  EXPECT_EQ(state->applier->applied_offset(), before + 2) << "the same request is done once";
}

// A user is forgotten and an item removed in the middle of the log, which is yet to be folded; in
// the middle of the export it is, and redacted. Late events of both come behind it.
TEST_F(AdminServiceTest, AnExportIsWithoutWhatIsRemovedWheneverThatIsFolded) {
  constexpr int64_t kRemovedUs = 1'000'000;
  const Offset before = live_.log->end();
  std::optional<HeldFold> held(std::in_place, *serving_.Get()->applier);
  const auto of_all = [](int64_t time_us) {
    std::vector<LogEntry> entries;
    for (int i = 0; i < 200; ++i) {
      entries.emplace_back(MakeInteraction("ann", "i0", 1, time_us));  // to be forgotten
      entries.emplace_back(MakeInteraction("bob", "i1", 1, time_us));  // to be removed
      entries.emplace_back(MakeInteraction("bob", "i2", 1, time_us));
    }
    return entries;
  };
  Append(of_all(kRemovedUs - 1));
  Append({ForgetUser{.event_id = "forget",
                     .user_id = "ann",
                     .user_hash = HashId("ann"),
                     .time_us = kRemovedUs},
          RemoveItem{.event_id = "remove",
                     .item_id = "i1",
                     .item_hash = HashId("i1"),
                     .time_us = kRemovedUs}});
  const Offset end = Append(of_all(kRemovedUs));

  v1::ReadLogRequest request;
  request.set_from_offset(before + 1);
  grpc::ClientContext context;
  const auto stream = stub_->ReadLog(&context, request);
  v1::ReadLogResponse response;
  Offset next = before + 1;
  int of_others = 0;
  while (stream->Read(&response)) {
    for (const v1::LogEntry& entry : response.entries()) {
      EXPECT_EQ(entry.offset(), next++);
      if (!entry.has_interaction()) continue;
      EXPECT_EQ(entry.interaction().item_id(), "i2") << entry.ShortDebugString();
      ++of_others;
    }
    if (!held.has_value()) continue;
    held.reset();  // behind the first message
    ASSERT_TRUE(WaitForFold(end));
    EXPECT_TRUE(jobs_.Redact(std::stop_token()).ok());
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(next, end + 1);
  EXPECT_EQ(of_others, 400);
}

}  // namespace
}  // namespace groundswell
