#include "server/rpc/connect_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "server/rpc/connect_errors.h"
#include "server/rpc/connect_json.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

// Calls `calls` with the next line of `text`, its end left out, and how many precede it there.
template <typename Call>
void ForEachLine(std::string_view text, const Call& call) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (!call(text.substr(begin, end - begin))) return;
    begin = end + 1;
  }
}

bool HasLongLine(std::string_view text) {
  bool has_long = false;
  ForEachLine(text, [&](std::string_view line) {
    has_long = line.size() > kShortJsonBytes;
    return !has_long;
  });
  return has_long;
}

std::string LineOf(const grpc::ByteBuffer& response, const google::protobuf::MethodDescriptor& of) {
  std::string line;
  if (const grpc::Status s = ToJson(response, *of.output_type(), line); !s.ok()) {
    line = ConnectErrorJson(s);
  }
  return line + "\n";
}

std::string ErrorLine(const grpc::Status& status) {
  return R"({"error":)" + ConnectErrorJson(status) + "}\n";
}

}  // namespace

void ConnectStream::Start() {
  stub_.PrepareBidiStreamingCall(&context_, PathOf(method_), {}, this);
  StartRead(&response_);
  Write();
  StartCall();
}

void ConnectStream::OnWriteDone(bool ok) {
  if (ok) Write();
}

void ConnectStream::OnReadDone(bool ok) {
  if (!ok) return;
  lines_ += LineOf(response_, method_);
  StartRead(&response_);
}

void ConnectStream::OnDone(const grpc::Status& status) {
  if (!status.ok() && lines_.empty()) {
    answer_(ConnectError(status));
  } else {
    if (!status.ok()) lines_ += ErrorLine(status);
    answer_({.body = std::move(lines_), .content_type = kLinesType});
  }
  delete this;
}

void ConnectStream::Write() {
  if (next_ == requests_.size()) return StartWritesDone();
  StartWrite(&requests_[next_++]);
}

// One hold for the lines, one for the answers: each is given back when nothing more of it is to
// come, and then OnDone is called.
void ConnectLines::Start() {
  stub_.PrepareBidiStreamingCall(&context_, PathOf(method_), {}, this);
  AddMultipleHolds(2);
  StartRead(&response_);
  StartCall();
  ReadLines();
}

void ConnectLines::ReadLines() {
  exchange_->ReadLines([this](absl::StatusOr<std::string> lines) { OnLines(std::move(lines)); });
}

void ConnectLines::OnLines(absl::StatusOr<std::string> lines) {
  if (!lines.ok()) {
    if (absl::IsAborted(lines.status())) context_.TryCancel();  // nobody is there any more
    return EndRequests(ToGrpcStatus(lines.status()));
  }
  if (lines->empty()) return EndRequests(grpc::Status::OK);
  if (!HasLongLine(*lines)) return Decode(*lines);
  // Dropped where the thread has ended or is to end: then `decoding` ends the lines.
  struct Decoding {
    ConnectLines* stream;
    std::string text;
    ~Decoding() {
      if (stream != nullptr) {
        stream->EndRequests({grpc::StatusCode::UNAVAILABLE, "the server is shutting down"});
      }
    }
  };
  auto decoding = std::make_unique<Decoding>();
  decoding->stream = this;
  decoding->text = *std::move(lines);
  reading_.Post([decoding = std::move(decoding)] {
    if (decoding->stream->stopping_) return;
    std::exchange(decoding->stream, nullptr)->Decode(decoding->text);
  });
}

void ConnectLines::Decode(const std::string& lines) {
  try {
    ForEachLine(lines, [this](std::string_view line) {
      wrong_ = DecodeLine(line);
      return wrong_.ok();
    });
  } catch (const std::exception& e) {  // as for want of memory
    wrong_ = {grpc::StatusCode::INTERNAL, e.what()};
  } catch (...) {
    wrong_ = {grpc::StatusCode::INTERNAL, "unknown error"};
  }
  WriteNext();
}

grpc::Status ConnectLines::DecodeLine(std::string_view line) {
  ++line_number_;
  if (IsBlank(line)) return grpc::Status::OK;
  if (grpc::Status s = CheckJsonValues(line); !s.ok()) return s;
  grpc::ByteBuffer message;
  grpc::Status s =
      FromJson(line, *method_.input_type(), fmt::format("line {}: ", line_number_), message);
  if (s.ok()) messages_.push_back(std::move(message));
  return s;
}

// What precedes a line that cannot be read counts.
void ConnectLines::WriteNext() {
  if (!messages_.empty()) return StartWrite(&messages_.front());
  if (!wrong_.ok()) return EndRequests(wrong_);
  ReadLines();
}

void ConnectLines::OnWriteDone(bool ok) {
  if (!ok) return RemoveHold();  // the call has ended: OnDone has why
  messages_.pop_front();
  WriteNext();
}

void ConnectLines::EndRequests(const grpc::Status& status) {
  wrong_ = status;
  StartWritesDone();
  RemoveHold();
}

void ConnectLines::OnReadDone(bool ok) {
  if (!ok) return EndAnswers();
  answered_ = true;
  exchange_->Write({.body = LineOf(response_, method_), .content_type = kLinesType},
                   [this](bool written) {
                     if (written) return StartRead(&response_);
                     context_.TryCancel();
                     EndAnswers();
                   });
}

void ConnectLines::EndAnswers() {
  exchange_->StopReading();
  RemoveHold();
}

void ConnectLines::OnDone(const grpc::Status& status) {
  const grpc::Status& end = status.ok() ? wrong_ : status;
  if (!answered_ && !end.ok()) {
    exchange_->End(ConnectError(end));
  } else {
    exchange_->End({.body = end.ok() ? "" : ErrorLine(end), .content_type = kLinesType});
  }
  delete this;
}

}  // namespace groundswell
