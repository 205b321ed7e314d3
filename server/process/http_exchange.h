// HttpExchange: a request whose body comes line by line, without an end that is known, and whose
// answer goes out meanwhile.
#ifndef GROUNDSWELL_SERVER_PROCESS_HTTP_EXCHANGE_H_
#define GROUNDSWELL_SERVER_PROCESS_HTTP_EXCHANGE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "server/process/http_message.h"

namespace groundswell {

// Thread-safe. Every function that is handed over is called exactly once, on the thread of all
// connections, or, where that has ended, at once; it must wait for nothing.
class HttpExchange {
 public:
  using OnLines = std::function<void(absl::StatusOr<std::string>)>;
  using OnWritten = std::function<void(bool)>;

  virtual ~HttpExchange() = default;

  // The next lines that are whole, with their ends, and the last one, which may lack it; empty at
  // the end of the body. InvalidArgument for a line that is longer than a body may be
  // or a body that is malformed, ResourceExhausted when its room went to others, DeadlineExceeded
  // when nothing came for HttpOptions::idle, Cancelled after StopReading, Aborted when the peer is
  // gone. One at a time. What was handed over counts towards HttpOptions::all_bodies_bytes_max
  // until the next call, or End.
  virtual void ReadLines(OnLines on_lines) = 0;
  // No more of the body is wanted.
  virtual void StopReading() = 0;
  // The next piece of an answer of status 200, whose type and fields are those of the first. False
  // when the peer is gone or does not fetch it within HttpOptions::transfer. One at a time.
  virtual void Write(HttpAnswer piece, OnWritten on_written) = 0;
  // The last call. `answer` is the whole answer where no piece was written, else its body is the
  // last piece.
  virtual void End(HttpAnswer answer) = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_HTTP_EXCHANGE_H_
