#include "server/recommend/slow_call_log.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "server/process/line_rate.h"
#include "server/process/logging.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;

// The default logger writes into a string while a test runs.
class SlowCallLogTest : public testing::Test {
 protected:
  SlowCallLogTest() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(written_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("groundswell", std::move(sink)));
  }
  ~SlowCallLogTest() override {
    SetLogFormat(LogFormat::kText);
    spdlog::set_default_logger(before_);
  }

  std::vector<std::string> Lines() {
    std::vector<std::string> lines;
    for (std::string line; std::getline(written_, line);) lines.push_back(line);
    written_.clear();
    return lines;
  }

  void Observe(SlowCallLog& log, milliseconds total, std::string_view request_id = "r-1") {
    StageDurations stages;
    stages.rank = milliseconds(7);
    log.Observe({.method = Method::kRank,
                 .request_id = request_id,
                 .trace = trace_,
                 .code = absl::StatusCode::kOk,
                 .total = total,
                 .queued = milliseconds(2),
                 .stages = stages});
  }

  std::optional<TraceContext> trace_ =
      ParseTraceParent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  std::stringstream written_;
  const std::shared_ptr<spdlog::logger> before_;
};

// Else who names a snapshot or a file could write events of his own into the log.
TEST_F(SlowCallLogTest, OnlyEventsBeginALineOfText) {
  SetLogFormat(LogFormat::kText);
  LogEvent(spdlog::level::info, std::string_view("named a\n[b\0c\x1b[2J", 16),
           {{"version", "d\ne"}});
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(lines[0].ends_with("named a")) << lines[0];
  EXPECT_EQ(lines[1], "    [b\\x00c\\x1b[2J version=\"d\\ne\"");
}

TEST_F(SlowCallLogTest, JsonHasEveryFieldInOneObject) {
  SetLogFormat(LogFormat::kJson);
  SlowCallLog log(milliseconds(10));
  Observe(log, milliseconds(9));
  Observe(log, milliseconds(10));
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  const auto line = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["message"], "slow call");
  EXPECT_EQ(line["method"], "Rank");
  EXPECT_EQ(line["code"], "OK");
  EXPECT_EQ(line["request_id"], "r-1");
  EXPECT_EQ(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(line["total_ms"], 10.0);
  EXPECT_EQ(line["queue_ms"], 2.0);
  EXPECT_EQ(line["rank_ms"], 7.0);
  EXPECT_EQ(line["retrieval_ms"], 0.0);
  EXPECT_FALSE(line.contains("left_out"));
}

TEST_F(SlowCallLogTest, WhatCallersSendCannotBreakALine) {
  SetLogFormat(LogFormat::kJson);
  SlowCallLog log(milliseconds(1));
  const std::string id = std::string("\"}\n{\xff\0", 6) + std::string(1'000, 'x');
  Observe(log, milliseconds(1), id);
  spdlog::warn("quote \" and\nline");
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_LT(nlohmann::json::parse(lines[0])["request_id"].get<std::string>().size(), 100u);
  EXPECT_EQ(nlohmann::json::parse(lines[1])["message"], "quote \" and\nline");
  SetLogFormat(LogFormat::kText);
  Observe(log, milliseconds(1), id);
  EXPECT_EQ(Lines().size(), 1u);
}

TEST_F(SlowCallLogTest, TextIsForPeople) {
  SetLogFormat(LogFormat::kText);
  SlowCallLog log(milliseconds(1));
  Observe(log, milliseconds(12));
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("slow call method=\"Rank\" code=\"OK\" request_id=\"r-1\""),
            std::string::npos)
      << lines[0];
}

TEST_F(SlowCallLogTest, AFloodIsCountedInsteadOfWritten) {
  SetLogFormat(LogFormat::kJson);
  SlowCallLog log(milliseconds(1));
  for (int i = 0; i < 1'000; ++i) Observe(log, milliseconds(1));
  size_t lines = Lines().size();
  EXPECT_GE(lines, static_cast<size_t>(SlowCallLog::kLinesPerSecond));
  EXPECT_LE(lines, 3u * SlowCallLog::kLinesPerSecond);
  int64_t left_out = 0;
  while (left_out == 0) {
    Observe(log, milliseconds(1));
    ++lines;
    for (const std::string& line : Lines()) {
      left_out = nlohmann::json::parse(line).value("left_out", int64_t{0});
    }
  }
  EXPECT_GE(left_out, 1'000 - 3 * SlowCallLog::kLinesPerSecond);
}

TEST_F(SlowCallLogTest, ZeroIsOff) {
  SlowCallLog log(milliseconds(0));
  Observe(log, milliseconds(1'000));
  EXPECT_TRUE(Lines().empty());
  EXPECT_EQ(log.ReadNewest(10).total_count, 0);
}

TEST_F(SlowCallLogTest, TheNewestAreKeptAlsoThoseThatAreNotWritten) {
  SlowCallLog log(milliseconds(10));
  Observe(log, milliseconds(9));
  EXPECT_TRUE(log.ReadNewest(10).calls.empty());
  const int64_t calls = SlowCallLog::kCallsKept + 7;
  for (int64_t i = 0; i < calls; ++i) Observe(log, milliseconds(10 + i), std::to_string(i));
  SlowCallLog::Newest newest = log.ReadNewest(3);
  EXPECT_EQ(newest.total_count, calls);
  ASSERT_EQ(newest.calls.size(), 3u);
  EXPECT_EQ(newest.calls[0].request_id, std::to_string(calls - 1));
  EXPECT_EQ(newest.calls[2].request_id, std::to_string(calls - 3));
  EXPECT_EQ(newest.calls[0].method, Method::kRank);
  EXPECT_EQ(newest.calls[0].trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(newest.calls[0].total, milliseconds(10 + calls - 1));
  EXPECT_EQ(newest.calls[0].stages.rank, milliseconds(7));
  newest = log.ReadNewest(10'000);
  ASSERT_EQ(newest.calls.size(), SlowCallLog::kCallsKept);
  EXPECT_EQ(newest.calls.back().request_id, "7") << "the seven before it made room";
}

TEST_F(SlowCallLogTest, AnIdIsCutBetweenCharacters) {
  SlowCallLog log(milliseconds(1));
  Observe(log, milliseconds(1), std::string(63, 'x') + "\xc3\xa4 and more");
  EXPECT_EQ(log.ReadNewest(1).calls[0].request_id, std::string(63, 'x'));
}

TEST(LineRateTest, WhatIsBeyondTheRateIsCountedAndSaidWithTheNextLine) {
  LineRate lines(2);
  const std::chrono::steady_clock::time_point begin;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(lines.Take(begin + std::chrono::milliseconds(i)),
              i < 2 ? std::optional<int64_t>(0) : std::nullopt);
  }
  EXPECT_EQ(lines.Take(begin + std::chrono::milliseconds(999)), std::nullopt);
  EXPECT_EQ(lines.Take(begin + std::chrono::seconds(1)), 99);
  EXPECT_EQ(lines.Take(begin + std::chrono::milliseconds(1'500)), 0);
}

}  // namespace
}  // namespace groundswell
