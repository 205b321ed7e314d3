#include "server/process/http_lines.h"

#include <fmt/format.h>

#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <chrono>
#include <string_view>

namespace groundswell {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

// For a read that is called off.
constexpr std::chrono::milliseconds kCallOff{1'000};
constexpr char kNoRoom[] = "too many bodies at once";

// Why a body ends that could not be read on.
absl::Status WhyEnded(const boost::system::error_code& error) {
  const bool is_malformed =
      error.category() == make_error_code(http::error::bad_chunk).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message;
  if (!is_malformed) return absl::AbortedError("the peer is gone");
  return absl::InvalidArgumentError(
      fmt::format("the body is not as HTTP/1.1 has it ({})", error.message()));
}

}  // namespace

HttpLines::HttpLines(HttpStream& stream, boost::beast::flat_buffer& buffer,
                     const HttpOptions& options, http::request_parser<http::string_body>&& parser)
    : stream_(stream),
      buffer_(buffer),
      options_(options),
      parser_(std::move(parser)),
      timer_(stream.get_executor()) {
  // It stays not eager: where part of the next chunk's header has come too, an eager parser would
  // wait for the rest before what it has of the body is handed over.
}

void HttpLines::ReadLines(HttpExchange::OnLines on_lines) {
  on_lines_ = std::move(on_lines);
  // Those of before are taken.
  owner_.give_room();
  if (!line_.empty() && !owner_.take_room(line_.size())) {
    return EndReading(absl::ResourceExhaustedError(kNoRoom));
  }
  if (!wrong_.ok()) return Hand(wrong_);
  if (parser_.is_done()) {
    body_ended_ = true;
    return Hand(std::exchange(line_, {}));
  }
  AwaitPiece();
  if (!reading_) ReadMore();
}

void HttpLines::AwaitPiece() {
  timer_.expires_after(options_.idle);
  timer_.async_wait([weak = weak_from_this()](const ErrorCode& error) {
    const auto self = weak.lock();
    if (error || self == nullptr || self->on_lines_ == nullptr) return;
    // A piece may have come while this waited for its turn.
    if (self->timer_.expiry() > std::chrono::steady_clock::now()) return;
    self->owner_.on_cut_off();
    self->EndReading(absl::DeadlineExceededError(
        fmt::format("nothing came for {} ms", self->options_.idle.count())));
  });
}

void HttpLines::ReadMore() {
  reading_ = true;
  parser_.get().body() = {.data = piece_.data(), .size = piece_.size(), .more = true};
  stream_.tcp().expires_never();  // timer_ has its time
  http::async_read_some(stream_, buffer_, parser_,
                        [self = shared_from_this(), held = owner_.connection.lock()](
                            const ErrorCode& error, size_t) { self->OnRead(error); });
}

void HttpLines::OnRead(const ErrorCode& error) {
  reading_ = false;
  if (leaving_) return TakeLeave();
  if (!wrong_.ok()) return;
  if (error && error != http::error::need_buffer) {
    const absl::Status why = WhyEnded(error);
    if (!absl::IsAborted(why)) owner_.on_cut_off();
    return EndReading(why);
  }
  const size_t come = piece_.size() - parser_.get().body().size;
  if (!owner_.take_room(come)) return EndReading(absl::ResourceExhaustedError(kNoRoom));
  line_.append(piece_.data(), come);
  HandWholeLines(come);
}

void HttpLines::HandWholeLines(size_t come) {
  const std::string_view piece = std::string_view(line_).substr(line_.size() - come);
  if (const size_t end = piece.rfind('\n'); end != piece.npos) {
    std::string rest(piece.substr(end + 1));
    line_.resize(line_.size() - rest.size());
    return Hand(std::exchange(line_, std::move(rest)));
  }
  if (parser_.is_done()) {
    // The last line, or the end.
    body_ended_ = line_.empty();
    return Hand(std::exchange(line_, {}));
  }
  if (line_.size() > options_.body_bytes_max) {
    owner_.on_cut_off();
    return EndReading(absl::InvalidArgumentError(
        fmt::format("a line has at most {} bytes here", options_.body_bytes_max)));
  }
  AwaitPiece();
  ReadMore();
}

void HttpLines::Hand(absl::StatusOr<std::string> lines) {
  timer_.cancel();
  owner_.on_line();
  if (on_lines_ != nullptr) std::exchange(on_lines_, nullptr)(std::move(lines));
}

void HttpLines::EndReading(absl::Status why) {
  wrong_ = std::move(why);
  std::string().swap(line_);  // its memory too
  // While none are awaited, the room is that of lines whose taker still has them.
  if (on_lines_ != nullptr) owner_.give_room();
  Hand(wrong_);
}

void HttpLines::StopReading() {
  if (wrong_.ok()) EndReading(absl::CancelledError("the body is not wanted any more"));
}

void HttpLines::GiveUpLine() {
  owner_.on_cut_off();
  EndReading(absl::ResourceExhaustedError(kNoRoom));
}

// An answer whose length is not known, or of a whole one, its body.
std::string HttpLines::Header(const HttpAnswer& answer) const {
  const boost::beast::string_view reason =
      http::obsolete_reason(static_cast<http::status>(answer.status));
  std::string header =
      fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\n", answer.status,
                  std::string_view(reason.data(), reason.size()), answer.content_type);
  for (const auto& [name, value] : answer.fields) header += fmt::format("{}: {}\r\n", name, value);
  return header;
}

