#include "client/events/event_sender.h"

#include <google/protobuf/util/time_util.h>
#include <google/rpc/error_details.pb.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "groundswell/v1/interaction.grpc.pb.h"
#include "tests/unit/client/loopback_server.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A log in memory behind the real protocol, which can be full, break streams, and hang.
class FlakyService final : public v1::InteractionService::Service {
 public:
  grpc::Status Ingest(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) override {
    v1::IngestRequest request;
    while (stream->Read(&request)) {
      while (hang && !context->IsCancelled()) {
        std::this_thread::sleep_for(milliseconds(1));
      }
      if (breaks > 0 && --breaks >= 0) {
        return {grpc::StatusCode::UNAVAILABLE, "restarting"};
      }
      v1::IngestResponse response;
      // As one whose log failed on a batch of refused interactions alone.
      if (not_taken > 0 && --not_taken >= 0) {
        stream->Write(response);
        continue;
      }
      const bool full = fulls > 0 && --fulls >= 0;
      for (int i = 0; i < request.interactions_size(); ++i) {
        const v1::Interaction& one = request.interactions(i);
        if (full) {
          Refuse(i, 8, response);
        } else if (one.item_id() == "bad") {
          Refuse(i, 3, response);
        } else if (ids.insert(one.event_id()).second) {
          response.set_accepted_count(response.accepted_count() + 1);
          order.push_back(one.event_id());
        } else {
          response.set_duplicate_count(response.duplicate_count() + 1);
        }
      }
      if (!request.producer_id().empty() && request.interactions_size() > 0 && !full) {
        last_sequence = request.first_sequence() + request.interactions_size() - 1;
      }
      if (request.interactions_size() > 0) marks.push_back(request.producer_mark());
      response.set_last_sequence(last_sequence);
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  std::atomic<bool> hang{false};
  std::atomic<int> breaks{0};
  std::atomic<int> fulls{0};
  std::atomic<int> not_taken{0};
  int64_t last_sequence = 0;
  std::set<std::string> ids;
  std::vector<std::string> order;
  std::vector<std::string> marks;  // of the batches

 private:
  static void Refuse(int index, int code, v1::IngestResponse& response) {
    auto& refusal = *response.add_refusals();
    refusal.set_index(index);
    refusal.mutable_status()->set_code(code);
    refusal.mutable_status()->set_message("no");
    google::rpc::RetryInfo info;
    *info.mutable_retry_delay() = google::protobuf::util::TimeUtil::MillisecondsToDuration(20);
    refusal.mutable_status()->add_details()->PackFrom(info);
  }
};

class EventSenderTest : public testing::Test {
 protected:
  EventSenderTest() {
    client_ = std::make_unique<Client>(Client::Options{.address = server_.address()});
  }

  static v1::Interaction Event(uint64_t number, const std::string& item = "i") {
    v1::Interaction interaction;
    interaction.set_event_id("e" + std::to_string(number));
    interaction.set_item_id(item);
    return interaction;
  }
  absl::Status SendAll(EventSender& sender, uint64_t count) {
    for (uint64_t i = 1; i <= count; ++i) {
      if (absl::Status s = sender.Send(i, Event(i)); !s.ok()) return s;
    }
    return sender.Finish();
  }

  FlakyService service_;
  LoopbackServer server_{{&service_}};
  std::unique_ptr<Client> client_;
};

TEST_F(EventSenderTest, WhatAFullServerRefusedIsSentAgain) {
  service_.fulls = 3;
  EventSender sender(*client_, {.batch_size = 10, .inflight_max = 4});
  ASSERT_TRUE(SendAll(sender, 205).ok());
  EXPECT_EQ(service_.ids.size(), 205u);
  EXPECT_EQ(sender.totals().refused, 0u);
  EXPECT_EQ(sender.totals().sum(), 205u);
  EXPECT_EQ(sender.totals().acknowledged_record, 205u);
}

TEST_F(EventSenderTest, ABrokenStreamIsTakenUpAgain) {
  service_.breaks = 3;
  EventSender sender(*client_, {.batch_size = 10, .inflight_max = 4});
  ASSERT_TRUE(SendAll(sender, 205).ok());
  EXPECT_EQ(service_.ids.size(), 205u);
  EXPECT_EQ(service_.order.front(), "e1");
  EXPECT_EQ(service_.order.back(), "e205");
}

TEST_F(EventSenderTest, TheRecordDealtWithNeverPassesOneThatIsNot) {
  service_.fulls = 1'000'000;
  std::atomic<uint64_t> progress{0};
  EventSender sender(*client_,
                     {.batch_size = 10,
                      .retry_for = milliseconds(300),
                      .on_progress = [&](uint64_t record, uint64_t) { progress = record; }});
  const absl::Status status = SendAll(sender, 100);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(progress, 0u);
  EXPECT_EQ(sender.totals().acknowledged_record, 0u);
  EXPECT_FALSE(sender.Finish().ok()) << "it stays given up";
}

TEST_F(EventSenderTest, WhatIsRefusedForGoodIsCountedAndPassed) {
  std::vector<std::pair<uint64_t, uint64_t>> progress;
  EventSender sender(*client_,
                     {.batch_size = 2, .on_progress = [&](uint64_t record, uint64_t refused) {
                        progress.emplace_back(record, refused);
                      }});
  ASSERT_TRUE(sender.Send(1, Event(1)).ok());
  ASSERT_TRUE(sender.Send(2, Event(2, "bad")).ok());
  ASSERT_TRUE(sender.Send(3, Event(3)).ok());
  ASSERT_TRUE(sender.Finish().ok());
  EXPECT_EQ(progress, (std::vector<std::pair<uint64_t, uint64_t>>{{2, 1}, {3, 1}}));
  EXPECT_EQ(sender.totals().refused, 1u);
  EXPECT_EQ(sender.totals().accepted, 2u);
  EXPECT_EQ(sender.totals().acknowledged_record, 3u);
  EXPECT_EQ(sender.totals().first_refused_record, 2u);
}

TEST_F(EventSenderTest, AHangingServerIsLeftWhenStopped) {
  service_.hang = true;
  std::atomic<bool> stopped{false};
  EventSender sender(
      *client_, {.batch_size = 1, .inflight_max = 2, .stopped = [&] { return stopped.load(); }});
  std::thread stopper([&] {
    std::this_thread::sleep_for(milliseconds(100));
    stopped = true;
  });
  const auto begin = steady_clock::now();
  EXPECT_EQ(SendAll(sender, 100).code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(absl::IsCancelled(sender.Finish()) || sender.Finish().ok());
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(30)) << "the server hangs for ever";
  stopper.join();
}

TEST_F(EventSenderTest, AProducerGoesOnBehindWhatTheServerHas) {
  service_.last_sequence = 7;
  service_.breaks = 1;
  EventSender sender(*client_, {.batch_size = 3, .producer_id = "p"});
  service_.breaks = 0;
  const auto answer = sender.AskProducer();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->last_sequence(), 7);
  service_.breaks = 1;
  ASSERT_TRUE(SendAll(sender, 8).ok());
  EXPECT_EQ(service_.last_sequence, 15);
}

TEST_F(EventSenderTest, ABatchHasTheMarkOfItsLastInteraction) {
  EventSender sender(*client_, {.batch_size = 2, .producer_id = "p"});
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(sender.Send(i, Event(i), "mark" + std::to_string(i)).ok());
  }
  ASSERT_TRUE(sender.Finish().ok());
  EXPECT_EQ(service_.marks, (std::vector<std::string>{"mark2", "mark3"}));
}

