#include "server/process/http_connection.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <cstdint>
#include <limits>
#include <string_view>

#include "server/process/http_tls.h"

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
// Beast takes none for 0.
constexpr uint64_t kAnyLength = std::numeric_limits<uint64_t>::max();
// Of a body, read at once.
constexpr size_t kReadBytesMax = 16 << 10;
// Of what a peer still sends after the last answer. A connection closed with bytes unread is reset,
// and the peer might lose the answer.
constexpr size_t kUnwantedBytesMax = 256 << 10;
constexpr milliseconds kFarewell{1'000};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kPlainText =
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    "Content-Length: 42\r\n\r\nthis address speaks TLS: call it https://\n";

int StatusOf(http::status status) { return static_cast<int>(status); }

// Of a target in origin-form or, as for a proxy, in absolute-form (RFC 9112, 3.2).
std::string PathOf(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    const std::string_view begin = target.substr(0, scheme.size());
    if (!beast::iequals({begin.data(), begin.size()}, {scheme.data(), scheme.size()})) continue;
    const size_t authority = scheme.size();
    target.remove_prefix(std::min(target.find_first_of("/?", authority), target.size()));
    break;
  }
  const std::string_view path = target.substr(0, target.find('?'));
  return path.empty() ? "/" : std::string(path);
}

// By its header alone.
HttpRequest RequestOf(const http::request_header<>& header) {
  const std::string_view target(header.target().data(), header.target().size());
  HttpRequest request{.method = std::string(header.method_string()), .path = PathOf(target)};
  for (const auto& field : header) {
    request.fields.emplace_back(field.name_string(), field.value());
  }
  return request;
}

// What a header is answered that RFC 9110 and 9112 have a server refuse.
std::optional<HttpAnswer> AnswerToHeader(const http::request_header<>& header) {
  // Beast passes over a coding that it does not know: the body would be read as further requests.
  const size_t codings = header.count(http::field::transfer_encoding);
  if (codings > 1 ||
      (codings == 1 && !beast::iequals(header[http::field::transfer_encoding], "chunked"))) {
    return HttpAnswer{.status = StatusOf(http::status::not_implemented),
                      .body = "Transfer-Encoding must be chunked, or not be there\n"};
  }
  if (header.version() < 11) return std::nullopt;
  if (header.count(http::field::host) != 1) {
    return HttpAnswer{.status = StatusOf(http::status::bad_request),
                      .body = "a request of HTTP/1.1 has one field Host\n"};
  }
  if (header.count(http::field::expect) > 0 &&
      !beast::iequals(header[http::field::expect], "100-continue")) {
    return HttpAnswer{.status = StatusOf(http::status::expectation_failed),
                      .body = "Expect must be 100-continue, or not be there\n"};
  }
  return std::nullopt;
}

// What a request that could not be read is answered; nothing where the peer is gone or slow.
std::optional<HttpAnswer> AnswerTo(const error_code& error, size_t body_bytes_max) {
  if (error == http::error::end_of_stream || error == http::error::partial_message) {
    return std::nullopt;
  }
  if (error == http::error::header_limit) {
    return HttpAnswer{.status = StatusOf(http::status::request_header_fields_too_large),
                      .body = fmt::format("a header has at most {} bytes here\n", kHeaderBytesMax)};
  }
  if (error == http::error::body_limit || error == http::error::buffer_overflow) {
    return HttpAnswer{.status = StatusOf(http::status::payload_too_large),
                      .body = fmt::format("a body has at most {} bytes here\n", body_bytes_max)};
  }
  if (error.category() == make_error_code(http::error::bad_method).category()) {
    return HttpAnswer{.status = StatusOf(http::status::bad_request),
                      .body = error.message() + "\n"};
  }
  return std::nullopt;
}

}  // namespace

void HttpConnection::Enter(HttpPhase phase) {
  phase_ = phase;
  since_ = steady_clock::now();
}

HttpConnection::HttpConnection(tcp::socket socket, HttpConnections& connections)
    : stream_(std::move(socket), connections.options().tls == nullptr
                                     ? nullptr
                                     : connections.options().tls->Context()),
      connections_(connections),
      buffer_(kHeaderBytesMax + std::min(connections.options().body_bytes_max, kReadBytesMax)) {}

void HttpConnection::Begin() {
  if (stream_.tls() == nullptr) return ReadRequest();
  stream_.tcp().expires_after(connections_.options().transfer);
  stream_.tls()->async_handshake(
      boost::asio::ssl::stream_base::server,
      [self = shared_from_this()](const error_code& error) { self->OnHandshake(error); });
}

