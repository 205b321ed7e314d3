#include "server/rpc/connect_endpoint.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/process/work_thread.h"
#include "server/rpc/access.h"
#include "server/rpc/connect_errors.h"
#include "server/rpc/connect_json.h"
#include "server/rpc/connect_streams.h"
#include "server/rpc/console_pages.h"
#include "server/rpc/openapi.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using std::chrono::system_clock;

using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr std::string_view kJsonType = "application/json";
constexpr std::string_view kProtoType = "application/proto";
constexpr std::string_view kOpenApiPath = "/openapi.json";
constexpr char kAnswerBytesField[] = "groundswell-answer-bytes-max";
// What goes along as metadata.
constexpr std::array<const char*, 4> kForwarded = {"authorization", "traceparent", "tracestate",
                                                   kAnswerBytesField};
constexpr size_t kTimeoutDigitsMax = 10;  // Connect's own
constexpr char kAllowedFields[] =
    "authorization, content-type, connect-protocol-version, connect-timeout-ms, traceparent, "
    "tracestate, groundswell-answer-bytes-max";

grpc::Status BadField(std::string_view field, std::string_view value, std::string_view remedy) {
  return ToGrpcStatus(InvalidField(field, value, remedy));
}

// Of a Content-Type, without its parameters.
std::string MediaType(std::string_view value) {
  std::string type;
  for (const char c : value.substr(0, value.find(';'))) {
    if (c != ' ' && c != '\t') type += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return type;
}

// gRPC ends the process over metadata of other bytes.
bool IsMetadataValue(std::string_view value) {
  return std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~'; });
}

grpc::Status ReadTimeout(std::string_view value, system_clock::time_point arrived,
                         grpc::ClientContext& context) {
  if (value.empty()) return grpc::Status::OK;
  int64_t ms = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), ms);
  if (value.size() > kTimeoutDigitsMax || error != std::errc() ||
      end != value.data() + value.size() || ms < 0) {
    return BadField("Connect-Timeout-Ms", value, "must be a whole number of at most 10 digits");
  }
  // An answer in no time would be in time for a clock that is read now and then.
  if (ms == 0) return {grpc::StatusCode::DEADLINE_EXCEEDED, "Connect-Timeout-Ms is 0"};
  context.set_deadline(arrived + std::chrono::milliseconds(ms));
  return grpc::Status::OK;
}

// The time that the caller gives it counts from when it arrived.
grpc::Status FillContext(const HttpRequest& request, system_clock::time_point arrived,
                         grpc::ClientContext& context) {
  const std::string_view version = request.Field("connect-protocol-version");
  if (!version.empty() && version != "1") {
    return BadField("Connect-Protocol-Version", version, "must be 1");
  }
  for (const char* const name : kForwarded) {
    const std::string_view value = request.Field(name);
    if (!IsMetadataValue(value)) return BadField(name, value, "must be printable ASCII");
    if (!value.empty()) context.AddMetadata(name, std::string(value));
  }
  // A client of HTTP has no limit of its own for the size of an answer.
  if (request.Field(kAnswerBytesField).empty()) {
    context.AddMetadata(kAnswerBytesField, std::to_string(std::numeric_limits<int32_t>::max()));
  }
  return ReadTimeout(request.Field("connect-timeout-ms"), arrived, context);
}

// A unary call, from its request to its answer.
struct ConnectCall {
  explicit ConnectCall(std::shared_ptr<grpc::Channel> channel) : stub(std::move(channel)) {}

  void Finish(const grpc::Status& status) {
    if (!status.ok()) return answer(ConnectError(status));
    if (!as_json) {
      return answer({.body = ToBytes(response), .content_type = std::string(kProtoType)});
    }
    HttpAnswer made{.content_type = std::string(kJsonType)};
    const grpc::Status printed = ToJson(response, *method->output_type(), made.body);
    answer(printed.ok() ? std::move(made) : ConnectError(printed));
  }

  grpc::GenericStub stub;
  grpc::ClientContext context;
  const MethodDescriptor* method = nullptr;
  bool as_json = false;
  HttpServer::Answer answer;
  grpc::ByteBuffer request;
  grpc::ByteBuffer response;
};

HttpAnswer Unimplemented(int status, const std::string& message) {
  HttpAnswer answer = ConnectError({grpc::StatusCode::UNIMPLEMENTED, message});
  answer.status = status;
  return answer;
}

