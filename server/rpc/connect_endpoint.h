// ConnectEndpoint: the services for whoever does not speak gRPC: the Connect protocol for unary
// calls (connectrpc.com/docs/protocol), as JSON or protobuf over HTTP/1.1.
//
//   POST /groundswell.v1.RecommendationService/Recommend      {"userId": "17850", "pageSize": 10}
//
// Each call goes on to the gRPC server of this process, over a channel that has no socket: so
// rights, limits, deadlines, checks, error details, metrics and traces are those of gRPC, and there
// is one of each.
//
//   request   Content-Type application/json or application/proto; `Authorization`, `traceparent`
//             and `groundswell-answer-bytes-max` go along, `Connect-Timeout-Ms` becomes the
//             deadline, and a client's certificate is vouched for. JSON is protobuf's own mapping;
//             a field that the message does not have is an error. A long body of it is read on a
//             thread of its own, and beyond 250,000 commas and brackets not at all.
//   answer    200 and the message in the request's form; else the status that Connect has for the
//             code, and {"code", "message", "details": [{"type", "value", "debug"}]} as JSON;
//             Retry-After where the error has a RetryInfo.
//   streams   Ingest takes application/x-ndjson, an IngestRequest on each line, and answers with
//             an IngestResponse on each, and UpsertItems likewise; a stream that broke ends with a
//             line of its error, as {"error": ...}. A body whose length is said, and no longer than
//             a message may be, is read whole before its first line counts. Any other is a stream:
//             lines count as they come, and are answered meanwhile, for as long as both sides like
//             (server/rpc/connect_streams). ReadLog is for gRPC alone.
//   GET       /openapi.json (server/rpc/openapi.h), /console (server/rpc/console_pages.h)
//
// Browsers of other origins are let in by Options.origins.
#ifndef GROUNDSWELL_SERVER_RPC_CONNECT_ENDPOINT_H_
#define GROUNDSWELL_SERVER_RPC_CONNECT_ENDPOINT_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/channel.h"
#include "server/process/http_server.h"

namespace groundswell {

class ConnectCalls;

class ConnectEndpoint {
 public:
  struct Options {
    std::string address;
    size_t connections_max = 1'024;
    size_t message_bytes_max = size_t{4} << 20;
    std::chrono::milliseconds transfer{30'000};
    std::chrono::milliseconds idle{75'000};
    // That a browser may call from, e.g. "https://shop.example"; "*": any.
    std::vector<std::string> origins;
    bool console = false;  // whether GET /console is answered
    std::function<void()> on_cut_off = [] {};
    std::shared_ptr<const HttpTls> tls = nullptr;  // null: plain text
    // Whether a method may be called by whoever sends this request: asked before a body is read as
    // JSON. An error is the caller's answer.
    std::function<absl::Status(const google::protobuf::MethodDescriptor&, const HttpRequest&)>
        admit = [](const auto&, const HttpRequest&) { return absl::OkStatus(); };
    // What is said of the caller's certificate, which has these names, in the metadata of the call
    // that is made for them; empty: nothing.
    std::function<std::string(const std::vector<std::string>&)> vouch = [](const auto&) {
      return std::string();
    };
  };

  // `services`: full names of those that `channel` reaches and that may be called here. Unavailable
  // as HttpServer::Start.
  static absl::StatusOr<std::unique_ptr<ConnectEndpoint>> Start(
      const Options& options, std::shared_ptr<grpc::Channel> channel,
      const std::vector<std::string>& services);
  ~ConnectEndpoint();

  // Takes no new connections and requests, and begins no more calls once it has returned: bodies
  // that wait to be read are answered UNAVAILABLE. The calls that are under way end with the gRPC
  // server, which must be there until then; their answers are still sent until this is destroyed.
  void StopAccepting();
  int port() const { return server_->port(); }

 private:
  ConnectEndpoint(std::unique_ptr<ConnectCalls> calls, std::unique_ptr<HttpServer> server);

  std::unique_ptr<ConnectCalls> calls_;
  std::unique_ptr<HttpServer> server_;  // last: its handler uses the calls
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_CONNECT_ENDPOINT_H_