void HttpConnection::OnHandshake(const error_code& error) {
  if (!error) {
    certificate_names_ = HttpTls::NamesOfPeer(stream_.tls()->native_handle());
    return ReadHeader();  // in what is left of the handshake's time
  }
  const bool is_plain_text =
      error.category() == asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<uint32_t>(error.value())) == SSL_R_HTTP_REQUEST;
  // Nobody's certificate, or versions and ciphers that do not meet; who only hung up is no failure.
  const bool is_refused = error.category() == asio::error::get_ssl_category();
  if (is_refused) connections_.options().on_cut_off();
  if (!is_plain_text) return End(error);
  Enter(HttpPhase::kLeaving);
  asio::async_write(stream_.tcp(), asio::buffer(kPlainText.data(), kPlainText.size()),
                    [self = shared_from_this()](const error_code& failed, size_t) {
                      if (failed) return self->End(failed);
                      self->TakeLeaveOfTcp();
                    });
}

void HttpConnection::ReadRequest() {
  // For all that is read until it is whole: bytes that trickle in do not prolong it.
  stream_.tcp().expires_after(connections_.options().transfer);
  ReadHeader();
}

void HttpConnection::ReadHeader() {
  parser_.emplace();
  parser_->header_limit(kHeaderBytesMax);
  parser_->body_limit(kAnyLength);  // of a body that is no stream: see OnHeader
  http::async_read_header(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](const error_code& error, size_t) { self->OnHeader(error); });
}

void HttpConnection::OnHeader(const error_code& error) {
  if (error) return OnRequest(error);
  if (std::optional<HttpAnswer> refusal = AnswerToHeader(parser_->get()); refusal.has_value()) {
    return Refuse(*std::move(refusal));
  }
  body_since_ = steady_clock::now();
  const bool is_stream = IsStream();
  if (!is_stream) {
    const auto body_bytes_max = connections_.options().body_bytes_max;
    if (parser_->content_length().value_or(0) > body_bytes_max) {
      return OnRequest(make_error_code(http::error::body_limit));
    }
    parser_->body_limit(body_bytes_max);
  }
  const auto go_on = [this, is_stream] { is_stream ? BeginLines() : ReadBody(); };
  const auto& header = parser_->get();
  if (header.version() < 11 || header.count(http::field::expect) == 0) return go_on();
  asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                    [self = shared_from_this(), go_on](const error_code& failed, size_t) {
                      if (failed) return self->End(failed);
                      go_on();
                    });
}

bool HttpConnection::IsStream() const {
  const HttpOptions& options = connections_.options();
  if (options.is_stream == nullptr || connections_.stopping()) return false;
  if (!parser_->chunked() && parser_->content_length().value_or(0) <= options.body_bytes_max) {
    return false;
  }
  return options.is_stream(RequestOf(parser_->get()));
}

// Its body too, as far as it has come.
HttpRequest HttpConnection::TakeRequest() {
  auto& received = parser_->get();
  HttpRequest request = RequestOf(received);
  request.body = std::move(received.body());
  request.certificate_names = certificate_names_;
  version_ = received.version();
  is_head_ = received.method() == http::verb::head;
  keep_alive_ = received.keep_alive();
  return request;
}

void HttpConnection::BeginLines() {
  if (connections_.stopping()) return End(asio::error::operation_aborted);
  HttpRequest request = TakeRequest();
  lines_ =
      std::make_shared<HttpLines>(stream_, buffer_, connections_.options(), std::move(*parser_));
  const auto weak = weak_from_this();
  // Each is called by what is under way, which holds the connection.
  lines_->Begin({.connection = weak,
                 .take_room =
                     [this](size_t bytes) {
                       if (!connections_.TakeRoom(*this, bytes)) return false;
                       room_ += bytes;
                       return true;
                     },
                 .give_room = [this] { GiveRoom(); },
                 .on_line =
                     [this] {
                       body_since_ = steady_clock::now();
                       Enter(HttpPhase::kStreaming);
                     },
                 .on_cut_off = connections_.options().on_cut_off,
                 .send =
                     [this](HttpAnswer answer, bool whole_body) {
                       keep_alive_ = keep_alive_ && whole_body;
                       Send(std::move(answer));
                     },
                 .on_answered = [this] { OnSent({}, !connections_.stopping()); },
                 .on_last = [this] { TakeLeave(); },
                 .on_over = [this] { connections_.Remove(shared_from_this()); }});
  Enter(HttpPhase::kStreaming);
  stream_.tcp().expires_never();
  connections_.HandleStream(shared_from_this(), std::move(request));
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
  if (!connections_.TakeRoom(*this, come)) return RefuseBody();
  room_ += come;
  ReadBody();
}

