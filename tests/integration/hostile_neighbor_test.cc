// Peers without credentials on both ports of one server: more than it has descriptors for, silent,
// slow, hasty and half-closed ones. Honest calls go on beside each, and what they took comes back.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "tests/integration/sample_server.h"
#include "tests/support/sanitized.h"

namespace groundswell {
namespace {

constexpr int kDescriptors = 256;
constexpr int kBurst = 400;  // more connections than that
constexpr int kPeers = 40;

// A connection that says what it is told to, and reads only when it is told to.
class Peer {
 public:
  explicit Peer(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Peer() { close(socket_); }
  Peer(Peer&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), is_connected_(other.is_connected_) {}
  Peer& operator=(Peer&&) = delete;

  // False when the server has hung up, or does not read.
  bool Say(std::string_view bytes) const {
    while (is_connected_ && !bytes.empty()) {
      pollfd waiting{.fd = socket_, .events = POLLOUT, .revents = 0};
      if (poll(&waiting, 1, 1'000) <= 0) return false;
      const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return is_connected_;
  }
  void Drain() const {
    char buffer[16'384];
    while (recv(socket_, buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
    }
  }
  void HalfClose() const { shutdown(socket_, SHUT_WR); }

 private:
  int socket_;
  bool is_connected_;
};

// HTTP/2, RFC 9113 and 7541.
constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum class Type : char { kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6 };
constexpr char kEndHeaders = 4;

std::string Frame(Type type, char flags, uint32_t stream, std::string_view payload = {}) {
  std::string frame;
  for (const int shift : {16, 8, 0}) frame.push_back(static_cast<char>(payload.size() >> shift));
  frame.push_back(static_cast<char>(type));
  frame.push_back(flags);
  for (const int shift : {24, 16, 8, 0}) frame.push_back(static_cast<char>(stream >> shift));
  return frame.append(payload);
}

std::string Literal(std::string_view text) {
  return std::string(1, static_cast<char>(text.size())).append(text);
}

// The begin of a call, whose messages never come.
std::string BeginOfCall(uint32_t stream) {
  std::string headers = "\x83\x86";  // :method POST, :scheme http
  headers += '\x04' + Literal("/groundswell.v1.InteractionService/Ingest");
  headers += '\x01' + Literal("localhost");
  headers += "\x0f\x10" + Literal("application/grpc");
  headers += std::string(1, '\0') + Literal("te") + Literal("trailers");
  return Frame(Type::kHeaders, kEndHeaders, stream, headers);
}

std::string Greeting() { return kPreface + Frame(Type::kSettings, 0, 0); }

class HostileNeighborTest : public testing::Test {
 protected:
  struct Figures {
    size_t descriptors = 0;
    int64_t threads = 0;
    int64_t resident_kb = 0;
  };

  HostileNeighborTest() {
    ImportSample(directory_.File("db"));
    const std::string limit = std::to_string(kDescriptors);
    server_.emplace(
        directory_.File("db"), std::vector<std::string>{}, Environment{},
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
    EXPECT_TRUE(Becomes([&] { return IsReady(); })) << HttpGet(server_->http_port(), "/readyz");
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

#ifdef GROUNDSWELL_SANITIZED  // what is freed is kept for a while
  static constexpr bool kSanitized = true;
#else
  static constexpr bool kSanitized = false;
#endif
  TemporaryDirectory directory_;
  std::optional<ServerProcess> server_;
  std::optional<Stubs> stubs_;
  Figures before_;
  int recorded_ = 0;
};

TEST_F(HostileNeighborTest, MoreConnectionsThanDescriptors) {
  {
    const std::vector<Peer> peers = Connect(kBurst / 2, "", "");
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
                           Frame(Type::kReset, 0, stream, std::string_view("\0\0\0\x08", 4)));
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
        listens = peer.Say(Frame(Type::kPing, 0, 0, "01234567"));
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
  bomb.set_user_id(std::string(3 << 20, 'u'));
  for (int i = 0; i < 10; ++i) {
    const auto context = NewContext();
    context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
    v1::RecommendResponse response;
    EXPECT_EQ(stubs_->recommend->Recommend(context.get(), bomb, &response).error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
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
