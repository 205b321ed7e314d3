// HttpLines: what is under way on a connection while a body of lines comes in and its answer goes
// out (HttpExchange).
#ifndef GROUNDSWELL_SERVER_PROCESS_HTTP_LINES_H_
#define GROUNDSWELL_SERVER_PROCESS_HTTP_LINES_H_

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/process/http_exchange.h"
#include "server/process/http_stream.h"

namespace groundswell {

// On the thread of all connections. As HttpExchange, which hands its calls on to it.
class HttpLines : public std::enable_shared_from_this<HttpLines> {
 public:
  // What it asks of its connection.
  struct Owner {
    // The connection itself, which what is under way holds.
    std::weak_ptr<void> connection;
    // Of all bodies: whether there is room for so many bytes of a line more. False too when the
    // connection counts no more.
    std::function<bool(size_t)> take_room;
    std::function<void()> give_room;  // all that was taken
    std::function<void()> on_line;    // something whole has come
    std::function<void()> on_cut_off;
    // No piece of an answer went out: this is all of it, and `whole_body` whether the body's end
    // has come.
    std::function<void(HttpAnswer answer, bool whole_body)> send;
    // The answer has ended, and another request may follow.
    std::function<void()> on_answered;
    // It has ended, and was the last: what the peer still sends belongs to nothing. No read or
    // write is under way.
    std::function<void()> on_last;
    // Nothing more is under way, nor will be.
    std::function<void()> on_over;
  };

  // `parser` has read a header. `stream`, `buffer` and `options` are the connection's.
  HttpLines(HttpStream& stream, boost::beast::flat_buffer& buffer, const HttpOptions& options,
            boost::beast::http::request_parser<boost::beast::http::string_body>&& parser);

  // Once, before everything else.
  void Begin(Owner owner) { owner_ = std::move(owner); }
  void ReadLines(HttpExchange::OnLines on_lines);
  void StopReading();
  void Write(const HttpAnswer& piece, HttpExchange::OnWritten on_written);
  void End(HttpAnswer answer);

  // Part of a line holds room that somebody else may need.
  bool holds_room() const { return on_lines_ != nullptr && !line_.empty(); }
  // Has it make room.
  void GiveUpLine();

 private:
  using ErrorCode = boost::system::error_code;

  void ReadMore();
  void OnRead(const ErrorCode& error);
  void AwaitPiece();
  void Hand(absl::StatusOr<std::string> lines);
  // `come`: how many of the partial line's bytes are new. Those before have no end of a line.
  void HandWholeLines(size_t come);
  void EndReading(absl::Status why);
  void WriteBytes(std::string bytes, std::function<void(bool)> on_written);
  std::string Chunk(const std::string& piece) const;
  std::string Header(const HttpAnswer& answer) const;
  void OnEndWritten(bool ok);
  void TakeLeave();

  HttpStream& stream_;
  boost::beast::flat_buffer& buffer_;
  const HttpOptions& options_;
  boost::beast::http::request_parser<boost::beast::http::buffer_body> parser_;
  Owner owner_;
  boost::asio::steady_timer timer_;
  std::array<char, size_t{8} << 10> piece_;
  std::string line_;  // what has come of a line that is not whole
  HttpExchange::OnLines on_lines_;
  absl::Status wrong_;  // why no more is read
  std::string writing_;
  bool reading_ = false;  // of the socket
  bool body_ended_ = false;
  bool begun_ = false;  // the answer
  bool leaving_ = false;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_HTTP_LINES_H_
