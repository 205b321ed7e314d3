// Clients that repeat, reorder, die in the middle, or never read: what they sent counts once, and
// nobody else notices.
#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "tests/integration/sample_server.h"

namespace groundswell {
namespace {

class MisbehavingClientTest : public SampleServerTest {
 protected:
  int64_t Total(const std::string& user, int64_t at_least) {
    v1::GetUserStateRequest request;
    request.set_user_id(user);
    v1::GetUserStateResponse state;
    EXPECT_TRUE(Becomes([&] {
      state.Clear();
      stubs_->recommend->GetUserState(NewContext().get(), request, &state);
      return state.total_count() >= at_least;
    }));
    return state.total_count();
  }

  // Sends batches of ten, in this order of their numbers, and reads `answers` of the answers.
  void Send(const std::string& user, const std::vector<int>& batches, size_t answers) {
    const auto context = NewContext();
    const auto stream = stubs_->interaction->Ingest(context.get());
    for (const int batch : batches) {
      v1::IngestRequest request;
      for (int i = 0; i < 10; ++i) {
        *request.add_interactions() =
            NewInteraction(user + "-" + std::to_string(batch * 10 + i), user, kItem);
      }
      if (!stream->Write(request)) return;
    }
    v1::IngestResponse response;
    for (size_t i = 0; i < answers; ++i) {
      if (!stream->Read(&response)) return;
    }
    if (answers < batches.size()) {
      context->TryCancel();  // as one that dies
    } else {
      stream->WritesDone();
    }
    stream->Finish();
  }

  // One interaction that counts, and many that are refused one by one: the answer is long.
  static constexpr int kRefused = 99;
  static v1::IngestRequest BatchWithLongAnswer(const std::string& user, int batch) {
    v1::IngestRequest request;
    *request.add_interactions() = NewInteraction(user + "-" + std::to_string(batch), user, kItem);
    for (int i = 0; i < kRefused; ++i) *request.add_interactions() = NewInteraction("", user, "");
    return request;
  }

  // Such batches that the server has read.
  static int BatchesRead() {
    const std::string text = HttpGet(server_->http_port(), "/metrics");
    const std::string name = R"(groundswell_events_total{outcome="refused",type="purchase"} )";
    const size_t at = text.find("\n" + name);
    return at == std::string::npos ? 0 : std::stoi(text.substr(at + 1 + name.size())) / kRefused;
  }

  static std::vector<int> Numbers(int count) {
    std::vector<int> numbers;
    for (int i = 0; i < count; ++i) numbers.push_back(i);
    return numbers;
  }
};

TEST_F(MisbehavingClientTest, TheSameStreamTwiceCountsOnce) {
  Send("twice", Numbers(20), 20);
  Send("twice", Numbers(20), 20);
  EXPECT_EQ(Total("twice", 200), 200);
}

TEST_F(MisbehavingClientTest, TwoStreamsWithTheSameAtTheSameTimeCountOnce) {
  std::thread other([&] { Send("parallel", Numbers(20), 20); });
  Send("parallel", Numbers(20), 20);
  other.join();
  EXPECT_EQ(Total("parallel", 200), 200);
}

TEST_F(MisbehavingClientTest, AnyOrderGivesTheSameCounts) {
  std::vector<int> batches = Numbers(20);
  std::mt19937 random(3);
  std::shuffle(batches.begin(), batches.end(), random);
  batches.insert(batches.end(), batches.begin(), batches.begin() + 7);
  Send("reordered", batches, batches.size());
  EXPECT_EQ(Total("reordered", 200), 200);
}

TEST_F(MisbehavingClientTest, OneThatDiesInTheMiddleIsFinishedByTheNext) {
  Send("dying", Numbers(20), 5);
  Send("dying", Numbers(20), 20);
  EXPECT_EQ(Total("dying", 200), 200);
}

// It writes and never reads. It is not read from any more once 64 acknowledgements wait for it,
// then its connection is full, and it cannot write any more either; others go on.
TEST_F(MisbehavingClientTest, OneThatNeverReadsIsHeldUpAndHoldsUpNobodyElse) {
  constexpr int kBatches = 20'000;
  grpc::ChannelArguments fixed_window;  // of 64 KiB for a stream; else gRPC widens it
  fixed_window.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  const auto stub = v1::InteractionService::NewStub(grpc::CreateCustomChannel(
      server_->grpc_address(), grpc::InsecureChannelCredentials(), fixed_window));
  grpc::ClientContext context;
  const auto stream = stub->Ingest(&context);
  std::atomic<int> written{0};
  std::thread writer([&] {
    for (int batch = 0; batch < kBatches; ++batch) {
      if (!stream->Write(BatchWithLongAnswer("deaf", batch))) break;
      ++written;
    }
  });
  // Until neither has moved for a second: of the one who is not held up, one always does.
  int stopped_at = -1;
  int read = -1;
  while (stopped_at != written || read != BatchesRead()) {
    stopped_at = written;
    read = BatchesRead();
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  EXPECT_LT(stopped_at, kBatches);
  Send("polite", Numbers(20), 20);
  EXPECT_EQ(Total("polite", 200), 200);
  EXPECT_LT(BatchesRead(), 64 + 16) << "a window holds the answers of a few";
  context.TryCancel();
  writer.join();
  stream->Finish();
}

// A client whose clock was put back: events keep their own times, and order by them.
TEST_F(MisbehavingClientTest, AClockThatGoesBackwardsChangesNoCount) {
  std::string token;
  for (const int64_t time_s : {1'322'000'100, 1'322'000'000, 1'321'999'900}) {
    v1::RecordInteractionRequest request;
    *request.mutable_interaction() = NewInteraction("back-" + std::to_string(time_s), "back",
                                                    time_s % 200 == 0 ? kItem : "22423");
    request.mutable_interaction()->mutable_event_time()->set_seconds(time_s);
    v1::RecordInteractionResponse response;
    ASSERT_TRUE(
        stubs_->interaction->RecordInteraction(NewContext().get(), request, &response).ok());
  }
  EXPECT_EQ(Total("back", 3), 3);
  v1::GetUserStateRequest request;
  request.set_user_id("back");
  v1::GetUserStateResponse state;
  ASSERT_TRUE(stubs_->recommend->GetUserState(NewContext().get(), request, &state).ok());
  EXPECT_EQ(state.recent_items(0).last_time().seconds(), 1'322'000'100);
}

}  // namespace
}  // namespace groundswell
