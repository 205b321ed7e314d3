#include "server/process/http_endpoint.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace groundswell {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// Sends `request` to 127.0.0.1 and returns all that comes back; "" when nobody listens.
std::string Exchange(int port, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) == std::ssize(request)) {
    char buffer[4096];
    for (ssize_t got; (got = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(got));
    }
  }
  close(fd);
  return answer;
}

std::string Get(int port, const std::string& path) {
  return Exchange(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

HttpEndpoint::Sources Fixed(std::string metrics = "a 1\n", std::string reason = "") {
  return {[metrics] { return metrics; }, [reason] { return reason; }};
}

std::unique_ptr<HttpEndpoint> StartOrDie(HttpEndpoint::Sources sources) {
  auto endpoint = HttpEndpoint::Start("127.0.0.1:0", std::move(sources));
  EXPECT_TRUE(endpoint.ok()) << endpoint.status();
  return std::move(endpoint).value();
}

TEST(HttpEndpointTest, APortInUseIsAnErrorThatNamesItAndTheRemedy) {
  const auto first = StartOrDie(Fixed());
  const std::string address = "127.0.0.1:" + std::to_string(first->port());
  const absl::Status status = HttpEndpoint::Start(address, Fixed()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(address));
  EXPECT_THAT(std::string(status.message()), HasSubstr("not in use"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("Address already in use"));
}

TEST(HttpEndpointTest, AnAddressThatIsNoneIsAnError) {
  for (const char* address : {"nonsense", "127.0.0.1:99999", "256.1.1.1:0", ""}) {
    EXPECT_FALSE(HttpEndpoint::Start(address, Fixed()).ok()) << address;
  }
}

TEST(HttpEndpointTest, UnknownPathsAndBrokenRequestsAreRefused) {
  const auto endpoint = StartOrDie(Fixed());
  EXPECT_THAT(Get(endpoint->port(), "/"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get(endpoint->port(), "/../../etc/passwd"), ::testing::Not(HasSubstr("root:")));
  EXPECT_THAT(Exchange(endpoint->port(), "\x16\x03\x01 nonsense\r\n\r\n"),
              ::testing::Not(HasSubstr("200 OK")));
  EXPECT_THAT(Get(endpoint->port(), "/healthz"), StartsWith("HTTP/1.1 200")) << "still serving";
}

TEST(HttpEndpointTest, NotReadyIs503WithTheReason) {
  std::atomic<bool> ready = false;
  const auto endpoint = StartOrDie(
      {[] { return std::string(); },
       [&ready] { return ready ? std::string() : std::string("log is being applied"); }});
  const std::string answer = Get(endpoint->port(), "/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("log is being applied"));
  EXPECT_THAT(Get(endpoint->port(), "/healthz"), StartsWith("HTTP/1.1 200"));
  ready = true;
  EXPECT_THAT(Get(endpoint->port(), "/readyz"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpEndpointTest, AnExceptionBecomesA500) {
  const auto endpoint = StartOrDie(
      {[]() -> std::string { throw std::runtime_error("no metrics"); }, [] { return ""; }});
  EXPECT_THAT(Get(endpoint->port(), "/metrics"), StartsWith("HTTP/1.1 500"));
}

TEST(HttpEndpointTest, MetricsHaveThePrometheusContentTypeAndTheWholeBody) {
  const std::string body(300'000, 'x');
  const auto endpoint = StartOrDie(Fixed(body));
  const std::string answer = Get(endpoint->port(), "/metrics");
  EXPECT_THAT(answer.substr(0, 300), HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n" + body));
}

TEST(HttpEndpointTest, ManyClientsAtOnceAreAllAnswered) {
  const auto endpoint = StartOrDie(Fixed());
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        if (Get(endpoint->port(), "/metrics").ends_with("a 1\n")) ++answered;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 80);
}

}  // namespace
}  // namespace groundswell
