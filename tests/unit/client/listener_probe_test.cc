#include "client/listener_probe.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "groundswell/v1/interaction.grpc.pb.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

constexpr std::chrono::seconds kPatience{60};

// Answers one connection with a fixed text, whatever it says.
class FixedListener {
 public:
  explicit FixedListener(std::string answer) : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this, answer = std::move(answer)] {
      const int peer = accept(listener_, nullptr, nullptr);
      char question[64];
      EXPECT_GT(recv(peer, question, sizeof(question), 0), 0);
      EXPECT_EQ(send(peer, answer.data(), answer.size(), MSG_NOSIGNAL), std::ssize(answer));
      close(peer);
    });
  }
  ~FixedListener() {
    thread_.join();
    close(listener_);
  }
  const std::string& address() const { return address_; }

 private:
  const int listener_;
  std::string address_;
  std::thread thread_;
};

TEST(ListenerProbeTest, HttpTlsAndOthersAreTold) {
  const std::string http = "HTTP/1.1 404 Not Found\r\n\r\n";
  EXPECT_EQ(ProbeListener(FixedListener(http).address(), kPatience), ListenerKind::kHttp);
  const std::string alert("\x15\x03\x01\x00\x02\x02\x46", 7);
  EXPECT_EQ(ProbeListener(FixedListener(alert).address(), kPatience), ListenerKind::kTls);
  EXPECT_EQ(ProbeListener(FixedListener("220 smtp").address(), kPatience), ListenerKind::kUnknown);
  EXPECT_EQ(ProbeListener(FixedListener("").address(), kPatience), ListenerKind::kTls);
  EXPECT_EQ(ProbeListener("127.0.0.1:1", kPatience), ListenerKind::kNone);
  EXPECT_EQ(ProbeListener("nonsense", kPatience), ListenerKind::kNone);
  const FixedListener advised(http);
  EXPECT_THAT(WhyUnavailable({.address = advised.address()}), HasSubstr("7100"));
  EXPECT_THAT(WhyUnavailable({.address = "127.0.0.1:1"}), HasSubstr("is it running?"));
}

TEST(ListenerProbeTest, AServerOfGrpcIsTold) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  v1::InteractionService::Service service;
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const std::string address = "127.0.0.1:" + std::to_string(port);
  EXPECT_EQ(ProbeListener(address, kPatience), ListenerKind::kGrpc);
  EXPECT_THAT(WhyUnavailable({.address = address, .ca_file = "ca.pem"}), HasSubstr("plain text"));
  server->Shutdown();
}

TEST(ListenerProbeTest, AnAddressOfAnotherKindIsRefusedWithTheRightOne) {
  for (const auto& [address, part] :
       std::vector<std::pair<std::string, std::string>>{{"http://shop:7100/", "it is shop:7100"},
                                                        {"https://shop:7100", "it is shop:7100"},
                                                        {"localhost", "without a port"},
                                                        {"[::1]", "without a port"}}) {
    const auto channel = MakeChannel({.address = address}, {});
    EXPECT_EQ(channel.status().code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(channel.status().message()), HasSubstr(part));
  }
  for (const char* address : {"localhost:7100", "[::1]:7100", "unix:/run/socket", "dns:///a:1"}) {
    EXPECT_TRUE(MakeChannel({.address = address}, {}).ok()) << address;
  }
}

}  // namespace
}  // namespace groundswell
