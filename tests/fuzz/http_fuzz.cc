// What a peer sends to the HTTP address of the services: through the reader of HTTP, what stands
// before a call, and the reader of JSON, up to gRPC, which knows no service here.
#include <arpa/inet.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/rpc/connect_endpoint.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {
namespace {

// Lives as long as the process.
struct HttpUnderTest {
  grpc::CallbackGenericService unimplemented;  // all calls
  std::unique_ptr<grpc::Server> grpc;
  std::unique_ptr<ConnectEndpoint> endpoint;
};

int PortUnderTest() {
  static const HttpUnderTest* const served = [] {
    auto* made = new HttpUnderTest;
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(&made->unimplemented);
    made->grpc = builder.BuildAndStart();
    Require(made->grpc != nullptr, "gRPC starts");
    auto started = ConnectEndpoint::Start(
        {.address = "127.0.0.1:0",
         .message_bytes_max = 32'768,
         .origins = {"https://a.example"},
         .console = true},
        made->grpc->InProcessChannel({}),
        {"groundswell.v1.RecommendationService", "groundswell.v1.InteractionService"});
    Require(started.ok(), "the endpoint starts");
    made->endpoint = *std::move(started);
    return made;
  }();
  return served->endpoint->port();
}

// What is answered to a peer that sends these bytes and no more.
std::string AnswersTo(std::string_view bytes) {
  const int peer = ::socket(AF_INET, SOCK_STREAM, 0);
  Require(peer >= 0, "there is a socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(PortUnderTest()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Require(::connect(peer, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0,
          "connections are taken");
  // What was refused in its middle may not be taken to its end.
  while (!bytes.empty()) {
    const ssize_t sent = ::send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  ::shutdown(peer, SHUT_WR);
  std::string answers;
  char piece[4'096];
  for (ssize_t got = 0; (got = ::recv(peer, piece, sizeof(piece), 0)) > 0;) {
    answers.append(piece, static_cast<size_t>(got));
  }
  ::close(peer);
  return answers;
}

std::string Post(std::string_view call, std::string_view fields, std::string_view body) {
  return "POST /groundswell.v1." + std::string(call) + " HTTP/1.1\r\nHost: a\r\n" +
         std::string(fields) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

}  // namespace

std::vector<std::string> SeedCorpus() {
  const std::string recommend = Post(
      "RecommendationService/Recommend",
      "Content-Type: application/json\r\nConnect-Timeout-Ms: 100\r\nAuthorization: Bearer x\r\n"
      "Origin: https://a.example\r\ntraceparent: "
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      R"({"userId": "u1", "pageSize": 3, "filter": {"categories": ["a"]}})");
  const std::string ingest = Post(
      "InteractionService/Ingest", "Content-Type: application/x-ndjson",
      "{\"interactions\": [{\"eventId\": \"e\", \"eventTime\": \"2011-12-09T12:00:00Z\"}]}\n{}\n");
  const std::string chunked =
      "POST /groundswell.v1.RecommendationService/Recommend HTTP/1.1\r\nHost: a\r\n"
      "Content-Type: application/proto\r\nTransfer-Encoding: chunked\r\nExpect: "
      "100-continue\r\n\r\n"
      "4;a=b\r\n\x0a\x02u1\r\n0\r\nX: y\r\n\r\n";
  const std::string lines =
      "POST /groundswell.v1.InteractionService/Ingest HTTP/1.1\r\nHost: a\r\n"
      "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\n{}\n\r\n4\r\n{}\n{\r\n2\r\n}\n\r\n0\r\n\r\n";
  // Long enough to be read on a thread of its own.
  const std::string long_body =
      Post("RecommendationService/Recommend", "Content-Type: application/json",
           R"({"userId": "u1"})" + std::string(9'000, ' '));
  const std::string malformed_lines = lines.substr(0, lines.size() - 5) + "no size\r\n";
  // Likewise.
  const std::string long_line = lines.substr(0, lines.size() - 5) + "2402\r\n{}" +
                                std::string(0x2400, ' ') + "\r\n1\r\n\n\r\n0\r\n\r\n";
  return {recommend,
          ingest,
          chunked,
          lines,
          lines + recommend,
          malformed_lines,
          long_line,
          long_body,
          "GET /console HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET /openapi.json?a=b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
          "OPTIONS /x HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n" + chunked};
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  const std::string answers = AnswersTo(AsText(data, size));
  Require(answers.empty() || answers.starts_with("HTTP/1."), "an answer is HTTP");
  return 0;
}
