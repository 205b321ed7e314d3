#include "server/process/http_endpoint.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cstdint>
#include <exception>
#include <optional>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "scheduling/thread_scheduling.h"

namespace groundswell {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr uint32_t kHeaderBytesMax = 8 << 10;
constexpr uint64_t kBodyBytesMax = 1'024;
// Of what a peer still sends after the last answer. A connection closed with bytes unread is reset,
// and the peer might lose the answer.
constexpr size_t kUnwantedBytesMax = 256 << 10;
constexpr milliseconds kFarewell{1'000};
constexpr milliseconds kAcceptPause{100};
constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kAllowed[] = "GET, HEAD";
constexpr std::string_view kTooMany =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    "Content-Length: 21\r\n\r\ntoo many connections\n";

struct Answer {
  http::status status = http::status::ok;
  std::string body;
  const char* content_type = kText;
};

struct Route {
  std::string_view path;
  bool at_once;  // answered on the thread of the connections, since it waits for nothing
  std::function<Answer()> answer;
};

std::vector<Route> RoutesOf(HttpEndpoint::Sources& sources) {
  const auto render = [metrics = std::move(sources.metrics)] {
    return Answer{.body = metrics(), .content_type = "text/plain; version=0.0.4; charset=utf-8"};
  };
  const auto ready = [why_not = std::move(sources.not_ready_because)] {
    const std::string reason = why_not();
    if (reason.empty()) return Answer{.body = "ready\n"};
    return Answer{.status = http::status::service_unavailable, .body = reason + "\n"};
  };
  return {{.path = "/healthz", .at_once = true, .answer = [] { return Answer{.body = "ok\n"}; }},
          {.path = "/readyz", .at_once = true, .answer = ready},
          {.path = "/metrics", .at_once = false, .answer = render}};
}

Answer AnswerOf(const Route& route) {
  std::string what = "unknown error";
  try {
    return route.answer();
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
  }
  return {.status = http::status::internal_server_error, .body = what + "\n"};
}

// What a request that could not be read is answered; nothing where the peer is gone or slow.
std::optional<Answer> AnswerTo(const error_code& error) {
  if (error == http::error::end_of_stream || error == http::error::partial_message) {
    return std::nullopt;
  }
  if (error == http::error::header_limit) {
    return Answer{.status = http::status::request_header_fields_too_large,
                  .body = fmt::format("a header has at most {} bytes here\n", kHeaderBytesMax)};
  }
  if (error == http::error::body_limit || error == http::error::buffer_overflow) {
    return Answer{.status = http::status::payload_too_large,
                  .body = fmt::format("a body has at most {} bytes here\n", kBodyBytesMax)};
  }
  if (error.category() == make_error_code(http::error::bad_method).category()) {
    return Answer{.status = http::status::bad_request, .body = error.message() + "\n"};
  }
  return std::nullopt;
}

struct HostAndPort {
  std::string host;
  std::string port;
};

std::optional<HostAndPort> Split(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  HostAndPort result{.host = address.substr(0, colon), .port = address.substr(colon + 1)};
  const bool is_bracketed = result.host.starts_with('[') && result.host.ends_with(']');
  if (is_bracketed) result.host = result.host.substr(1, result.host.size() - 2);
  const bool is_number =
      !result.port.empty() && result.port.size() <= 5 &&
      std::ranges::all_of(result.port, [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number || std::stoi(result.port) > 65'535) return std::nullopt;
  return result;
}

absl::Status CannotListen(const std::string& address, std::string_view why) {
  return absl::UnavailableError(
      fmt::format("server.http_address \"{}\" cannot be listened on ({}); it must be host:port of "
                  "this machine and not in use; port 0 takes a free one",
                  address, why));
}

// Until nothing is left to do. What an out-of-memory throws costs the connection it happened to.
void RunAll(asio::io_context& context, const char* thread_name) {
  NameThread(thread_name);
  for (bool done = false; !done;) {
    try {
      context.run();
      done = true;
    } catch (const std::exception& e) {
      spdlog::error("the HTTP endpoint: {}", e.what());
    }
  }
}

// In the order in which connections give way to new ones.
enum class Phase {
  kLeaving,    // answered for the last time
  kNew,        // has not sent a whole request yet
  kIdle,       // was answered, and may send another request
  kSending,    // fetches its answer
  kAnswering,  // its answer is being made; never gives way
};

}  // namespace

class HttpConnection;

// Accepts connections and owns them. All but Start, Stop and the answers of routes that are not
// `at_once` runs on one thread, so there is nothing to lock.
class HttpListener {
 public:
  HttpListener(HttpEndpoint::Sources sources, const HttpEndpoint::Limits& limits)
      : on_cut_off_(std::move(sources.on_cut_off)), routes_(RoutesOf(sources)), limits_(limits) {}
  ~HttpListener() { Stop(); }

  // Sets `port` on success. Before Start.
  error_code Listen(const HostAndPort& address, int* port);
  void Start();

  // For the connections.
  const HttpEndpoint::Limits& limits() const { return limits_; }
  bool stopping() const { return stopping_; }
  const Route* Find(std::string_view path) const;
  void CountCutOff() const { on_cut_off_(); }
  void Render(std::shared_ptr<HttpConnection> connection, const Route& route);
  void Remove(const std::shared_ptr<HttpConnection>& connection);

 private:
  using WorkGuard = asio::executor_work_guard<asio::io_context::executor_type>;

  void Accept();
  void OnAccepted(const error_code& error, tcp::socket socket);
  void Admit(tcp::socket socket);
  // False when all connections are being answered.
  bool MakeRoom();
  void Stop();
  void StopAccepting();
  void WaitForTheLast();
  void CloseAll();

  const std::function<void()> on_cut_off_;
  const std::vector<Route> routes_;
  const HttpEndpoint::Limits limits_;
  asio::io_context network_{1};
  asio::io_context rendering_{1};
  std::optional<WorkGuard> network_work_;
  std::optional<WorkGuard> rendering_work_;
  tcp::acceptor acceptor_{network_};
  asio::steady_timer timer_{network_};
  std::unordered_set<std::shared_ptr<HttpConnection>> connections_;
  bool accept_fails_ = false;
  bool stopping_ = false;
  std::thread network_thread_;
  std::thread rendering_thread_;
};

// One connection, from its first request to its end. It lives as long as something is under way
// on it.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(tcp::socket socket, HttpListener& listener)
      : stream_(std::move(socket)), listener_(listener) {}

  void ReadRequest();
  void Send(Answer answer);
  // What is under way ends with an error.
  void Close() { stream_.close(); }

  Phase phase() const { return phase_; }
  steady_clock::time_point since() const { return since_; }  // in this phase

 private:
  void AwaitRequest();
  void OnRequest(const error_code& error);
  void OnSent(const error_code& error, bool keep);
  void TakeLeave();
  void DiscardInput();
  void End(const error_code& error);
  void Enter(Phase phase);

  beast::tcp_stream stream_;
  HttpListener& listener_;
  beast::flat_buffer buffer_{kHeaderBytesMax + kBodyBytesMax};
  // Made anew for each request.
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  size_t unwanted_bytes_ = 0;
  Phase phase_ = Phase::kNew;
  steady_clock::time_point since_ = steady_clock::now();
};

void HttpConnection::Enter(Phase phase) {
  phase_ = phase;
  since_ = steady_clock::now();
}

void HttpConnection::ReadRequest() {
  parser_.emplace();
  parser_->header_limit(kHeaderBytesMax);
  parser_->body_limit(kBodyBytesMax);
  // For all that is read until it is whole: bytes that trickle in do not prolong it.
  stream_.expires_after(listener_.limits().transfer);
  http::async_read(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](const error_code& error, size_t) { self->OnRequest(error); });
}

void HttpConnection::OnRequest(const error_code& error) {
  if (error) {
    std::optional<Answer> answer = AnswerTo(error);
    if (!answer.has_value()) return End(error);
    listener_.CountCutOff();
    parser_->get().keep_alive(false);
    return Send(*std::move(answer));
  }
  const auto& request = parser_->get();
  const std::string_view target(request.target().data(), request.target().size());
  const Route* const route = listener_.Find(target.substr(0, target.find('?')));
  if (route == nullptr) return Send({.status = http::status::not_found, .body = "not found\n"});
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    return Send({.status = http::status::method_not_allowed,
                 .body = fmt::format("allowed are {}\n", kAllowed)});
  }
  if (route->at_once) return Send(AnswerOf(*route));
  Enter(Phase::kAnswering);
  listener_.Render(shared_from_this(), *route);
}