std::string HttpLines::Chunk(const std::string& piece) const {
  if (parser_.get().version() < 11 || piece.empty()) return piece;
  return fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
}

void HttpLines::Write(const HttpAnswer& piece, HttpExchange::OnWritten on_written) {
  std::string bytes;
  if (!begun_) {
    // A peer of HTTP/1.0 reads until the end of the connection.
    bytes = Header(piece) + (parser_.get().version() >= 11 ? "Transfer-Encoding: chunked\r\n\r\n"
                                                           : "Connection: close\r\n\r\n");
  }
  begun_ = true;
  WriteBytes(bytes + Chunk(piece.body), std::move(on_written));
}

void HttpLines::WriteBytes(std::string bytes, std::function<void(bool)> on_written) {
  writing_ = std::move(bytes);
  stream_.tcp().expires_after(options_.transfer);
  asio::async_write(stream_, asio::buffer(writing_),
                    [self = shared_from_this(), held = owner_.connection.lock(),
                     done = std::move(on_written)](const ErrorCode& error, size_t) {
                      if (error == boost::beast::error::timeout) self->owner_.on_cut_off();
                      done(!error);
                    });
}

void HttpLines::End(HttpAnswer answer) {
  timer_.cancel();
  if (!body_ended_) StopReading();
  owner_.give_room();
  if (!begun_ && !reading_) return owner_.send(std::move(answer), body_ended_);
  std::string last;
  if (begun_) {
    last = Chunk(answer.body);
    if (parser_.get().version() >= 11) last += "0\r\n\r\n";
  } else {
    last = Header(answer) + fmt::format("Connection: close\r\nContent-Length: {}\r\n\r\n{}",
                                        answer.body.size(), answer.body);
  }
  WriteBytes(std::move(last), [self = shared_from_this()](bool ok) { self->OnEndWritten(ok); });
}

void HttpLines::OnEndWritten(bool ok) {
  if (!ok) return owner_.on_over();
  const bool keeps =
      body_ended_ && !reading_ && parser_.get().version() >= 11 && parser_.get().keep_alive();
  if (keeps) return owner_.on_answered();
  leaving_ = true;
  if (!reading_) return TakeLeave();
  stream_.tcp().cancel();
  // What had come for it already lets it go on, perhaps to wait for more.
  timer_.expires_after(kCallOff);
  timer_.async_wait([weak = weak_from_this()](const ErrorCode& error) {
    const auto self = weak.lock();
    if (!error && self != nullptr && self->reading_) self->stream_.tcp().close();
  });
}

void HttpLines::TakeLeave() {
  timer_.cancel();
  owner_.on_last();
}

}  // namespace groundswell
