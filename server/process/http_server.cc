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
#include <boost/beast/core/string.hpp>
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
#include "server/process/http_connection.h"

namespace groundswell {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLastAnswers{1'000};
constexpr int kInternalError = 500;
constexpr milliseconds kAcceptPause{100};
constexpr std::string_view kTooMany =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    "Content-Length: 21\r\n\r\ntoo many connections\n";

// What `call` threw.
template <typename Call>
std::optional<std::string> Thrown(const Call& call) {
  try {
    call();
    return std::nullopt;
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown error";
  }
}

HttpAnswer InternalError(const std::string& what) {
  return {.status = kInternalError, .body = what + "\n"};
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

}  // namespace

// Accepts connections and owns them. All but Start, Stop and the answers of the handler runs on one
// thread, so there is nothing to lock.
class HttpListener : public HttpConnections, public std::enable_shared_from_this<HttpListener> {
 public:
  HttpListener(HttpServer::Options options, HttpServer::Handler handler,
               HttpServer::StreamHandler streams)
      : options_(std::move(options)), handler_(std::move(handler)), streams_(std::move(streams)) {}

  // Sets `port` on success. Before Start.
  error_code Listen(const HostAndPort& address, int* port);
  void Start();
  void Stop();
  void StopAccepting();

  const HttpOptions& options() const override { return options_; }
  bool stopping() const override { return stopping_; }
  void Handle(const std::shared_ptr<HttpConnection>& connection, HttpRequest request) override;
  void HandleStream(const std::shared_ptr<HttpConnection>& connection,
                    HttpRequest request) override;
  void Remove(const std::shared_ptr<HttpConnection>& connection) override;
  bool TakeRoom(HttpConnection& connection, size_t bytes) override;
  void GiveRoom(size_t bytes) override { bodies_bytes_ -= bytes; }

  // `work` is run on the thread of all connections with the lines of the connection, while that is
  // there; else it is let go of, on that thread or, where that has ended, at once. What it throws
  // costs the connection. Any thread.
  static void WithLines(const std::weak_ptr<HttpListener>& listener,
                        const std::weak_ptr<HttpConnection>& connection,
                        std::function<void(HttpLines&)> work);

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
  const HttpServer::StreamHandler streams_;
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
    // Who leaves may still be fetching the last answer; it takes no more than a second.
    const HttpPhase phase = connection->phase();
    if (phase == HttpPhase::kNew || phase == HttpPhase::kIdle) connection->Close();
  }
}

void HttpListener::WaitForTheLast() {
  if (connections_.empty()) return;
  timer_.expires_after(kLastAnswers);
  timer_.async_wait([this](const error_code&) { CloseAll(); });
}

void HttpListener::CloseAll() {
  for (const auto& connection : connections_) connection->Close();
}

bool HttpListener::TakeRoom(HttpConnection& connection, size_t bytes) {
  if (!connections_.contains(connection.shared_from_this())) return false;
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
      if (waiting != nullptr && waiting->phase() == HttpPhase::kAnswering) {
        waiting->Send(std::move(made));
      }
    });
  };
  if (const auto what = Thrown([&] { handler_(std::move(request), answer); })) {
    answer(InternalError(*what));
  }
}

void HttpListener::WithLines(const std::weak_ptr<HttpListener>& listener,
                             const std::weak_ptr<HttpConnection>& connection,
                             std::function<void(HttpLines&)> work) {
  const auto alive = listener.lock();
  if (alive == nullptr) return;
  asio::post(alive->network_, [on = alive.get(), connection, work = std::move(work)] {
    const auto there = connection.lock();
    if (there == nullptr || there->lines() == nullptr) return;
    try {
      work(*there->lines());
    } catch (...) {  // its exchange awaits an answer still: DropTheLost would keep it
      there->Close();
      on->Remove(there);
      throw;
    }
  });
}