std::shared_ptr<const void> HttpConnection::AwaitAnswer() {
  auto answer = std::make_shared<const int>(0);
  answer_ = answer;
  return answer;
}

void HttpConnection::GiveUpBody() {
  if (lines_ != nullptr) return lines_->GiveUpLine();
  is_reading_body_ = false;
  parser_->get().body() = {};
  GiveRoom();
  stream_.tcp().cancel();  // what reads it refuses it
}

void HttpConnection::RefuseBody() {
  parser_->get().body() = {};
  GiveRoom();
  Refuse({.status = StatusOf(http::status::service_unavailable),
          .body = "too many bodies at once\n",
          .fields = {{"Retry-After", "1"}}});
}

void HttpConnection::OnRequest(const error_code& error) {
  if (error) {
    std::optional<HttpAnswer> answer = AnswerTo(error, connections_.options().body_bytes_max);
    if (!answer.has_value()) return End(error);
    return Refuse(*std::move(answer));
  }
  if (connections_.stopping()) return End(asio::error::operation_aborted);
  HttpRequest request = TakeRequest();
  Enter(HttpPhase::kAnswering);
  // It takes as long as whoever answers says.
  stream_.tcp().expires_never();
  connections_.Handle(shared_from_this(), std::move(request));
}

// The last answer of a connection whose next bytes are of nobody knows what.
void HttpConnection::Refuse(HttpAnswer answer) {
  connections_.options().on_cut_off();
  TakeRequest();
  keep_alive_ = false;
  Send(std::move(answer));
}

void HttpConnection::Send(HttpAnswer answer) {
  Enter(HttpPhase::kSending);
  const bool keep = keep_alive_ && !connections_.stopping();
  response_.emplace(static_cast<http::status>(answer.status), version_);
  response_->set(http::field::content_type, answer.content_type);
  for (const auto& [name, value] : answer.fields) response_->set(name, value);
  response_->keep_alive(keep);
  response_->body() = std::move(answer.body);
  response_->prepare_payload();
  // The length stays, as HEAD wants it.
  if (is_head_) response_->body().clear();
  stream_.tcp().expires_after(connections_.options().transfer);
  http::async_write(stream_, *response_,
                    [self = shared_from_this(), keep](const error_code& error, size_t) {
                      self->OnSent(error, keep);
                    });
}

void HttpConnection::OnSent(const error_code& error, bool keep) {
  if (error) return End(error);
  response_.reset();
  lines_.reset();
  GiveRoom();
  if (!keep) return TakeLeave();
  Enter(HttpPhase::kIdle);
  if (buffer_.size() > 0) return ReadRequest();
  AwaitRequest();
}

void HttpConnection::AwaitRequest() {
  stream_.tcp().expires_after(connections_.options().idle);
  stream_.async_read_some(buffer_.prepare(kHeaderBytesMax),
                          [self = shared_from_this()](const error_code& error, size_t bytes) {
                            if (error) return self->connections_.Remove(self);
                            self->buffer_.commit(bytes);
                            self->ReadRequest();
                          });
}

// Of TLS first, so that the peer knows that nothing was cut off.
void HttpConnection::TakeLeave() {
  Enter(HttpPhase::kLeaving);
  stream_.tcp().expires_after(kFarewell);
  if (stream_.tls() == nullptr) return TakeLeaveOfTcp();
  stream_.tls()->async_shutdown(
      [self = shared_from_this()](const error_code&) { self->TakeLeaveOfTcp(); });
}

void HttpConnection::TakeLeaveOfTcp() {
  error_code ignored;  // the peer may be gone
  stream_.tcp().socket().shutdown(tcp::socket::shutdown_send, ignored);
  DiscardInput();
}

void HttpConnection::DiscardInput() {
  buffer_.clear();
  stream_.tcp().async_read_some(buffer_.prepare(buffer_.max_size()),
                                [self = shared_from_this()](const error_code& error, size_t bytes) {
                                  self->unwanted_bytes_ += bytes;
                                  if (!error && self->unwanted_bytes_ < kUnwantedBytesMax)
                                    return self->DiscardInput();
                                  self->connections_.Remove(self);
                                });
}

void HttpConnection::End(const error_code& error) {
  if (error == beast::error::timeout) connections_.options().on_cut_off();
  connections_.Remove(shared_from_this());
}

}  // namespace groundswell