HttpAnswer UnsupportedType(const MethodDescriptor& method, std::string_view type,
                           std::string_view right) {
  HttpAnswer answer = Unimplemented(415, fmt::format("{} takes {}, and not Content-Type {}",
                                                     method.full_name(), right, QuoteValue(type)));
  answer.fields.emplace_back("Accept-Post", right);
  return answer;
}

bool IsPlain(const HttpRequest& request) {
  const std::string encoding = MediaType(request.Field("content-encoding"));
  return encoding.empty() || encoding == "identity";
}

void AddOrigin(const std::string& origin, HttpAnswer& made) {
  made.fields.emplace_back("Access-Control-Allow-Origin", origin);
  made.fields.emplace_back("Access-Control-Expose-Headers", "Retry-After");
  made.fields.emplace_back("Vary", "Origin");
}

// An exchange with a browser's page of another origin.
class ExchangeOfOrigin final : public HttpExchange {
 public:
  ExchangeOfOrigin(std::string origin, std::shared_ptr<HttpExchange> exchange)
      : origin_(std::move(origin)), exchange_(std::move(exchange)) {}

  void ReadLines(OnLines on_lines) override { exchange_->ReadLines(std::move(on_lines)); }
  void StopReading() override { exchange_->StopReading(); }
  void Write(HttpAnswer piece, OnWritten on_written) override {
    AddOrigin(origin_, piece);
    exchange_->Write(std::move(piece), std::move(on_written));
  }
  void End(HttpAnswer answer) override {
    AddOrigin(origin_, answer);
    exchange_->End(std::move(answer));
  }

 private:
  const std::string origin_;
  const std::shared_ptr<HttpExchange> exchange_;
};

}  // namespace

// What is called by which path, and how. Immutable but for its thread.
class ConnectCalls {
 public:
  ConnectCalls(const ConnectEndpoint::Options& options, std::shared_ptr<grpc::Channel> channel,
               const std::vector<std::string>& services)
      : origins_(options.origins),
        console_(options.console),
        admit_(options.admit),
        vouch_(options.vouch),
        channel_(std::move(channel)),
        openapi_(OpenApiDocument(services)) {
    for (const std::string& name : services) {
      const auto* const service =
          google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
      if (service != nullptr) services_.push_back(service);
    }
  }

  // Whether the method is called with lines that come as they are made. Of a header alone.
  bool IsStream(const HttpRequest& request) const {
    const MethodDescriptor* const method = FindMethod(request.path);
    return request.method == "POST" && method != nullptr && method->client_streaming() &&
           method->server_streaming() && MediaType(request.Field("content-type")) == kLinesType &&
           IsPlain(request);
  }

  void HandleStream(const HttpRequest& request, std::shared_ptr<HttpExchange> exchange) {
    const auto arrived = system_clock::now();
    const std::string origin = AllowedOrigin(request.Field("origin"));
    if (!origin.empty()) {
      exchange = std::make_shared<ExchangeOfOrigin>(origin, std::move(exchange));
    }
    const MethodDescriptor& method = *FindMethod(request.path);
    if (const absl::Status s = admit_(method, request); !s.ok()) {
      return exchange->End(ConnectError(ToGrpcStatus(s)));
    }
    auto stream = std::make_unique<ConnectLines>(channel_, method, exchange, reading_, stopping_);
    const grpc::Status status = Fill(request, arrived, stream->context());
    if (!status.ok()) return exchange->End(ConnectError(status));
    stream.release()->Start();
  }

  void Handle(HttpRequest request, HttpServer::Answer answer) {
    const std::string origin = AllowedOrigin(request.Field("origin"));
    if (!origin.empty()) answer = WithOrigin(origin, std::move(answer));
    if (request.method == "OPTIONS") return answer(Preflight(origin));
    if (request.path == kOpenApiPath) return answer(OpenApi(request.method));
    if (console_ && IsConsolePath(request.path)) {
      return answer(ConsoleAnswer(request.method, request.path));
    }
    const MethodDescriptor* const method = FindMethod(request.path);
    if (method == nullptr) {
      return answer(Unimplemented(404, "there is no " + QuoteValue(request.path) +
                                           " here; /openapi.json lists what there is"));
    }
    if (request.method != "POST") {
      HttpAnswer refused = Unimplemented(405, "calls are made by POST");
      refused.fields.emplace_back("Allow", "POST");
      return answer(std::move(refused));
    }
    if (!IsPlain(request)) return answer(Unimplemented(501, "a compressed body is not taken"));
    Call(*method, std::move(request), std::move(answer));
  }

