#include "client/load/load_generator.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <thread>

#include "groundswell/v1/admin.grpc.pb.h"
#include "groundswell/v1/recommend.grpc.pb.h"
#include "tests/unit/client/loopback_server.h"

namespace groundswell {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

TEST(LatencyHistogramTest, QuantilesAreWithinOnePercent) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), nanoseconds(0));
  for (int i = 1; i <= 100'000; ++i) histogram.Add(microseconds(i));
  for (const double share : {0.5, 0.9, 0.99, 0.999}) {
    const double exact = share * 100'000 * 1'000;
    EXPECT_NEAR(static_cast<double>(histogram.Quantile(share).count()), exact, 0.011 * exact);
  }
  EXPECT_EQ(histogram.Quantile(1.0), microseconds(100'000));
  EXPECT_LE(histogram.Quantile(0), nanoseconds(1'011));
  EXPECT_EQ(histogram.count(), 100'000u);
}

// One sample in every decade of the range, and at both of its ends.
TEST(LatencyHistogramTest, EverySampleIsFoundWithinOnePercent) {
  for (const double latency : {1e3, 1.005e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 9.99e10}) {
    LatencyHistogram histogram;
    histogram.Add(nanoseconds(static_cast<int64_t>(latency)));
    histogram.Add(std::chrono::hours(1));  // so that the maximum does not cap the answer
    EXPECT_NEAR(static_cast<double>(histogram.Quantile(0.5).count()), latency, 0.0101 * latency);
  }
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

// Answers at once, except that it stands still for a while when told to. When counts from its first
// call on: connecting may take long on a machine that is busy.
class StallingService final : public v1::AdminService::Service {
 public:
  // Before the first call.
  void StallFor(milliseconds delay, milliseconds duration) {
    delay_ = delay;
    duration_ = duration;
  }

  grpc::Status GetServerStatus(grpc::ServerContext*, const v1::GetServerStatusRequest*,
                               v1::ServerStatus*) override {
    if (fail) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "full"};
    std::call_once(first_call_, [&] { begin_ = steady_clock::now() + delay_; });
    if (steady_clock::now() >= begin_) std::this_thread::sleep_until(begin_ + duration_);
    return grpc::Status::OK;
  }
  std::atomic<bool> fail{false};

 private:
  milliseconds delay_{0};
  milliseconds duration_{0};
  std::once_flag first_call_;
  steady_clock::time_point begin_;
};

// Answers without ranking, as a server in a hurry does.
class DegradingService final : public v1::RecommendationService::Service {
 public:
  grpc::Status Recommend(grpc::ServerContext*, const v1::RecommendRequest* request,
                         v1::RecommendResponse* response) override {
    if (request->namespace_() != "shop") return {grpc::StatusCode::INVALID_ARGUMENT, "namespace"};
    if (request->user_id() == "odd") return {grpc::StatusCode::NOT_FOUND, "no such user"};
    response->add_degradations(v1::DEGRADATION_RANKING_SKIPPED);
    return grpc::Status::OK;
  }
  grpc::Status Rank(grpc::ServerContext*, const v1::RankRequest* request,
                    v1::RankResponse*) override {
    if (request->item_ids_size() != 2) return {grpc::StatusCode::INVALID_ARGUMENT, "items"};
    return grpc::Status::OK;
  }
};

class LoadGeneratorTest : public testing::Test {
 protected:
  LoadGeneratorTest() {
    options_.connection.address = server_.address();
    options_.method = LoadOptions::Method::kStatus;
    options_.rate = 500;
    options_.warmup = milliseconds(100);
    options_.duration = milliseconds(1'000);
    options_.concurrency = 1'000;
    // Longer than a machine that is busy makes a call wait: an answer of another code would be one
    // that no test expects.
    options_.timeout = milliseconds(60'000);
  }

  absl::StatusOr<LoadReport> Run() {
    return GenerateLoad(
        options_, [](nanoseconds, uint64_t) {}, [] { return false; });
  }

  StallingService service_;
  DegradingService degrading_;
  LoopbackServer server_{{&service_, &degrading_}};
  LoadOptions options_;
};

TEST_F(LoadGeneratorTest, BadOptionsAreRefused) {
  const auto refused = [&](const char* name, const auto& spoil) {
    const LoadOptions good = options_;
    spoil(options_);
    const absl::Status status = Run().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_NE(status.message().find(name), std::string::npos) << status;
    options_ = good;
  };
  for (const double rate : {-1.0, 2e6, 1e-300, std::numeric_limits<double>::quiet_NaN(),
                            std::numeric_limits<double>::infinity()}) {
    refused("--rate", [&](LoadOptions& options) { options.rate = rate; });
  }
  for (const size_t count : {size_t{0}, size_t{1'000'000}}) {
    refused("--concurrency", [&](LoadOptions& options) { options.concurrency = count; });
    refused("--connections", [&](LoadOptions& options) { options.connections = count; });
  }
  refused("--duration-s", [](LoadOptions& options) { options.duration = milliseconds(0); });
  refused("--warmup-s", [](LoadOptions& options) { options.warmup = milliseconds(-1); });
  refused("--timeout-ms", [](LoadOptions& options) { options.timeout = milliseconds(0); });
  refused("--user", [](LoadOptions& options) { options.method = LoadOptions::Method::kRecommend; });
  refused("--item", [](LoadOptions& options) {
    options.method = LoadOptions::Method::kRank;
    options.users = {"u"};
  });
}

TEST_F(LoadGeneratorTest, AServerThatIsNotThereIsUnavailable) {
  options_.connection.address = "127.0.0.1:1";
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

TEST_F(LoadGeneratorTest, UsersTakeTurnsAndDegradedAnswersAreCounted) {
  options_.method = LoadOptions::Method::kRecommend;
  options_.name_space = "shop";
  options_.users = {"u", "odd"};
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->codes.size(), 2u);
  const uint64_t good = report->codes.at(grpc::StatusCode::OK);
  const uint64_t odd = report->codes.at(grpc::StatusCode::NOT_FOUND);
  EXPECT_LE(std::max(good, odd) - std::min(good, odd), 1u);
  EXPECT_EQ(report->degraded, good);
  EXPECT_EQ(report->latency.count(), report->completed) << "failed calls have latencies too";
  EXPECT_EQ(report->ok_latency.count(), good);
  EXPECT_LT(report->ok_latency.count(), report->latency.count());
}

TEST_F(LoadGeneratorTest, EveryRankCallNamesAllItems) {
  options_.method = LoadOptions::Method::kRank;
  options_.users = {"u"};
  options_.items = {"a", "b"};
  options_.arrivals = LoadOptions::Arrivals::kPoisson;
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->codes.size(), 1u);
  EXPECT_GT(report->codes.at(grpc::StatusCode::OK), 0u);
}

TEST_F(LoadGeneratorTest, WhatWouldExceedTheConcurrencyIsCountedAsNotSent) {
  service_.StallFor(milliseconds(0), milliseconds(1'500));
  options_.concurrency = 4;
  options_.warmup = milliseconds(0);
  options_.duration = milliseconds(500);
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->completed, 4u);
  EXPECT_EQ(report->completed + report->not_sent, 250u);
}

// Calls that are slow at the end count as much as others, however long their timeout is.
TEST_F(LoadGeneratorTest, AStallThatOutlastsTheRunIsCounted) {
  service_.StallFor(milliseconds(0), milliseconds(2'500));
  options_.warmup = milliseconds(0);
  options_.duration = milliseconds(500);
  options_.rate = 20;
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->completed, 10u);
  EXPECT_GT(report->latency.Quantile(0.1), milliseconds(1'500));
  EXPECT_LT(report->seconds, 2.0) << "waiting for the last answers is not part of the run";
}

TEST_F(LoadGeneratorTest, CallsOfTheWarmUpAreNotCounted) {
  service_.StallFor(milliseconds(0), milliseconds(700));
  options_.rate = 100;
  options_.warmup = milliseconds(500);
  options_.duration = milliseconds(1'000);
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->completed, 100u) << "answered while counting, but sent before";
}

TEST_F(LoadGeneratorTest, ACancelledWarmUpReportsNothing) {
  const auto report = GenerateLoad(
      options_, [](nanoseconds, uint64_t) {}, [] { return true; });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->completed, 0u);
  EXPECT_EQ(report->seconds, 0);
}

TEST_F(LoadGeneratorTest, WithoutARateTheConcurrencyIsTheLimit) {
  options_.rate = 0;
  options_.concurrency = 2;
  options_.warmup = milliseconds(0);
  options_.duration = milliseconds(300);
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->not_sent, 0u);
  EXPECT_GT(report->completed, options_.concurrency);
}

// The server stands still for 200 ms of the second. A generator that waited for its answers would
// see one slow call; this one shows every call that should have been made meanwhile.
TEST_F(LoadGeneratorTest, AStallShowsAllTheWaitingThatItCaused) {
  service_.StallFor(milliseconds(400), milliseconds(200));
  const auto report = Run();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_GE(report->completed, 499u);
  EXPECT_EQ(report->not_sent, 0u);
  // 100 of the 500 calls waited, evenly from 200 ms down to none.
  EXPECT_GT(report->latency.Quantile(0.99), milliseconds(160));
  EXPECT_GT(report->latency.Quantile(0.85), milliseconds(30));
  EXPECT_GT(report->latency.max(), milliseconds(180));
}

}  // namespace
}  // namespace groundswell