void HttpConnection::Send(Answer answer) {
  Enter(Phase::kSending);
  const auto& request = parser_->get();
  const bool keep = request.keep_alive() && !listener_.stopping();
  response_.emplace(answer.status, request.version());
  response_->set(http::field::content_type, answer.content_type);
  if (answer.status == http::status::method_not_allowed) {
    response_->set(http::field::allow, kAllowed);
  }
  response_->keep_alive(keep);
  response_->body() = std::move(answer.body);
  response_->prepare_payload();
  // The length stays, as HEAD wants it.
  if (request.method() == http::verb::head) response_->body().clear();
  stream_.expires_after(listener_.limits().transfer);
  http::async_write(stream_, *response_,
                    [self = shared_from_this(), keep](const error_code& error, size_t) {
                      self->OnSent(error, keep);
                    });
}

void HttpConnection::OnSent(const error_code& error, bool keep) {
  if (error) return End(error);
  response_.reset();
  if (!keep) return TakeLeave();
  Enter(Phase::kIdle);
  if (buffer_.size() > 0) return ReadRequest();
  AwaitRequest();
}

void HttpConnection::AwaitRequest() {
  stream_.expires_after(listener_.limits().idle);
  stream_.async_read_some(buffer_.prepare(kHeaderBytesMax),
                          [self = shared_from_this()](const error_code& error, size_t bytes) {
                            if (error) return self->listener_.Remove(self);
                            self->buffer_.commit(bytes);
                            self->ReadRequest();
                          });
}

