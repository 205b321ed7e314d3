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
    for (int i = 0; i < 500; ++i) {
      state.Clear();
      stubs_->recommend->GetUserState(NewContext().get(), request, &state);
      if (state.total_count() >= at_least) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
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

// It writes and never reads: it is not read from any more, and others go on.
TEST_F(MisbehavingClientTest, OneThatNeverReadsHoldsUpNobodyElse) {
  const auto context = NewContext();
  const auto stream = stubs_->interaction->Ingest(context.get());
  std::atomic<int> written{0};
  std::thread writer([&] {
    for (int batch = 0; batch < 20'000; ++batch) {
      v1::IngestRequest request;
      for (int i = 0; i < 100; ++i) {
        *request.add_interactions() =
            NewInteraction("deaf-" + std::to_string(batch * 100 + i), "deaf", kItem);
      }
      if (!stream->Write(request)) break;
      ++written;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  Send("polite", Numbers(20), 20);
  EXPECT_EQ(Total("polite", 200), 200);
  context->TryCancel();
  writer.join();
  stream->Finish();
  EXPECT_LT(written, 20'000) << "flow control never held it up";
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