namespace {

// A function that is called exactly once: with what comes, or, where it is let go of before, with
// what stands for that; also when an exception is why nothing comes.
template <typename Value>
class CalledOnce {
 public:
  CalledOnce(std::function<void(Value)> call, Value else_value)
      : call_(std::move(call)), else_value_(std::move(else_value)) {}
  ~CalledOnce() {
    if (call_ != nullptr) call_(std::move(else_value_));
  }
  CalledOnce(const CalledOnce&) = delete;
  CalledOnce& operator=(const CalledOnce&) = delete;

  void operator()(Value value) { std::exchange(call_, nullptr)(std::move(value)); }

 private:
  std::function<void(Value)> call_;
  Value else_value_;
};

// Keeps neither the listener nor the connection.
class Exchange final : public HttpExchange {
 public:
  Exchange(std::weak_ptr<HttpListener> listener, const std::shared_ptr<HttpConnection>& connection)
      : listener_(std::move(listener)),
        connection_(connection),
        awaited_(connection->AwaitAnswer()) {}
  ~Exchange() override {
    if (!ended_) End(InternalError("no answer"));
  }

  void ReadLines(OnLines on_lines) override {
    auto once = std::make_shared<CalledOnce<absl::StatusOr<std::string>>>(
        std::move(on_lines), absl::AbortedError("the connection has ended"));
    HttpListener::WithLines(listener_, connection_, [once = std::move(once)](HttpLines& lines) {
      lines.ReadLines([once](absl::StatusOr<std::string> come) { (*once)(std::move(come)); });
    });
  }
  void StopReading() override {
    HttpListener::WithLines(listener_, connection_, [](HttpLines& lines) { lines.StopReading(); });
  }
  void Write(HttpAnswer piece, OnWritten on_written) override {
    auto once = std::make_shared<CalledOnce<bool>>(std::move(on_written), false);
    HttpListener::WithLines(listener_, connection_,
                            [once = std::move(once), piece = std::move(piece)](HttpLines& lines) {
                              lines.Write(piece, [once](bool written) { (*once)(written); });
                            });
  }
  void End(HttpAnswer answer) override {
    ended_ = true;
    HttpListener::WithLines(listener_, connection_,
                            [answer = std::move(answer)](HttpLines& lines) { lines.End(answer); });
  }

 private:
  const std::weak_ptr<HttpListener> listener_;
  const std::weak_ptr<HttpConnection> connection_;
  const std::shared_ptr<const void> awaited_;
  bool ended_ = false;
};

}  // namespace

void HttpListener::HandleStream(const std::shared_ptr<HttpConnection>& connection,
                                HttpRequest request) {
  const auto exchange = std::make_shared<Exchange>(weak_from_this(), connection);
  if (const auto what = Thrown([&] { streams_(std::move(request), exchange); })) {
    exchange->End(InternalError(*what));
  }
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
    options_.on_cut_off();
    error_code ignored;  // it is closed in any case
    socket.non_blocking(true, ignored);
    if (options_.tls == nullptr) {
      socket.send(asio::buffer(kTooMany.data(), kTooMany.size()), 0, ignored);
    }
    return;
  }
  const auto connection = std::make_shared<HttpConnection>(std::move(socket), *this);
  connections_.insert(connection);
  connection->Begin();
}

bool HttpListener::MakeRoom() {
  const auto rank = [](const auto& c) { return std::pair(c->phase(), c->since()); };
  const auto first = std::ranges::min_element(connections_, {}, rank);
  if (first == connections_.end() || (*first)->phase() == HttpPhase::kAnswering) return false;
  if ((*first)->phase() != HttpPhase::kLeaving) options_.on_cut_off();
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
                                                              Options options, Handler handler,
                                                              StreamHandler streams) {
  const char* const setting = options.setting;
  const std::optional<HostAndPort> listen = Split(address);
  if (!listen.has_value()) return CannotListen(setting, address, "it is not host:port");
  try {
    auto listener =
        std::make_shared<HttpListener>(std::move(options), std::move(handler), std::move(streams));
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
