#include "client/load_generator.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "groundswell/v1/admin.grpc.pb.h"

namespace groundswell {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(LatencyHistogramTest, QuantilesAreWithinOnePercent) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), nanoseconds(0));
  for (int i = 1; i <= 100'000; ++i) histogram.Add(microseconds(i));
  for (const double share : {0.5, 0.9, 0.99, 0.999}) {
    const double exact = share * 100'000 * 1'000;
    EXPECT_NEAR(static_cast<double>(histogram.Quantile(share).count()), exact, 0.011 * exact);
  }
  EXPECT_EQ(histogram.Quantile(1.0), microseconds(100'000));
  EXPECT_EQ(histogram.count(), 100'000u);
}

TEST(LatencyHistogramTest, WhatIsOutOfRangeCountsAtTheEnds) {
  LatencyHistogram histogram;
  histogram.Add(nanoseconds(-5));
  histogram.Add(nanoseconds(1));
  histogram.Add(std::chrono::hours(1));
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_LE(histogram.Quantile(0.3), microseconds(2));
  EXPECT_GE(histogram.Quantile(1.0), std::chrono::seconds(99));
}

// Answers at once, except that it stands still for a while when told to.
class StallingService final : public v1::AdminService::Service {
 public:
  grpc::Status GetServerStatus(grpc::ServerContext*, const v1::GetServerStatusRequest*,
                               v1::ServerStatus*) override {
    if (fail) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "full"};
    const auto until = stall_until.load();
    std::this_thread::sleep_until(std::chrono::steady_clock::time_point(nanoseconds(until)));
    return grpc::Status::OK;
  }
  std::atomic<int64_t> stall_until{0};
  std::atomic<bool> fail{false};
};

class LoadGeneratorTest : public testing::Test {
 protected:
  LoadGeneratorTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    options_.address = "127.0.0.1:" + std::to_string(port_);
    options_.method = LoadOptions::Method::kStatus;
    options_.rate = 500;
    options_.warmup = milliseconds(100);
    options_.duration = milliseconds(1'000);
    options_.concurrency = 1'000;
  }

  absl::StatusOr<LoadReport> Run() {
    return GenerateLoad(
        options_, [](nanoseconds, uint64_t) {}, [] { return false; });
  }

  StallingService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  LoadOptions options_;
};

TEST_F(LoadGeneratorTest, BadOptionsAreRefused) {
  for (const double rate : {-1.0, 2e6, std::numeric_limits<double>::quiet_NaN()}) {
    options_.rate = rate;
    EXPECT_EQ(Run().status().code(), absl::StatusCode::kInvalidArgument) << rate;
  }
  options_.rate = 100;
  options_.method = LoadOptions::Method::kRecommend;
  EXPECT_EQ(Run().status().code(), absl::StatusCode::kInvalidArgument) << "no users";
}

TEST_F(LoadGeneratorTest, AServerThatIsNotThereIsUnavailable) {
  options_.address = "127.0.0.1:1";
  EXPECT_EQ(Run().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(LoadGeneratorTest, ErrorsAreCountedByCode) {
  service_.fail = true;
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->codes.size(), 1u);
  EXPECT_EQ(report->codes.at(grpc::StatusCode::RESOURCE_EXHAUSTED), report->completed);
  EXPECT_GT(report->completed, 0u);
}

// The server stands still for 300 ms of the second. A generator that waited for its answers would
// see one slow call; this one shows every call that should have been made meanwhile.
TEST_F(LoadGeneratorTest, AStallShowsAllTheWaitingThatItCaused) {
  std::thread staller([&] {
    std::this_thread::sleep_for(milliseconds(400));
    service_.stall_until =
        (std::chrono::steady_clock::now() + milliseconds(300)).time_since_epoch().count();
  });
  const auto report = Run();
  staller.join();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_GT(report->completed, 300u);
  EXPECT_GT(report->latency.Quantile(0.85), milliseconds(50));
  EXPECT_GT(report->latency.max(), milliseconds(250));
}

}  // namespace
}  // namespace groundswell