void HttpConnection::TakeLeave() {
  Enter(Phase::kLeaving);
  error_code ignored;  // the peer may be gone
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  stream_.expires_after(kFarewell);
  DiscardInput();
}

void HttpConnection::DiscardInput() {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(buffer_.max_size()),
                          [self = shared_from_this()](const error_code& error, size_t bytes) {
                            self->unwanted_bytes_ += bytes;
                            if (!error && self->unwanted_bytes_ < kUnwantedBytesMax)
                              return self->DiscardInput();
                            self->listener_.Remove(self);
                          });
}

void HttpConnection::End(const error_code& error) {
  if (error == beast::error::timeout) listener_.CountCutOff();
  listener_.Remove(shared_from_this());
}

error_code HttpListener::Listen(const HostAndPort& address, int* port) {
  error_code error;
  tcp::resolver resolver(network_);
  const auto flags = tcp::resolver::passive | tcp::resolver::numeric_service;
  for (const auto& candidate : resolver.resolve(address.host, address.port, flags, error)) {
    acceptor_.close(error);
    acceptor_.open(candidate.endpoint().protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(candidate.endpoint(), error);
    if (!error) acceptor_.listen(tcp::acceptor::max_listen_connections, error);
    if (!error) *port = acceptor_.local_endpoint(error).port();
    if (!error) break;
  }
  return error;
}

void HttpListener::Start() {
  network_work_.emplace(network_.get_executor());
  rendering_work_.emplace(rendering_.get_executor());
  Accept();
  network_thread_ = std::thread([this] { RunAll(network_, "http"); });
  rendering_thread_ = std::thread([this] { RunAll(rendering_, "http-metrics"); });
}

// What is being rendered is still sent, so rendering ends before the network does.
void HttpListener::Stop() {
  asio::post(network_, [this] { StopAccepting(); });
  rendering_work_.reset();
  if (rendering_thread_.joinable()) rendering_thread_.join();
  asio::post(network_, [this] { WaitForTheLast(); });
  network_work_.reset();
  if (network_thread_.joinable()) network_thread_.join();
}

void HttpListener::StopAccepting() {
  stopping_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  timer_.cancel();
  for (const auto& connection : connections_) {
    if (connection->phase() < Phase::kSending) connection->Close();
  }
}

void HttpListener::WaitForTheLast() {
  if (connections_.empty()) return;
  timer_.expires_after(kFarewell);
  timer_.async_wait([this](const error_code&) { CloseAll(); });
}

void HttpListener::CloseAll() {
  for (const auto& connection : connections_) connection->Close();
}

const Route* HttpListener::Find(std::string_view path) const {
  const auto found = std::ranges::find(routes_, path, &Route::path);
  return found == routes_.end() ? nullptr : &*found;
}

void HttpListener::Render(std::shared_ptr<HttpConnection> connection, const Route& route) {
  asio::post(rendering_, [this, connection = std::move(connection), &route]() mutable {
    asio::post(network_, [connection = std::move(connection), answer = AnswerOf(route)]() mutable {
      connection->Send(std::move(answer));
    });
  });
}

void HttpListener::Remove(const std::shared_ptr<HttpConnection>& connection) {
  connections_.erase(connection);
  if (stopping_ && connections_.empty()) timer_.cancel();
}

void HttpListener::Accept() {
  acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
    OnAccepted(error, std::move(socket));
  });
}

