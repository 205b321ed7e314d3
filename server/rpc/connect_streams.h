// Calls that are streams of both directions over HTTP: a message as JSON on each line.
#ifndef GROUNDSWELL_SERVER_RPC_CONNECT_STREAMS_H_
#define GROUNDSWELL_SERVER_RPC_CONNECT_STREAMS_H_

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/process/http_exchange.h"
#include "server/process/http_server.h"
#include "server/process/work_thread.h"

namespace groundswell {

// A stream of both directions, of which all requests are there at the beginning. Its own owner: it
// goes when it is done.
class ConnectStream : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  ConnectStream(std::shared_ptr<grpc::Channel> channel,
                const google::protobuf::MethodDescriptor& method,
                std::vector<grpc::ByteBuffer> requests, HttpServer::Answer answer)
      : stub_(std::move(channel)),
        method_(method),
        requests_(std::move(requests)),
        answer_(std::move(answer)) {}

  grpc::ClientContext& context() { return context_; }

  void Start();
  void OnWriteDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void Write();

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  const google::protobuf::MethodDescriptor& method_;
  std::vector<grpc::ByteBuffer> requests_;
  size_t next_ = 0;
  grpc::ByteBuffer response_;
  std::string lines_;
  HttpServer::Answer answer_;
};

// A stream whose lines come while it is answered, without an end that is known: no line is read
// before those in front of it were taken, no answer before the one in front of it was fetched. Its
// own owner.
class ConnectLines : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // `reading` is given what takes long to be read; what still waits there when `stopping` is set
  // ends the lines. Both must be there while `exchange` hands over lines.
  ConnectLines(std::shared_ptr<grpc::Channel> channel,
               const google::protobuf::MethodDescriptor& method,
               std::shared_ptr<HttpExchange> exchange, WorkThread& reading,
               const std::atomic<bool>& stopping)
      : stub_(std::move(channel)),
        method_(method),
        exchange_(std::move(exchange)),
        reading_(reading),
        stopping_(stopping) {}

  grpc::ClientContext& context() { return context_; }

  void Start();
  void OnWriteDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  // Of two things that go on beside each other, the lines that come in:
  void ReadLines();
  void OnLines(absl::StatusOr<std::string> lines);
  void Decode(const std::string& lines);
  grpc::Status DecodeLine(std::string_view line);
  void WriteNext();
  void EndRequests(const grpc::Status& status);
  // And the answers: OnReadDone.
  void EndAnswers();

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  const google::protobuf::MethodDescriptor& method_;
  const std::shared_ptr<HttpExchange> exchange_;
  WorkThread& reading_;
  const std::atomic<bool>& stopping_;
  // The lines' alone.
  std::deque<grpc::ByteBuffer> messages_;
  size_t line_number_ = 0;
  grpc::Status wrong_;  // with the lines; read when both have ended
  // The answers' alone.
  grpc::ByteBuffer response_;
  bool answered_ = false;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_CONNECT_STREAMS_H_
