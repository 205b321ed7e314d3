#include "client/ingest_stream.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <utility>

#include "client/channel.h"
#include "groundswell/v1/interaction.grpc.pb.h"

namespace groundswell {

struct IngestStream::Call {
  explicit Call(const std::shared_ptr<grpc::Channel>& channel)
      : stream(v1::InteractionService::NewStub(channel)->Ingest(&context)) {}

  grpc::ClientContext context;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::IngestRequest, v1::IngestResponse>> stream;
};

IngestStream::IngestStream(const std::shared_ptr<grpc::Channel>& channel, Options options)
    : options_(std::move(options)),
      call_(std::make_unique<Call>(channel)),
      reader_([this] { ReadAcks(); }) {}

IngestStream::~IngestStream() {
  if (finished_) return;
  call_->context.TryCancel();
  reader_.join();
  call_->stream->Finish();
}

void IngestStream::ReadAcks() {
  v1::IngestResponse response;
  while (call_->stream->Read(&response)) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (inflight_ == 0) {  // for no batch: not our server
        call_->context.TryCancel();
        break;
      }
    }
    if (options_.on_ack) options_.on_ack(response);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      --inflight_;
    }
    changed_.notify_all();
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
}

absl::Status IngestStream::Send(const std::vector<v1::Interaction>& interactions,
                                int64_t first_sequence, const std::string& producer_mark) {
  v1::IngestRequest request;
  request.set_namespace_(options_.name_space);
  request.set_producer_id(options_.producer_id);
  if (!interactions.empty()) request.set_first_sequence(first_sequence);
  request.set_producer_mark(producer_mark);
  for (const v1::Interaction& interaction : interactions) *request.add_interactions() = interaction;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || inflight_ < options_.inflight_max; });
    if (ended_) return absl::AbortedError("the stream has ended");
    ++inflight_;
  }
  if (!call_->stream->Write(request)) return absl::AbortedError("the stream has ended");
  return absl::OkStatus();
}

void IngestStream::Cancel() { call_->context.TryCancel(); }

bool IngestStream::ended() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ended_;
}

absl::Status IngestStream::Finish() {
  call_->stream->WritesDone();
  reader_.join();
  finished_ = true;
  return ToStatus(call_->stream->Finish());
}

}  // namespace groundswell