void HttpListener::OnAccepted(const error_code& error, tcp::socket socket) {
  if (stopping_) return;
  if (!error) {
    accept_fails_ = false;
    Accept();
    return Admit(std::move(socket));
  }
  if (error == asio::error::connection_aborted) return Accept();
  // There are no descriptors, or no memory. One that gives way leaves its own.
  if (!accept_fails_) spdlog::warn("the HTTP endpoint cannot accept: {}", error.message());
  accept_fails_ = true;
  MakeRoom();
  timer_.expires_after(kAcceptPause);
  timer_.async_wait([this](const error_code&) {
    if (!stopping_) Accept();
  });
}

void HttpListener::Admit(tcp::socket socket) {
  if (connections_.size() >= limits_.connections_max && !MakeRoom()) {
    CountCutOff();
    error_code ignored;  // it is closed in any case
    socket.non_blocking(true, ignored);
    socket.send(asio::buffer(kTooMany.data(), kTooMany.size()), 0, ignored);
    return;
  }
  const auto connection = std::make_shared<HttpConnection>(std::move(socket), *this);
  connections_.insert(connection);
  connection->ReadRequest();
}

bool HttpListener::MakeRoom() {
  const auto rank = [](const auto& c) { return std::pair(c->phase(), c->since()); };
  const auto first = std::ranges::min_element(connections_, {}, rank);
  if (first == connections_.end() || (*first)->phase() == Phase::kAnswering) return false;
  if ((*first)->phase() != Phase::kLeaving) CountCutOff();
  (*first)->Close();
  connections_.erase(first);
  return true;
}

HttpEndpoint::HttpEndpoint(std::unique_ptr<HttpListener> listener, int port)
    : listener_(std::move(listener)), port_(port) {}

HttpEndpoint::~HttpEndpoint() = default;

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(const std::string& address,
                                                                  Sources sources,
                                                                  const Limits& limits) {
  const std::optional<HostAndPort> listen = Split(address);
  if (!listen.has_value()) return CannotListen(address, "it is not host:port");
  try {
    auto listener = std::make_unique<HttpListener>(std::move(sources), limits);
    int port = 0;
    if (const error_code error = listener->Listen(*listen, &port); error) {
      return CannotListen(address, error.message());
    }
    listener->Start();
    return std::unique_ptr<HttpEndpoint>(new HttpEndpoint(std::move(listener), port));
  } catch (const std::exception& e) {  // no descriptors, threads or memory
    return CannotListen(address, e.what());
  }
}

}  // namespace groundswell
