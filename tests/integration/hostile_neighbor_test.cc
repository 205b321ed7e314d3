// Peers without credentials on all ports of one server: more than it has descriptors for, silent,
// slow, hasty and half-closed ones. Honest calls go on beside each, and what they took comes back.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "tests/integration/raw_peer.h"
#include "tests/integration/sample_server.h"
#include "tests/support/sanitized.h"

namespace groundswell {
namespace {

constexpr int kDescriptors = 256;
constexpr int kBurst = 400;  // more connections than that
constexpr int kPeers = 40;

constexpr char kRecommendPath[] = "/groundswell.v1.RecommendationService/Recommend";

std::string PostTo(const std::string& path, const std::string& fields, std::string_view body,
                   size_t bytes_to_come = 0) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
         "Connect-Timeout-Ms: 300000\r\n" + fields +
         "Content-Length: " + std::to_string(body.size() + bytes_to_come) + "\r\n\r\n" +
         std::string(body);
}

class HostileNeighborTest : public testing::Test {
 protected:
  struct Figures {
    size_t descriptors = 0;
    int64_t threads = 0;
    int64_t resident_kb = 0;
    int64_t most_kb = 0;  // that it ever was
  };

  HostileNeighborTest() {
    ImportSample(directory_.File("db"));
    const std::string limit = std::to_string(kDescriptors);
    server_.emplace(
        directory_.File("db"), std::vector<std::string>{"--server.connect_address=127.0.0.1:0"},
        Environment{},
        std::vector<std::string>{"/usr/bin/prlimit", "--nofile=" + limit + ":" + limit, "--"});
    stubs_.emplace(server_->grpc_address());
    for (int i = 0; i < 20; ++i) ExpectHonestCalls();  // what is made once is made
    before_ = Read();
  }

  Figures Read() const {
    const std::string process = "/proc/" + std::to_string(server_->pid());
    Figures figures;
    for (const auto& entry : std::filesystem::directory_iterator(process + "/fd")) {
      figures.descriptors += entry.is_symlink() ? 1 : 0;
    }
    std::ifstream status(process + "/status");
    for (std::string word; status >> word;) {
      if (word == "Threads:") status >> figures.threads;
      if (word == "VmRSS:") status >> figures.resident_kb;
      if (word == "VmHWM:") status >> figures.most_kb;
    }
    return figures;
  }

  void ExpectHonestCalls() {
    v1::RecommendRequest recommend;
    recommend.set_user_id(kCustomer);
    v1::RecommendResponse list;
    const grpc::Status read = stubs_->recommend->Recommend(NewContext().get(), recommend, &list);
    EXPECT_TRUE(read.ok()) << read.error_message();
    v1::RecordInteractionRequest record;
    *record.mutable_interaction() =
        NewInteraction("honest-" + std::to_string(++recorded_), "honest", kItem);
    v1::RecordInteractionResponse recorded;
    const grpc::Status written =
        stubs_->interaction->RecordInteraction(NewContext().get(), record, &recorded);
    EXPECT_TRUE(written.ok()) << written.error_message();
    ExpectAnHonestPost();
    EXPECT_TRUE(Becomes([&] { return IsReady(); })) << HttpGet(server_->http_port(), "/readyz");
  }

  void ExpectAnHonestPost() const {
    const Peer peer(server_->connect_port());
    const std::string body = "{\"userId\": \"" + std::string(kCustomer) + "\"}";
    peer.Say(PostTo(kRecommendPath, "Connection: close\r\n", body));
    EXPECT_EQ(peer.HearToTheEnd().substr(0, 12), "HTTP/1.1 200");
  }

  bool IsReady() const {
    return HttpGet(server_->http_port(), "/readyz").find(" 200 ") != std::string::npos;
  }