  // When Handle is not called any more. No call begins after it: a channel without a socket ends
  // the process over one when its server has been shut down.
  void Stop() {
    stopping_ = true;
    reading_.Finish();
  }

 private:
  // "*" stands for whoever asks; empty: not allowed, or no browser's call of another origin.
  std::string AllowedOrigin(std::string_view origin) const {
    if (origin.empty()) return "";
    if (std::ranges::find(origins_, "*") != origins_.end()) return "*";
    const auto found = std::ranges::find(origins_, origin);
    return found == origins_.end() ? "" : *found;
  }

  static HttpServer::Answer WithOrigin(const std::string& origin, HttpServer::Answer answer) {
    return [origin, answer = std::move(answer)](HttpAnswer made) {
      AddOrigin(origin, made);
      answer(std::move(made));
    };
  }

  static HttpAnswer Preflight(const std::string& origin) {
    if (origin.empty()) return Unimplemented(403, "no such origin in server.connect_origins");
    return {.status = 204,
            .fields = {{"Access-Control-Allow-Methods", "GET, POST"},
                       {"Access-Control-Allow-Headers", kAllowedFields},
                       {"Access-Control-Max-Age", "7200"}}};
  }

  HttpAnswer OpenApi(std::string_view method) const {
    if (method == "GET" || method == "HEAD") {
      return {.body = openapi_, .content_type = std::string(kJsonType)};
    }
    HttpAnswer refused = Unimplemented(405, "this is read by GET");
    refused.fields.emplace_back("Allow", "GET, HEAD");
    return refused;
  }

  const MethodDescriptor* FindMethod(std::string_view path) const {
    const size_t slash = path.rfind('/');
    if (slash == std::string_view::npos || slash == 0) return nullptr;
    const std::string_view name = path.substr(1, slash - 1);
    const auto service = std::ranges::find(services_, name, &ServiceDescriptor::full_name);
    if (service == services_.end()) return nullptr;
    return (*service)->FindMethodByName(std::string(path.substr(slash + 1)));
  }

  void Call(const MethodDescriptor& method, HttpRequest request, HttpServer::Answer answer) {
    const auto arrived = system_clock::now();
    const std::string type = MediaType(request.Field("content-type"));
    const bool is_stream = method.client_streaming() && method.server_streaming();
    if (!is_stream && (method.client_streaming() || method.server_streaming())) {
      return answer(Unimplemented(501, method.full_name() + " is a stream, for gRPC alone"));
    }
    if (is_stream && type != kLinesType) return answer(UnsupportedType(method, type, kLinesType));
    if (!is_stream && type == kProtoType) {
      return StartUnary(method, /*as_json=*/false, arrived, request, std::move(answer));
    }
    if (!is_stream && type != kJsonType) {
      return answer(UnsupportedType(method, type, "application/json, application/proto"));
    }
    if (const absl::Status s = admit_(method, request); !s.ok()) {
      return answer(ConnectError(ToGrpcStatus(s)));
    }
    if (request.body.size() <= kShortJsonBytes) {
      return ReadAndStart(method, arrived, request, answer);
    }
    reading_.Post([this, &method, arrived, request = std::move(request),
                   answer = std::move(answer)]() mutable {
      if (stopping_) {
        return answer(ConnectError({grpc::StatusCode::UNAVAILABLE, "the server is shutting down"}));
      }
      std::string what = "unknown error";
      try {
        return ReadAndStart(method, arrived, request, answer);
      } catch (const std::exception& e) {
        what = e.what();
      } catch (...) {
      }
      answer(ConnectError({grpc::StatusCode::INTERNAL, what}));
    });
  }

  grpc::Status Fill(const HttpRequest& request, system_clock::time_point arrived,
                    grpc::ClientContext& context) const {
    const std::string vouched = vouch_(request.certificate_names);
    if (!vouched.empty()) context.AddMetadata(AccessControl::kVouchedField, vouched);
    return FillContext(request, arrived, context);
  }

  // Of a body in JSON.
  void ReadAndStart(const MethodDescriptor& method, system_clock::time_point arrived,
                    HttpRequest& request, const HttpServer::Answer& answer) const {
    if (const grpc::Status s = CheckJsonValues(request.body); !s.ok()) {
      return answer(ConnectError(s));
    }
    if (method.client_streaming()) return StartStream(method, arrived, request, answer);
    StartUnary(method, /*as_json=*/true, arrived, request, answer);
  }

