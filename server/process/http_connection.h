// HttpConnection: one connection of an HttpServer, from its first request to its end.
#ifndef GROUNDSWELL_SERVER_PROCESS_HTTP_CONNECTION_H_
#define GROUNDSWELL_SERVER_PROCESS_HTTP_CONNECTION_H_

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/process/http_lines.h"
#include "server/process/http_message.h"
#include "server/process/http_stream.h"

namespace groundswell {

// In the order in which connections give way to new ones.
enum class HttpPhase {
  kLeaving,    // answered for the last time
  kNew,        // has not sent a whole request yet
  kIdle,       // was answered, and may send another request
  kStreaming,  // lines come in and go out
  kSending,    // fetches its answer
  kAnswering,  // its answer is being made; never gives way
};

class HttpConnection;

// All connections of a server, as one of them knows them. On the one thread of all.
class HttpConnections {
 public:
  virtual ~HttpConnections() = default;
  virtual const HttpOptions& options() const = 0;
  // No more requests are taken.
  virtual bool stopping() const = 0;
  virtual void Handle(const std::shared_ptr<HttpConnection>& connection, HttpRequest request) = 0;
  virtual void HandleStream(const std::shared_ptr<HttpConnection>& connection,
                            HttpRequest request) = 0;
  virtual void Remove(const std::shared_ptr<HttpConnection>& connection) = 0;
  // Of all bodies together, for one that is being read: where there is no more, the oldest of the
  // others that are gives way. False where that does not suffice, and when the connection was let
  // go: nobody would give its room back.
  virtual bool TakeRoom(HttpConnection& connection, size_t bytes) = 0;
  virtual void GiveRoom(size_t bytes) = 0;
};

// It lives as long as something is under way on it.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  // `connections` must outlive what is under way.
  HttpConnection(boost::asio::ip::tcp::socket socket, HttpConnections& connections);

  // Shakes hands, where TLS is spoken, and reads the first request.
  void Begin();
  void Send(HttpAnswer answer);
  // What is under way ends with an error.
  void Close() { stream_.tcp().close(); }
  void GiveRoom() { connections_.GiveRoom(std::exchange(room_, 0)); }
  // Has its body, which is being read, make room for another.
  void GiveUpBody();

  HttpPhase phase() const { return phase_; }
  bool is_reading_body() const {
    return lines_ == nullptr ? is_reading_body_ : lines_->holds_room();
  }
  // Null where the request is no stream of lines.
  HttpLines* lines() const { return lines_.get(); }
  // From now until what is returned is gone.
  std::shared_ptr<const void> AwaitAnswer();
  bool awaits_answer() const { return !answer_.expired(); }
  size_t room() const { return room_; }
  std::chrono::steady_clock::time_point body_since() const { return body_since_; }
  std::chrono::steady_clock::time_point since() const { return since_; }  // in this phase

 private:
  using ErrorCode = boost::system::error_code;

  void OnHandshake(const ErrorCode& error);
  void ReadRequest();
  void ReadHeader();
  void AwaitRequest();
  void OnHeader(const ErrorCode& error);
  bool IsStream() const;
  HttpRequest TakeRequest();
  void BeginLines();
  void ReadBody();
  void OnBody(const ErrorCode& error);
  void OnRequest(const ErrorCode& error);
  void Refuse(HttpAnswer answer);
  void RefuseBody();
  void OnSent(const ErrorCode& error, bool keep);
  void TakeLeave();
  void TakeLeaveOfTcp();
  void DiscardInput();
  void End(const ErrorCode& error);
  void Enter(HttpPhase phase);

  HttpStream stream_;
  HttpConnections& connections_;
  std::vector<std::string> certificate_names_;
  boost::beast::flat_buffer buffer_;
  // Made anew for each request.
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  std::optional<boost::beast::http::response<boost::beast::http::string_body>> response_;
  std::shared_ptr<HttpLines> lines_;
  // Of the request that is being answered.
  unsigned version_ = 11;
  bool is_head_ = false;
  bool keep_alive_ = false;
  size_t room_ = 0;  // that its body took of all bodies', as it came
  bool is_reading_body_ = false;
  std::chrono::steady_clock::time_point body_since_;
  std::weak_ptr<const void> answer_;
  size_t unwanted_bytes_ = 0;
  HttpPhase phase_ = HttpPhase::kNew;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_HTTP_CONNECTION_H_
