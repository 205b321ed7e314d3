#include "server/process/http_exchange.h"

#include <gmock/gmock.h>

#include <atomic>
#include <deque>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "graph/mutex.h"
#include "server/process/http_server.h"
#include "tests/unit/server/http_peer.h"

namespace groundswell {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kBeginOfStream =
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kEndOfBody = "0\r\n\r\n";

std::string ChunkOf(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string size;
  for (size_t left = text.size(); left > 0; left /= 16) size.insert(0, 1, kDigits[left % 16]);
  return size + "\r\n" + std::string(text) + "\r\n";
}

// Both sides of a stream.
struct OpenStream {
  Peer peer;
  std::shared_ptr<HttpExchange> exchange;
};

// A server for which every request is a stream, and its exchange the test's.
class StreamsServer {
 public:
  explicit StreamsServer(HttpServer::Options options) {
    options.is_stream = [](const HttpRequest&) { return true; };
    auto started = HttpServer::Start(
        "127.0.0.1:0", std::move(options),
        [](const HttpRequest&, const HttpServer::Answer& answer) { answer({.status = 404}); },
        [this](const HttpRequest&, std::shared_ptr<HttpExchange> exchange) {
          Add(std::move(exchange));
        });
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }

  OpenStream Open() {
    OpenStream stream{.peer = Peer(server_->port())};
    EXPECT_TRUE(stream.peer.Send(kBeginOfStream));
    const MutexLock lock(mutex_);
    while (begun_.empty()) changed_.Wait(mutex_);
    stream.exchange = std::move(begun_.front());
    begun_.pop_front();
    return stream;
  }

 private:
  void Add(std::shared_ptr<HttpExchange> exchange) {
    {
      const MutexLock lock(mutex_);
      begun_.push_back(std::move(exchange));
    }
    changed_.NotifyOne();
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::shared_ptr<HttpExchange>> begun_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> server_;  // last: its thread uses everything above
};

std::future<absl::StatusOr<std::string>> AskForLines(HttpExchange& exchange) {
  auto lines = std::make_shared<std::promise<absl::StatusOr<std::string>>>();
  auto future = lines->get_future();
  exchange.ReadLines(
      [lines](absl::StatusOr<std::string> come) { lines->set_value(std::move(come)); });
  return future;
}

absl::StatusOr<std::string> NextLines(const OpenStream& stream) {
  return AskForLines(*stream.exchange).get();
}

// Sends `text` as one chunk, and returns what it is handed over as.
absl::StatusOr<std::string> Pass(const OpenStream& stream, std::string_view text) {
  EXPECT_TRUE(stream.peer.Send(ChunkOf(text)));
  return NextLines(stream);
}

TEST(HttpExchangeTest, LinesComeWholeHoweverTheyAreCut) {
  StreamsServer server({});
  const OpenStream stream = server.Open();
  for (const char c : std::string_view("one\ntwo\n")) {
    ASSERT_TRUE(stream.peer.Send(ChunkOf(std::string(1, c))));
  }
  EXPECT_EQ(NextLines(stream).value(), "one\n");
  EXPECT_EQ(NextLines(stream).value(), "two\n");
  EXPECT_EQ(Pass(stream, "three\n\nfour\nfi").value(), "three\n\nfour\n");
  EXPECT_EQ(Pass(stream, "ve\n").value(), "five\n");
  EXPECT_EQ(Pass(stream, "six\nlast").value(), "six\n");
  ASSERT_TRUE(stream.peer.Send(kEndOfBody));
  EXPECT_EQ(NextLines(stream).value(), "last");
  EXPECT_EQ(NextLines(stream).value(), "");
  stream.exchange->End({.body = "done\n"});
  EXPECT_THAT(stream.peer.ReadUntil("done\n"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpExchangeTest, LinesKeepTheirRoomUntilTheNextAreAskedFor) {
  StreamsServer server({.body_bytes_max = 1'000, .all_bodies_bytes_max = 2'000});
  const std::string line = std::string(899, 'x') + "\n";
  const OpenStream first = server.Open();
  const OpenStream second = server.Open();
  EXPECT_TRUE(Pass(first, line).ok());
  EXPECT_TRUE(Pass(second, line).ok());
  const OpenStream third = server.Open();
  EXPECT_EQ(Pass(third, line).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Pass(first, "short\n").value(), "short\n");
  const OpenStream fourth = server.Open();
  EXPECT_TRUE(Pass(fourth, line).ok());
  // And no longer than the stream.
  fourth.exchange->End({.status = 400, .body = "enough\n"});
  EXPECT_THAT(fourth.peer.ReadUntil("enough\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_TRUE(Pass(server.Open(), line).ok());
}

TEST(HttpExchangeTest, ForRoomTheOldestLineThatIsNotWholeGivesWay) {
  StreamsServer server({.body_bytes_max = 1'000, .all_bodies_bytes_max = 1'500});
  const OpenStream first = server.Open();
  auto lines = AskForLines(*first.exchange);
  ASSERT_TRUE(first.peer.Send(ChunkOf(std::string(900, 'x'))));
  const OpenStream second = server.Open();
  EXPECT_TRUE(Pass(second, std::string(899, 'y') + "\n").ok());
  EXPECT_EQ(lines.get().status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(HttpExchangeTest, AMalformedBodyIsToldFromAPeerThatIsGone) {
  std::atomic<int> cut_off = 0;
  StreamsServer server({.on_cut_off = [&cut_off] { ++cut_off; }});
  const OpenStream malformed = server.Open();
  EXPECT_EQ(Pass(malformed, "a\n").value(), "a\n");
  ASSERT_TRUE(malformed.peer.Send("no size\r\n"));
  const absl::Status status = NextLines(malformed).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("chunk"));
  EXPECT_EQ(cut_off, 1);
  malformed.exchange->End({.status = 400, .body = "malformed\n"});
  EXPECT_THAT(malformed.peer.ReadUntil("malformed\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_TRUE(malformed.peer.IsClosed());

  OpenStream gone = server.Open();
  { const Peer hangs_up = std::move(gone.peer); }
  EXPECT_EQ(NextLines(gone).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(cut_off, 1);
}

TEST(HttpExchangeTest, TheLastAnswerReachesAPeerThatSendsOn) {
  StreamsServer server({.body_bytes_max = 100'000});
  const OpenStream stream = server.Open();
  EXPECT_EQ(Pass(stream, "a\n").value(), "a\n");
  std::promise<bool> is_written;
  stream.exchange->Write({.body = "A\n"}, [&](bool written) { is_written.set_value(written); });
  EXPECT_TRUE(is_written.get_future().get());
  auto lines = AskForLines(*stream.exchange);
  ASSERT_TRUE(stream.peer.Send(ChunkOf(std::string(20'000, 'x'))));
  stream.exchange->End({.body = "Z\n"});
  EXPECT_EQ(lines.get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(stream.peer.ReadUntil(kEndOfBody), EndsWith("2\r\nA\n\r\n2\r\nZ\n\r\n0\r\n\r\n"));
  EXPECT_TRUE(stream.peer.IsClosed());
}

TEST(HttpExchangeTest, WhoWaitsForLinesIsToldThatTheConnectionGaveWay) {
  StreamsServer server({.connections_max = 1});
  const OpenStream first = server.Open();
  auto lines = AskForLines(*first.exchange);
  const OpenStream second = server.Open();
  EXPECT_EQ(lines.get().status().code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(first.peer.IsClosed());
  EXPECT_EQ(Pass(second, "a\n").value(), "a\n");
}

}  // namespace
}  // namespace groundswell
