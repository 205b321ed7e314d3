// A unary call's way without a server.
#include "server/recommend/unary_runner.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <thread>

#include "groundswell/v1/recommend.pb.h"
#include "tests/support/live_graph.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/server/unary_test_call.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class UnaryRunnerTest : public ::testing::Test {
 protected:
  UnaryRunnerTest() {
    auto state = std::make_unique<ServingState>(live_.generation);
    state->applier = std::move(live_.applier);
    serving_.Exchange(std::move(state));
  }
  ~UnaryRunnerTest() override {
    admission_.Drain();
    live_.log->Close();
    serving_.Exchange(nullptr);  // ends the applier, which may still wake a compute thread
  }

  UnaryRunner Runner(milliseconds deadline = seconds(30), milliseconds wait = seconds(30)) {
    return {*access_,
            admission_,
            serving_,
            metrics_,
            {.default_deadline = deadline, .consistency_wait = wait}};
  }
  void Run(UnaryRunner& runner, UnaryTestCall& call, absl::StatusOr<Offset> offset,
           UnaryRunner::Work work) {
    runner.Run(call.context(), Method::kRecommend, "", std::move(offset), response_,
               std::move(work));
  }
  // Keeps the only compute thread busy until the promise is kept.
  void Occupy(std::promise<void>& release) {
    std::promise<void> started;
    ASSERT_TRUE(admission_
                    .Submit([&](ComputeThread) {
                      started.set_value();
                      release.get_future().wait();
                    })
                    .ok());
    started.get_future().wait();
  }

  TemporaryDirectory directory_;
  const std::string path_ = (MakeStore(directory_.File("db"), 4), directory_.File("db"));
  LiveGraph live_{path_};
  ServingCell serving_;
  Metrics metrics_{std::vector<std::string>{}};
  Admission admission_{{.threads = 1, .queue_max = 1}};
  std::unique_ptr<AccessControl> access_ = *AccessControl::Create({}, metrics_.requests());
  v1::RecommendResponse response_;
};

TEST_F(UnaryRunnerTest, TheWorksStatusIsTheAnswerAndIsCountedOnce) {
  UnaryRunner runner = Runner();
  UnaryTestCall fine;
  UnaryTestCall failing;
  Run(runner, fine, Offset{0}, [this](UnaryRunner::Call& call) {
    EXPECT_EQ(call.state, serving_.Get());
    EXPECT_FALSE(call.stale);
    return absl::OkStatus();
  });
  EXPECT_EQ(fine.Wait(), grpc::StatusCode::OK);
  Run(runner, failing, Offset{0}, [](UnaryRunner::Call&) { return absl::NotFoundError("none"); });
  EXPECT_EQ(failing.Wait(), grpc::StatusCode::NOT_FOUND);
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("code=\"OK\",method=\"Recommend\"} 1"));
  EXPECT_THAT(text, HasSubstr("code=\"NOT_FOUND\",method=\"Recommend\"} 1"));
}

TEST_F(UnaryRunnerTest, AnAnswerThatClientsDoNotTakeIsAnError) {
  UnaryRunner runner = Runner();
  UnaryTestCall call;
  response_.add_items()->set_title(std::string(size_t{5} << 20, 'x'));
  Run(runner, call, Offset{0}, [](UnaryRunner::Call&) { return absl::OkStatus(); });
  EXPECT_EQ(call.Wait(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(UnaryRunnerTest, AWrongTokenIsTheAnswerAndNothingRuns) {
  UnaryRunner runner = Runner();
  UnaryTestCall call;
  Run(runner, call, absl::InvalidArgumentError("no token"), [](UnaryRunner::Call&) {
    ADD_FAILURE();
    return absl::OkStatus();
  });
  EXPECT_EQ(call.Wait(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(UnaryRunnerTest, ACallWaitsForItsOwnWrite) {
  UnaryRunner runner = Runner();
  UnaryTestCall call;
  Run(runner, call, Offset{1}, [this](UnaryRunner::Call& running) {
    EXPECT_FALSE(running.stale);
    EXPECT_EQ(serving_.Get()->applier->applied_offset(), Offset{1});
    return absl::OkStatus();
  });
  EXPECT_EQ(live_.Append(MakeInteraction("ann", "i1")), Offset{1});
  EXPECT_EQ(call.Wait(), grpc::StatusCode::OK);
}

TEST_F(UnaryRunnerTest, AWriteThatDoesNotComeInTimeMakesTheAnswerStale) {
  UnaryRunner runner = Runner(seconds(30), milliseconds(1));
  UnaryTestCall call;
  Run(runner, call, Offset{1'000}, [](UnaryRunner::Call& running) {
    EXPECT_TRUE(running.stale);
    return absl::OkStatus();
  });
  EXPECT_EQ(call.Wait(), grpc::StatusCode::OK);
}

TEST_F(UnaryRunnerTest, AWorkThatThrowsIsAnErrorOfItsCall) {
  UnaryRunner runner = Runner();
  UnaryTestCall call;
  Run(runner, call, Offset{0}, [](UnaryRunner::Call&) -> absl::Status { throw std::bad_alloc(); });
  EXPECT_EQ(call.Wait(), grpc::StatusCode::INTERNAL);
  UnaryTestCall next;
  Run(runner, next, Offset{0}, [](UnaryRunner::Call&) { return absl::OkStatus(); });
  EXPECT_EQ(next.Wait(), grpc::StatusCode::OK);
}

TEST_F(UnaryRunnerTest, AFullQueueIsToldAtOnce) {
  UnaryRunner runner = Runner();
  std::promise<void> release;
  Occupy(release);
  UnaryTestCall waiting;
  UnaryTestCall refused;
  const auto fine = [](UnaryRunner::Call&) { return absl::OkStatus(); };
  Run(runner, waiting, Offset{0}, fine);
  Run(runner, refused, Offset{0}, fine);
  EXPECT_EQ(refused.Wait(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  release.set_value();
  EXPECT_EQ(waiting.Wait(), grpc::StatusCode::OK);
}

TEST_F(UnaryRunnerTest, ACallWhoseTimeIsOverInTheQueueIsNotBegun) {
  UnaryRunner runner = Runner(milliseconds(1));
  std::promise<void> release;
  Occupy(release);
  UnaryTestCall call;
  Run(runner, call, Offset{0}, [](UnaryRunner::Call&) {
    ADD_FAILURE();
    return absl::OkStatus();
  });
  std::this_thread::sleep_for(milliseconds(1));  // its time, which began before
  release.set_value();
  EXPECT_EQ(call.Wait(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_THAT(metrics_.Render(), HasSubstr("groundswell_rejected_total{reason=\"deadline\"} 1"));
}

}  // namespace
}  // namespace groundswell