TEST_F(EventSenderTest, WhatWasGatheredIsSentAndABrokenStreamTakenUpWithoutMoreToSend) {
  service_.breaks = 2;
  EventSender sender(*client_, {.batch_size = 10});
  ASSERT_TRUE(sender.Send(1, Event(1)).ok());
  const auto patience = steady_clock::now() + std::chrono::minutes(1);
  while (sender.totals().accepted == 0 && steady_clock::now() < patience) {
    ASSERT_TRUE(sender.SendGathered().ok());
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(sender.totals().accepted, 1u);
  EXPECT_TRUE(sender.Finish().ok());
}

TEST_F(EventSenderTest, OneThatHadNothingToSendForLongTriesAsLongAsAnyOther) {
  EventSender sender(*client_, {.batch_size = 1, .retry_for = milliseconds(2'000)});
  std::this_thread::sleep_for(milliseconds(2'100));  // longer than it tries
  service_.breaks = 1;
  ASSERT_TRUE(sender.Send(1, Event(1)).ok());
  EXPECT_TRUE(sender.Finish().ok());
  EXPECT_EQ(sender.totals().accepted, 1u);
}

TEST_F(EventSenderTest, ABatchWhoseNumbersTheServerDidNotUseUpIsSentAgain) {
  service_.not_taken = 2;
  std::vector<int64_t> settled;
  EventSender sender(*client_,
                     {.batch_size = 2,
                      .producer_id = "p",
                      .on_settled = [&](int64_t first, size_t, const v1::IngestResponse&) {
                        settled.push_back(first);
                      }});
  ASSERT_TRUE(SendAll(sender, 4).ok());
  EXPECT_EQ(service_.ids.size(), 4u);
  // A stream that is given up may take a batch that was under way, which is a duplicate then.
  EXPECT_EQ(sender.totals().accepted + sender.totals().duplicates, 4u);
  EXPECT_EQ(settled, (std::vector<int64_t>{1, 3}));
}

TEST_F(EventSenderTest, EveryBatchIsToldOfWithItsNumbers) {
  std::vector<std::pair<int64_t, size_t>> settled;
  EventSender sender(*client_,
                     {.batch_size = 2,
                      .producer_id = "p",
                      .on_settled = [&](int64_t first, size_t count, const v1::IngestResponse&) {
                        settled.emplace_back(first, count);
                      }});
  sender.ContinueAt(8);
  ASSERT_TRUE(SendAll(sender, 3).ok());
  EXPECT_EQ(settled, (std::vector<std::pair<int64_t, size_t>>{{8, 2}, {10, 1}}));
}

TEST_F(EventSenderTest, ABatchEndsByItsBytesToo) {
  std::vector<std::pair<int64_t, size_t>> settled;
  EventSender sender(*client_,
                     {.batch_size = 100,
                      .batch_bytes_max = 250,
                      .producer_id = "p",
                      .on_settled = [&](int64_t first, size_t count, const v1::IngestResponse&) {
                        settled.emplace_back(first, count);
                      }});
  for (const size_t bytes : {100, 100, 100, 300, 10}) {
    ASSERT_TRUE(sender.Send(1, Event(1, std::string(bytes, 'i'))).ok());
  }
  ASSERT_TRUE(sender.Finish().ok());
  EXPECT_EQ(settled, (std::vector<std::pair<int64_t, size_t>>{{1, 2}, {3, 1}, {4, 1}, {5, 1}}));
}

}  // namespace
}  // namespace groundswell
