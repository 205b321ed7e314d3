#include "client/ingest_stream.h"

#include <utility>

#include "client/client.h"

namespace groundswell {

IngestStream::IngestStream(v1::InteractionService::Stub& stub, Options options)
    : options_(std::move(options)),
      stream_(stub.Ingest(&context_)),
      reader_([this] { ReadAcks(); }) {}

IngestStream::~IngestStream() {
  if (finished_) return;
  context_.TryCancel();
  reader_.join();
  stream_->Finish();
}

void IngestStream::ReadAcks() {
  v1::IngestResponse response;
  while (stream_->Read(&response)) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (inflight_ == 0) {  // for no batch: not our server
        context_.TryCancel();
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
                                int64_t first_sequence) {
  v1::IngestRequest request;
  request.set_namespace_(options_.name_space);
  request.set_producer_id(options_.producer_id);
  if (!interactions.empty()) request.set_first_sequence(first_sequence);
  for (const v1::Interaction& interaction : interactions) *request.add_interactions() = interaction;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || inflight_ < options_.inflight_max; });
    if (ended_) return absl::AbortedError("the stream has ended");
    ++inflight_;
  }
  if (!stream_->Write(request)) return absl::AbortedError("the stream has ended");
  return absl::OkStatus();
}

bool IngestStream::ended() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ended_;
}

absl::Status IngestStream::Finish() {
  stream_->WritesDone();
  reader_.join();
  finished_ = true;
  return ToStatus(stream_->Finish());
}

}  // namespace groundswell