  // Within a few descriptors, threads and 64 MiB of what it was.
  void ExpectEverythingComesBack() {
    Figures now;
    EXPECT_TRUE(Becomes([&] {
      now = Read();
      return now.descriptors <= before_.descriptors + 8 && now.threads <= before_.threads + 8 &&
             (kSanitized || now.resident_kb <= before_.resident_kb + 64 * 1024);
    })) << "descriptors "
        << before_.descriptors << " -> " << now.descriptors << ", threads " << before_.threads
        << " -> " << now.threads << ", KiB " << before_.resident_kb << " -> " << now.resident_kb;
    // A connection that is made now is served.
    Stubs fresh(server_->grpc_address());
    v1::ServerStatus status;
    const auto context = NewContext();
    context->set_wait_for_ready(true);
    const grpc::Status answered = fresh.admin->GetServerStatus(context.get(), {}, &status);
    EXPECT_TRUE(answered.ok()) << answered.error_message();
    ExpectHonestCalls();
  }

  // `count` of them on each of the ports; what the ones on the HTTP port say is not HTTP/2.
  std::vector<Peer> Connect(int count, std::string_view to_grpc, std::string_view to_http) const {
    std::vector<Peer> peers;
    for (int i = 0; i < count; ++i) {
      peers.emplace_back(server_->grpc_port()).Say(to_grpc);
      peers.emplace_back(server_->http_port()).Say(to_http);
    }
    return peers;
  }

