#include "server/process/http_server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>

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
// Of a body, read at once.
constexpr size_t kReadBytesMax = 16 << 10;
// Of what a peer still sends after the last answer. A connection closed with bytes unread is reset,
// and the peer might lose the answer.
constexpr size_t kUnwantedBytesMax = 256 << 10;
constexpr milliseconds kFarewell{1'000};
constexpr milliseconds kAcceptPause{100};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kTooMany =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    "Content-Length: 21\r\n\r\ntoo many connections\n";

int CodeOf(http::status status) { return static_cast<int>(status); }

// What a request that could not be read is answered; nothing where the peer is gone or slow.
std::optional<HttpAnswer> AnswerTo(const error_code& error, size_t body_bytes_max) {
  if (error == http::error::end_of_stream || error == http::error::partial_message) {
    return std::nullopt;
  }
  if (error == http::error::header_limit) {
    return HttpAnswer{.status = CodeOf(http::status::request_header_fields_too_large),
                      .body = fmt::format("a header has at most {} bytes here\n", kHeaderBytesMax)};
  }
  if (error == http::error::body_limit || error == http::error::buffer_overflow) {
    return HttpAnswer{.status = CodeOf(http::status::payload_too_large),
                      .body = fmt::format("a body has at most {} bytes here\n", body_bytes_max)};
  }
  if (error.category() == make_error_code(http::error::bad_method).category()) {
    return HttpAnswer{.status = CodeOf(http::status::bad_request), .body = error.message() + "\n"};
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

absl::Status CannotListen(const char* setting, const std::string& address, std::string_view why) {
  return absl::UnavailableError(
      fmt::format("{} \"{}\" cannot be listened on ({}); it must be host:port of "
                  "this machine and not in use; port 0 takes a free one",
                  setting, address, why));
}

// Until nothing is left to do. What a handler throws, as for want of memory, is logged and costs
// the connection that it happened to, for which `on_lost` is called; it may throw likewise.
template <typename OnLost>
void RunUntilDone(asio::io_context& context, const char* thread_name, const OnLost& on_lost) {
  NameThread(thread_name);
  for (bool has_lost = false;; has_lost = true) {
    try {
      if (has_lost) on_lost();
      context.run();
      return;
    } catch (const std::exception& e) {
      spdlog::error("{}: {}", thread_name, e.what());
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

// Accepts connections and owns them. All but Start, Stop and the answers of the handler runs on one
// thread, so there is nothing to lock.
class HttpListener : public std::enable_shared_from_this<HttpListener> {
 public:
  HttpListener(HttpServer::Options options, HttpServer::Handler handler)
      : options_(std::move(options)), handler_(std::move(handler)) {}

  // Sets `port` on success. Before Start.
  error_code Listen(const HostAndPort& address, int* port);
  void Start();
  void Stop();
  void StopAccepting();

  // For the connections.
  const HttpServer::Options& options() const { return options_; }
  bool stopping() const { return stopping_; }
  void CountCutOff() const { options_.on_cut_off(); }
  void Handle(const std::shared_ptr<HttpConnection>& connection, HttpRequest request);
  void Remove(const std::shared_ptr<HttpConnection>& connection);
  // Of all bodies together, for one that is being read: where there is no more, the oldest of the
  // others that are gives way. False where that does not suffice.
  bool TakeRoom(const HttpConnection& connection, size_t bytes);
  void GiveRoom(size_t bytes) { bodies_bytes_ -= bytes; }

 private:
  using WorkGuard = asio::executor_work_guard<asio::io_context::executor_type>;

  void Accept();
  void OnAccepted(const error_code& error, tcp::socket socket);
  void Admit(tcp::socket socket);
  // False when all connections are being answered.
  bool MakeRoom();
  // Those on which an exception has ended what was under way.
  void DropTheLost();
  // Of connections and requests, no more are taken.
  void CloseUnanswered();
  void WaitForTheLast();
  void CloseAll();

  const HttpServer::Options options_;
  const HttpServer::Handler handler_;
  asio::io_context network_{1};
  std::optional<WorkGuard> network_work_;
  tcp::acceptor acceptor_{network_};
  asio::steady_timer timer_{network_};
  std::unordered_set<std::shared_ptr<HttpConnection>> connections_;
  size_t bodies_bytes_ = 0;
  bool accept_fails_ = false;
  bool will_accept_ = false;
  bool stopping_ = false;
  std::thread network_thread_;
};

// One connection, from its first request to its end. It lives as long as something is under way
// on it.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(tcp::socket socket, HttpListener& listener)
      : stream_(std::move(socket)),
        listener_(listener),
        buffer_(kHeaderBytesMax + std::min(listener.options().body_bytes_max, kReadBytesMax)) {}

  void ReadRequest();
  void Send(HttpAnswer answer);
  // What is under way ends with an error.
  void Close() { stream_.close(); }
  void GiveRoom() { listener_.GiveRoom(std::exchange(room_, 0)); }
  // Has its body, which is being read, make room for another.
  void GiveUpBody();

  Phase phase() const { return phase_; }
  bool is_reading_body() const { return is_reading_body_; }
  // From now until what is returned is gone.
  std::shared_ptr<const void> AwaitAnswer();
  bool awaits_answer() const { return !answer_.expired(); }
  size_t room() const { return room_; }
  steady_clock::time_point body_since() const { return body_since_; }
  steady_clock::time_point since() const { return since_; }  // in this phase

 private:
  void AwaitRequest();
  void OnHeader(const error_code& error);
  void ReadBody();
  void OnBody(const error_code& error);
  void OnRequest(const error_code& error);
  void Refuse(HttpAnswer answer);
  void RefuseBody();
  void OnSent(const error_code& error, bool keep);
  void TakeLeave();
  void DiscardInput();
  void End(const error_code& error);
  void Enter(Phase phase);

  beast::tcp_stream stream_;
  HttpListener& listener_;
  beast::flat_buffer buffer_;
  // Made anew for each request.
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  size_t room_ = 0;  // that its body took of all bodies', as it came
  bool is_reading_body_ = false;
  steady_clock::time_point body_since_;
  std::weak_ptr<const void> answer_;
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
  parser_->body_limit(listener_.options().body_bytes_max);
  // For all that is read until it is whole: bytes that trickle in do not prolong it.
  stream_.expires_after(listener_.options().transfer);
  http::async_read_header(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](const error_code& error, size_t) { self->OnHeader(error); });
}

void HttpConnection::OnHeader(const error_code& error) {
  if (error) return OnRequest(error);
  body_since_ = steady_clock::now();
  if (!beast::iequals(parser_->get()[http::field::expect], "100-continue")) return ReadBody();
  asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                    [self = shared_from_this()](const error_code& failed, size_t) {
                      if (failed) return self->End(failed);
                      self->ReadBody();
                    });
}

// What was announced takes address space alone (Beast reserves it), and holds up nobody who sends
// his.
void HttpConnection::ReadBody() {
  if (parser_->is_done()) return OnRequest({});
  is_reading_body_ = true;
  http::async_read_some(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](const error_code& error, size_t) { self->OnBody(error); });
}

void HttpConnection::OnBody(const error_code& error) {
  if (!is_reading_body_) return RefuseBody();
  is_reading_body_ = false;
  if (error) return OnRequest(error);
  const size_t come = parser_->get().body().size() - room_;
  if (!listener_.TakeRoom(*this, come)) return RefuseBody();
  room_ += come;
  ReadBody();
}

std::shared_ptr<const void> HttpConnection::AwaitAnswer() {
  auto answer = std::make_shared<const int>(0);
  answer_ = answer;
  return answer;
}

void HttpConnection::GiveUpBody() {
  is_reading_body_ = false;
  parser_->get().body() = {};
  GiveRoom();
  stream_.cancel();  // what reads it refuses it
}

void HttpConnection::RefuseBody() {
  parser_->get().body() = {};
  GiveRoom();
  Refuse({.status = CodeOf(http::status::service_unavailable),
          .body = "too many bodies at once\n",
          .fields = {{"Retry-After", "1"}}});
}

void HttpConnection::OnRequest(const error_code& error) {
  if (error) {
    std::optional<HttpAnswer> answer = AnswerTo(error, listener_.options().body_bytes_max);
    if (!answer.has_value()) return End(error);
    return Refuse(*std::move(answer));
  }
  if (listener_.stopping()) return End(asio::error::operation_aborted);
  auto& received = parser_->get();
  const std::string_view target(received.target().data(), received.target().size());
  HttpRequest request{.method = std::string(received.method_string()),
                      .path = std::string(target.substr(0, target.find('?'))),
                      .body = std::move(received.body())};
  for (const auto& field : received) {
    request.fields.emplace_back(field.name_string(), field.value());
  }
  Enter(Phase::kAnswering);
  // It takes as long as whoever answers says.
  stream_.expires_never();
  listener_.Handle(shared_from_this(), std::move(request));
}

// The last answer of a connection whose next bytes are of nobody knows what.
void HttpConnection::Refuse(HttpAnswer answer) {
  listener_.CountCutOff();
  parser_->get().keep_alive(false);
  Send(std::move(answer));
}

void HttpConnection::Send(HttpAnswer answer) {
  Enter(Phase::kSending);
  const auto& request = parser_->get();
  const bool keep = request.keep_alive() && !listener_.stopping();
  response_.emplace(static_cast<http::status>(answer.status), request.version());
  response_->set(http::field::content_type, answer.content_type);
  for (const auto& [name, value] : answer.fields) response_->set(name, value);
  response_->keep_alive(keep);
  response_->body() = std::move(answer.body);
  response_->prepare_payload();
  // The length stays, as HEAD wants it.
  if (request.method() == http::verb::head) response_->body().clear();
  stream_.expires_after(listener_.options().transfer);
  http::async_write(stream_, *response_,
                    [self = shared_from_this(), keep](const error_code& error, size_t) {
                      self->OnSent(error, keep);
                    });
}

void HttpConnection::OnSent(const error_code& error, bool keep) {
  if (error) return End(error);
  response_.reset();
  GiveRoom();
  if (!keep) return TakeLeave();
  Enter(Phase::kIdle);
  if (buffer_.size() > 0) return ReadRequest();
  AwaitRequest();
}

void HttpConnection::AwaitRequest() {
  stream_.expires_after(listener_.options().idle);
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
  Accept();
  network_thread_ = std::thread(
      [this] { RunUntilDone(network_, options_.thread_name, [this] { DropTheLost(); }); });
}

void HttpListener::StopAccepting() {
  asio::post(network_, asio::use_future([this] { CloseUnanswered(); })).wait();
}

void HttpListener::Stop() {
  asio::post(network_, [this] {
    CloseUnanswered();
    WaitForTheLast();
  });
  network_work_.reset();
  if (network_thread_.joinable()) network_thread_.join();
}

void HttpListener::CloseUnanswered() {
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

bool HttpListener::TakeRoom(const HttpConnection& connection, size_t bytes) {
  while (bytes > options_.all_bodies_bytes_max - bodies_bytes_) {
    HttpConnection* oldest = nullptr;
    for (const auto& other : connections_) {
      if (other.get() == &connection || !other->is_reading_body() || other->room() == 0) continue;
      if (oldest == nullptr || other->body_since() < oldest->body_since()) oldest = other.get();
    }
    if (oldest == nullptr) return false;
    oldest->GiveUpBody();
  }
  bodies_bytes_ += bytes;
  return true;
}

// The answer may come when the connection is gone, and the listener: it keeps neither.
void HttpListener::Handle(const std::shared_ptr<HttpConnection>& connection, HttpRequest request) {
  const auto answer = [weak_listener = weak_from_this(), weak = std::weak_ptr(connection),
                       awaited = connection->AwaitAnswer()](HttpAnswer made) {
    const auto listener = weak_listener.lock();
    if (listener == nullptr) return;
    asio::post(listener->network_, [weak, awaited, made = std::move(made)]() mutable {
      const auto waiting = weak.lock();
      if (waiting != nullptr && waiting->phase() == Phase::kAnswering) {
        waiting->Send(std::move(made));
      }
    });
  };
  std::string what = "unknown error";
  try {
    return handler_(std::move(request), answer);
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
  }
  answer({.status = CodeOf(http::status::internal_server_error), .body = what + "\n"});
}

void HttpListener::Remove(const std::shared_ptr<HttpConnection>& connection) {
  connection->GiveRoom();
  connections_.erase(connection);
  if (stopping_ && connections_.empty()) timer_.cancel();
}

void HttpListener::Accept() {
  acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
    OnAccepted(error, std::move(socket));
  });
  will_accept_ = true;
}

void HttpListener::OnAccepted(const error_code& error, tcp::socket socket) {
  will_accept_ = false;
  if (stopping_) return;
  if (!error) {
    accept_fails_ = false;
    Accept();
    return Admit(std::move(socket));
  }
  if (error == asio::error::connection_aborted) return Accept();
  // There are no descriptors, or no memory. One that gives way leaves its own.
  if (!accept_fails_) spdlog::warn("{} cannot accept: {}", options_.setting, error.message());
  accept_fails_ = true;
  MakeRoom();
  timer_.expires_after(kAcceptPause);
  timer_.async_wait([this](const error_code&) {
    will_accept_ = false;
    if (!stopping_) Accept();
  });
  will_accept_ = true;
}

void HttpListener::Admit(tcp::socket socket) {
  if (connections_.size() >= options_.connections_max && !MakeRoom()) {
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
  (*first)->GiveRoom();
  connections_.erase(first);
  return true;
}

// Whatever is under way on a connection holds it, or is an answer that is still to come.
void HttpListener::DropTheLost() {
  std::erase_if(connections_, [](const auto& connection) {
    if (connection.use_count() > 1 || connection->awaits_answer()) return false;
    connection->GiveRoom();
    return true;
  });
  if (stopping_ && connections_.empty()) timer_.cancel();
  if (!stopping_ && !will_accept_) Accept();
}

std::string_view HttpRequest::Field(std::string_view name) const {
  const auto found = std::ranges::find_if(fields, [&](const auto& field) {
    return beast::iequals(field.first, beast::string_view(name.data(), name.size()));
  });
  return found == fields.end() ? std::string_view() : std::string_view(found->second);
}

HttpServer::HttpServer(std::shared_ptr<HttpListener> listener, int port)
    : listener_(std::move(listener)), port_(port) {}

HttpServer::~HttpServer() { listener_->Stop(); }

void HttpServer::StopAccepting() { listener_->StopAccepting(); }

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& address,
                                                              Options options, Handler handler) {
  const char* const setting = options.setting;
  const std::optional<HostAndPort> listen = Split(address);
  if (!listen.has_value()) return CannotListen(setting, address, "it is not host:port");
  try {
    auto listener = std::make_shared<HttpListener>(std::move(options), std::move(handler));
    int port = 0;
    if (const error_code error = listener->Listen(*listen, &port); error) {
      return CannotListen(setting, address, error.message());
    }
    listener->Start();
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(listener), port));
  } catch (const std::exception& e) {  // no descriptors, threads or memory
    return CannotListen(setting, address, e.what());
  }
}

}  // namespace groundswell