  void StartUnary(const MethodDescriptor& method, bool as_json, system_clock::time_point arrived,
                  HttpRequest& request, HttpServer::Answer answer) const {
    auto call = std::make_shared<ConnectCall>(channel_);
    grpc::Status status = Fill(request, arrived, call->context);
    if (status.ok() && as_json) {
      // An empty body is an empty message, which curl -d '' sends.
      status = FromJson(request.body.empty() ? "{}" : request.body, *method.input_type(), "",
                        call->request);
    } else if (status.ok()) {
      call->request = ToBuffer(request.body);
    }
    if (!status.ok()) return answer(ConnectError(status));
    call->method = &method;
    call->as_json = as_json;
    call->answer = std::move(answer);
    call->stub.UnaryCall(&call->context, PathOf(method), {}, &call->request, &call->response,
                         [call](const grpc::Status& result) { call->Finish(result); });
  }

  // All lines are read before the first is sent on: a body that breaks off counts nothing.
  void StartStream(const MethodDescriptor& method, system_clock::time_point arrived,
                   const HttpRequest& request, const HttpServer::Answer& answer) const {
    std::vector<grpc::ByteBuffer> messages;
    const std::string_view body = request.body;
    size_t number = 0;
    for (size_t begin = 0; begin < body.size();) {
      const size_t end = std::min(body.find('\n', begin), body.size());
      const std::string_view line = body.substr(begin, end - begin);
      begin = end + 1;
      ++number;
      if (IsBlank(line)) continue;
      const std::string where = fmt::format("line {}: ", number);
      const grpc::Status read =
          FromJson(line, *method.input_type(), where, messages.emplace_back());
      if (!read.ok()) return answer(ConnectError(read));
    }
    auto stream = std::make_unique<ConnectStream>(channel_, method, std::move(messages), answer);
    const grpc::Status status = Fill(request, arrived, stream->context());
    if (!status.ok()) return answer(ConnectError(status));
    stream.release()->Start();
  }

  const std::vector<std::string> origins_;
  const bool console_;
  const decltype(ConnectEndpoint::Options::admit) admit_;
  const decltype(ConnectEndpoint::Options::vouch) vouch_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::string openapi_;
  std::vector<const ServiceDescriptor*> services_;
  std::atomic<bool> stopping_ = false;
  WorkThread reading_{"connect-json"};  // last: it uses everything above
};

ConnectEndpoint::ConnectEndpoint(std::unique_ptr<ConnectCalls> calls,
                                 std::unique_ptr<HttpServer> server)
    : calls_(std::move(calls)), server_(std::move(server)) {}

ConnectEndpoint::~ConnectEndpoint() = default;

void ConnectEndpoint::StopAccepting() {
  server_->StopAccepting();
  calls_->Stop();
}

absl::StatusOr<std::unique_ptr<ConnectEndpoint>> ConnectEndpoint::Start(
    const Options& options, std::shared_ptr<grpc::Channel> channel,
    const std::vector<std::string>& services) {
  std::unique_ptr<ConnectCalls> calls;
  try {
    calls = std::make_unique<ConnectCalls>(options, std::move(channel), services);
  } catch (const std::system_error& e) {
    return absl::UnavailableError(
        fmt::format("server.connect_address cannot have a thread: {}", e.what()));
  }
  auto server = HttpServer::Start(
      options.address,
      {.setting = "server.connect_address",
       .thread_name = "connect",
       .tls = options.tls,
       .connections_max = options.connections_max,
       .body_bytes_max = options.message_bytes_max,
       .transfer = options.transfer,
       .idle = options.idle,
       .on_cut_off = options.on_cut_off,
       .is_stream =
           [calls = calls.get()](const HttpRequest& request) { return calls->IsStream(request); }},
      [calls = calls.get()](HttpRequest request, HttpServer::Answer answer) {
        calls->Handle(std::move(request), std::move(answer));
      },
      [calls = calls.get()](const HttpRequest& request, std::shared_ptr<HttpExchange> exchange) {
        calls->HandleStream(request, std::move(exchange));
      });
  if (!server.ok()) return server.status();
  return std::unique_ptr<ConnectEndpoint>(
      new ConnectEndpoint(std::move(calls), *std::move(server)));
}

}  // namespace groundswell