  TemporaryDirectory directory_;
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
  Figures before_;
  int recorded_ = 0;
};

TEST_F(HostileNeighborTest, MoreConnectionsThanDescriptors) {
  {
    const std::vector<Peer> peers = Connect(kBurst / 2, "", "");
    EXPECT_TRUE(Becomes([&] {
      const Peer one_more(server_->grpc_port());
      return HttpGet(server_->http_port(), "/readyz").find("turned away") != std::string::npos;
    })) << "who would connect now should be sent elsewhere";
    ExpectHonestCalls();
    EXPECT_LE(Read().descriptors, static_cast<size_t>(kDescriptors));
  }
  ExpectEverythingComesBack();
}

TEST_F(HostileNeighborTest, SilentPeers) {
  {
    const std::vector<Peer> peers = Connect(kPeers, Greeting(), "GET /metrics HTTP/1.1\r\nHost: x");
    ExpectHonestCalls();
  }
  ExpectEverythingComesBack();
}

TEST_F(HostileNeighborTest, SlowPeers) {
  {
    const std::vector<Peer> peers = Connect(kPeers, "", "");
    const std::string http = "GET /metrics HTTP/1.1\r\nHost: x\r\nA: ";
    for (size_t at = 0; at < http.size(); at += 4) {
      for (size_t i = 0; i < peers.size(); ++i) {
        peers[i].Say(std::string_view(i % 2 == 0 ? kPreface : http).substr(at % 24, 1));
      }
    }
    ExpectHonestCalls();
  }
  ExpectEverythingComesBack();
}

TEST_F(HostileNeighborTest, CallsThatAreResetAtOnce) {
  constexpr int kCalls = 500;
  {
    std::vector<Peer> peers;
    for (int i = 0; i < 4; ++i) peers.emplace_back(server_->grpc_port());
    for (const Peer& peer : peers) {
      bool listens = peer.Say(Greeting());
      for (uint32_t call = 0; listens && call < kCalls; ++call) {
        const uint32_t stream = 2 * call + 1;
        listens = peer.Say(BeginOfCall(stream) +
                           Frame(FrameType::kReset, 0, stream, std::string_view("\0\0\0\x08", 4)));
        peer.Drain();
      }
      ExpectHonestCalls();
    }
  }
  ExpectEverythingComesBack();
}

TEST_F(HostileNeighborTest, PingsWithoutEnd) {
  {
    std::vector<Peer> peers;
    for (int i = 0; i < 4; ++i) peers.emplace_back(server_->grpc_port());
    for (const Peer& peer : peers) {
      bool listens = peer.Say(Greeting());
      // The answers are not fetched.
      for (int i = 0; listens && i < 3'000; ++i) {
        listens = peer.Say(Frame(FrameType::kPing, 0, 0, "01234567"));
      }
      ExpectHonestCalls();
    }
  }
  ExpectEverythingComesBack();
}

TEST_F(HostileNeighborTest, HalfClosedConnections) {
  {
    const std::vector<Peer> peers =
        Connect(kPeers, Greeting() + BeginOfCall(1), "GET /metrics HTTP/1.1\r\n");
    for (const Peer& peer : peers) peer.HalfClose();
    ExpectHonestCalls();
  }
  ExpectEverythingComesBack();
}

TEST_F(HostileNeighborTest, CallsThatNeverSayAnything) {
  {
    const std::vector<Peer> peers = Connect(kPeers, "", "GET /");
    for (size_t i = 0; i < peers.size(); i += 2) {
      bool listens = peers[i].Say(Greeting());
      for (uint32_t call = 0; listens && call < 60; ++call) {
        listens = peers[i].Say(BeginOfCall(2 * call + 1));
      }
    }
    ExpectHonestCalls();
  }
  ExpectEverythingComesBack();
}

TEST_F(HostileNeighborTest, MessagesThatWouldBeInflated) {
  v1::RecommendRequest bomb;
  bomb.set_user_id(std::string(100 << 20, 'u'));
  for (int i = 0; i < 3; ++i) {
    const auto context = NewContext();
    context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
    v1::RecommendResponse response;
    EXPECT_EQ(stubs_->recommend->Recommend(context.get(), bomb, &response).error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
  }
  EXPECT_TRUE(kSanitized || Read().most_kb <= before_.most_kb + 64 * 1024);
  ExpectEverythingComesBack();
}

TEST_F(HostileNeighborTest, BodiesThatNeverCome) {
  {
    std::vector<Peer> peers;
    for (int i = 0; i < 4 * kPeers; ++i) {
      peers.emplace_back(server_->connect_port()).Say(PostTo(kRecommendPath, "", "{", 4'000'000));
    }
    ExpectHonestCalls();
  }
  ExpectEverythingComesBack();
}

TEST_F(HostileNeighborTest, BodiesThatAreNearlyThere) {
  const std::string nearly(4'000'000, ' ');
  {
    std::vector<Peer> peers;
    for (int i = 0; i < kPeers; ++i) {
      peers.emplace_back(server_->connect_port()).Say(PostTo(kRecommendPath, "", nearly, 1));
      if (i % 10 == 0) ExpectHonestCalls();
    }
    ExpectHonestCalls();
    // What gave way goes back to the system after a while.
    EXPECT_TRUE(kSanitized ||
                Becomes([&] { return Read().resident_kb <= before_.resident_kb + 128 * 1024; }));
  }
  ExpectEverythingComesBack();
}

TEST_F(HostileNeighborTest, JsonThatTakesLongToRead) {
  std::string body = R"({"requests":[)";
  while (body.size() < 300'000) body += "{},";
  body += "{}]}";
  {
    std::vector<Peer> peers;
    for (int i = 0; i < 8; ++i) {
      peers.emplace_back(server_->connect_port())
          .Say(PostTo("/groundswell.v1.RecommendationService/BatchRecommend", "", body));
    }
    ExpectAnHonestPost();
    EXPECT_EQ(peers.back().Hear(0), "") << "a short request waits for none of them";
    ExpectHonestCalls();
  }
  ExpectEverythingComesBack();
}

// A test that ends by a signal leaves no server behind.
TEST(ServerProcessDeathTest, AServerEndsWithWhoStartedIt) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const std::string port_file = testing::TempDir() + "port-of-a-server";
  EXPECT_EXIT(
      {
        TemporaryDirectory directory;
        ImportSample(directory.File("db"));
        ServerProcess server(directory.File("db"));
        std::ofstream(port_file) << server.http_port() << std::flush;
        std::filesystem::remove_all(directory.File("db"));
        _exit(HttpGet(server.http_port(), "/healthz").empty() ? 2 : 0);
      },
      testing::ExitedWithCode(0), "");
  int port = 0;
  std::ifstream(port_file) >> port;
  std::filesystem::remove(port_file);
  ASSERT_GT(port, 0);
  EXPECT_TRUE(Becomes([port] { return HttpGet(port, "/healthz").empty(); }));
}

}  // namespace
}  // namespace groundswell
