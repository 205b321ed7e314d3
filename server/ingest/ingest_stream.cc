#include "server/ingest/ingest_stream.h"

#include <fmt/format.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "graph/mutex.h"
#include "server/rpc/event_checks.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/request_decoding.h"
#include "server/rpc/status_details.h"
#include "server/rpc/unary_call.h"
#include "server/rpc/work_in_progress.h"

namespace groundswell {
namespace {

constexpr int64_t kSequenceMax = int64_t{1} << 60;
constexpr size_t kProducerMarkBytesMax = 64;

// Of batches, as they were sent: a message keeps the memory of those that it held, some times that.
constexpr size_t kKeptBytesMax = size_t{16} << 10;

// One stream. Batches are acknowledged in their order: each has a place in `acks_` from the moment
// it is read, and the front is written as soon as it is complete.
//
// gRPC calls the On* methods one at a time per operation; log threads call Complete. Everything
// shared is guarded by mutex_, and the log is never called with it held.
class IngestStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  IngestStream(const IngestParts& parts, const grpc::CallbackServerContext& context)
      : parts_(parts),
        context_(context),
        scope_(std::in_place, parts.metrics.requests(), Method::kIngest) {
    parts_.streams.Add(this, [this] { GoAway(); });
    // One that may not send is not waited for.
    const absl::Status allowed = parts_.access.CheckRight(context_, Right::kWrite);
    MutexLock lock(mutex_);
    if (failure_.ok()) failure_ = allowed;
    FinishWhenDone();
    if (!finished_) StartRead(&received_);
  }
  ~IngestStream() override { parts_.streams.Remove(this); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      MutexLock lock(mutex_);
      reading_done_ = true;
      FinishWhenDone();
      return;
    }
    if (!IsFinished()) AcceptBatch();
    MutexLock lock(mutex_);
    reading_ = false;
    Advance();
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(mutex_);
    writing_ = false;
    sent_.Clear();
    if (!ok) broken_ = true;
    PopAck();
    Advance();
  }

  void OnCancel() override {
    MutexLock lock(mutex_);
    broken_ = true;
    FinishWhenDone();
  }

  void OnDone() override {
    {
      MutexLock lock(mutex_);
      done_ = true;
      if (pending_batches_ > 0) return;  // the log still holds this stream; the last one deletes
    }
    delete this;
  }

 private:
  // A batch on its way to its acknowledgement.
  struct Ack {
    v1::IngestResponse response;
    size_t interactions = 0;         // of the batch
    std::vector<std::string> types;  // of the interactions handed to the log
    std::vector<int32_t> positions;  // of those in the request
    std::vector<std::string> event_ids;
    std::vector<std::string> new_items;         // of those that may create theirs; else empty
    std::optional<WorkInProgress::Piece> work;  // while the log has it
    bool complete = false;
    bool dropped = false;  // behind a gap in the producer's sequence: the stream ends instead

    // Nothing but the response is needed any more.
    void Complete() {
      complete = true;
      for (auto* const of : {&types, &event_ids, &new_items}) *of = std::vector<std::string>();
      positions = std::vector<int32_t>();
    }
  };

  bool IsFinished() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    return finished_;
  }

  // What was read is still acknowledged; what was sent beyond it comes again, on another stream.
  void GoAway() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    if (failure_.ok()) {
      failure_ = WithReason(
          absl::UnavailableError("the server is stopping: send what is not acknowledged again"),
          "STOPPING");
    }
    FinishWhenDone();
  }

  void Refuse(Ack& ack, int32_t index, const std::string& type, const absl::Status& status) {
    v1::IngestResponse::Refusal& refusal = *ack.response.add_refusals();
    refusal.set_index(index);
    *refusal.mutable_status() = ToRpcStatus(status);
    parts_.metrics.events().CountEvents(type, EventOutcome::kRefused);
  }

  absl::Status CheckBatch() const {
    if (absl::Status s = CheckNamespace(request_.namespace_(), parts_.options.name_space);
        !s.ok()) {
      return s;
    }
    const auto count = static_cast<size_t>(request_.interactions_size());
    const bool has_producer = !request_.producer_id().empty();
    if ((count == 0 && !has_producer) || count > kInteractionsMax) {
      return InvalidField("interactions", std::to_string(count),
                          fmt::format("must hold 1 to {} interactions", kInteractionsMax));
    }
    if (!has_producer) return absl::OkStatus();
    if (absl::Status s = CheckId("producer_id", request_.producer_id()); !s.ok()) return s;
    const int64_t first = request_.first_sequence();
    if (count > 0 && (first < 1 || first > kSequenceMax)) {
      return InvalidField("first_sequence", std::to_string(first),
                          fmt::format("must be 1 to {}", kSequenceMax));
    }
    const size_t mark_bytes = request_.producer_mark().size();
    if (mark_bytes > kProducerMarkBytesMax) {
      return InvalidField("producer_mark", fmt::format("{} bytes", mark_bytes),
                          fmt::format("must have at most {} bytes", kProducerMarkBytesMax));
    }
    return absl::OkStatus();
  }

  AppendRequest NewAppend() const {
    AppendRequest append{.producer_id = request_.producer_id()};
    if (!append.producer_id.empty() && request_.interactions_size() > 0) {
      append.first_sequence = request_.first_sequence();
      append.last_sequence = request_.first_sequence() + request_.interactions_size() - 1;
      append.producer_mark = request_.producer_mark();
    }
    return append;
  }

  // What a stream keeps while it is idle is bounded: by what the batches since the request was new,
  // decoded into it one after the other, may have left of their memory.
  void ForgetRequest(size_t sent_bytes) {
    kept_bytes_ += sent_bytes;
    if (kept_bytes_ <= kKeptBytesMax) return;
    request_ = v1::IngestRequest();
    kept_bytes_ = 0;
  }

  // REQUIRES: there is one.
  void PopAck() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    waiting_ -= acks_.front()->interactions;
    acks_.pop_front();
  }

  // Checks what was read and hands it to the log.
  void AcceptBatch() {
    // Asked for every batch, so that a client whose rights were taken away is not heard any longer.
    const absl::Status allowed = parts_.access.Check(context_, Right::kWrite);
    const bool may_come_later = absl::IsResourceExhausted(allowed);
    absl::Status status = may_come_later ? absl::OkStatus() : allowed;
    const size_t sent_bytes = received_.Length();
    if (status.ok()) status = DecodeBytes(received_, request_);
    if (status.ok()) status = CheckBatch();
    const absl::StatusOr<int64_t> now_us = parts_.options.now_us();
    if (status.ok()) status = now_us.status();
    if (!status.ok()) {
      ForgetRequest(sent_bytes);
      MutexLock lock(mutex_);
      failure_ = status;
      return;
    }
    AppendRequest append = NewAppend();
    const std::shared_ptr<ServingState> state = parts_.serving.Get();
    Ack ack;
    ack.response.set_batch_index(next_batch_++);
    ack.interactions = static_cast<size_t>(request_.interactions_size());
    for (int32_t i = 0; i < request_.interactions_size(); ++i) {
      const v1::Interaction& one = request_.interactions(i);
      absl::StatusOr<Interaction> interaction = CheckForLog(one, parts_, *state, *now_us);
      if (interaction.ok()) {
        ack.types.push_back(one.event_type());
        ack.positions.push_back(i);
        ack.event_ids.push_back(one.event_id());
        const bool creates = interaction->item_creation != ItemCreation::kNo;
        ack.new_items.push_back(creates ? one.item_id() : std::string());
        append.entries.emplace_back(*std::move(interaction));
        append.sequences.push_back(append.first_sequence + i);
      } else {
        Refuse(ack, i, one.event_type(), interaction.status());
      }
    }
    ForgetRequest(sent_bytes);
    // Numbers of refused interactions are used up all the same, and that has to be remembered.
    const bool goes_to_log = !append.entries.empty() || !append.producer_id.empty();
    ack.complete = !goes_to_log;
    Ack* place = nullptr;
    {
      MutexLock lock(mutex_);
      acks_.push_back(std::make_unique<Ack>(std::move(ack)));
      place = acks_.back().get();
      waiting_ += place->interactions;
      if (goes_to_log) ++pending_batches_;
    }
    if (!goes_to_log) return;
    place->work.emplace();
    if (!allowed.ok()) {
      Complete(*place, allowed);
      return;
    }
    const absl::Status queued = parts_.log.Append(
        std::move(append), [this, place](const absl::StatusOr<AppendResult>& appended) {
          Complete(*place, appended);
        });
    if (!queued.ok()) Complete(*place, queued);
  }

  // The log's answer for one batch.
  void Complete(Ack& ack, const absl::StatusOr<AppendResult>& appended) {
    ack.work.reset();
    bool abandoned = false;
    for (size_t i = 0; i < ack.new_items.size(); ++i) {
      if (ack.new_items[i].empty()) continue;
      parts_.new_items.Settle(ack.new_items[i],
                              appended.ok() ? appended->entries[i].offset : Offset{0});
    }
    {
      MutexLock lock(mutex_);
      if (absl::IsFailedPrecondition(appended.status())) {
        ack.dropped = true;
        if (failure_.ok()) failure_ = WithReason(appended.status(), "SEQUENCE_GAP");
      } else if (!appended.ok() && ack.types.empty()) {
        // There is no interaction to refuse: an acknowledgement would say that the batch's numbers
        // are used up, or that nobody knows the producer.
        ack.dropped = true;
        if (failure_.ok()) failure_ = LogError(appended.status());
      } else {
        Fill(ack, appended);
      }
      ack.Complete();
      --pending_batches_;
      abandoned = done_ && pending_batches_ == 0;
      if (!done_) Advance();
    }
    if (abandoned) delete this;
  }

  void Fill(Ack& ack, const absl::StatusOr<AppendResult>& appended) {
    v1::IngestResponse& response = ack.response;
    for (size_t i = 0; i < ack.types.size(); ++i) {
      if (!appended.ok()) {
        Refuse(ack, ack.positions[i], ack.types[i], LogError(appended.status()));
        continue;
      }
      const Appended& one = appended->entries[i];
      const EventOutcome outcome = OutcomeOf(one);
      if (outcome == EventOutcome::kRefused) {
        Refuse(ack, ack.positions[i], ack.types[i],
               EventIdReused("event_id", ack.event_ids[i], one.offset));
        continue;
      }
      parts_.metrics.events().CountEvents(ack.types[i], outcome);
      if (outcome == EventOutcome::kAccepted) {
        response.set_accepted_count(response.accepted_count() + 1);
      } else {
        response.set_duplicate_count(response.duplicate_count() + 1);
      }
      response.set_last_offset(std::max(response.last_offset(), one.offset));
    }
    response.set_consistency_token(MakeConsistencyToken(response.last_offset()));
    if (!appended.ok()) return;
    response.set_last_sequence(appended->last_sequence);
    response.set_refused_sequence_count(appended->refused_count);
    response.set_producer_mark(appended->producer_mark);
  }

  // Starts whatever can start: the next write, the next read, the end.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_) return;
    while (!writing_ && !acks_.empty() && acks_.front()->complete && acks_.front()->dropped) {
      PopAck();
    }
    if (!writing_ && !broken_ && !acks_.empty() && acks_.front()->complete) {
      writing_ = true;
      bool own_buffer = false;
      // Bytes that cannot be made are an empty message, in place of an acknowledgement.
      grpc::SerializationTraits<v1::IngestResponse>::Serialize(acks_.front()->response, &sent_,
                                                               &own_buffer)
          .IgnoreError();
      StartWrite(&sent_);
    }
    const bool may_read = !reading_ && !reading_done_ && !broken_ && failure_.ok() &&
                          waiting_ < parts_.options.stream_inflight_max && acks_.size() < kAcksMax;
    if (may_read) {
      reading_ = true;
      StartRead(&received_);
    }
    FinishWhenDone();
  }

  void FinishWhenDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_ || writing_) return;
    const bool ended = reading_done_ || !failure_.ok();
    if (!broken_ && !(ended && acks_.empty())) return;
    finished_ = true;
    const grpc::Status status = broken_ ? grpc::Status::CANCELLED : ToGrpcStatus(failure_);
    CountAndFinish(status, scope_, *this);
  }

  // Acknowledgements that a client has not read yet; a client that never reads is not read from.
  static constexpr size_t kAcksMax = 64;

  const IngestParts& parts_;
  const grpc::CallbackServerContext& context_;
  grpc::ByteBuffer received_;  // the read in progress
  v1::IngestRequest request_;  // what was read
  size_t kept_bytes_ = 0;      // see ForgetRequest
  int64_t next_batch_ = 0;     // the reading side's alone

  Mutex mutex_;
  std::optional<RpcScope> scope_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer sent_ ABSL_GUARDED_BY(mutex_);  // the write in progress
  std::deque<std::unique_ptr<Ack>> acks_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;  // interactions of acks_
  size_t pending_batches_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  bool reading_ ABSL_GUARDED_BY(mutex_) = true;
  bool reading_done_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::StatusOr<Interaction> CheckForLog(const v1::Interaction& interaction,
                                        const IngestParts& parts, const ServingState& state,
                                        int64_t now_us) {
  const IngestOptions& options = parts.options;
  const bool may_create = options.create_items.value_or(state.snapshot->is_empty());
  absl::StatusOr<Interaction> checked =
      CheckInteraction(interaction, options.events, *state.catalogue, now_us, may_create);
  if (!checked.ok()) return checked;
  const auto graph_offset = static_cast<Offset>(state.snapshot->manifest().graph_offset);
  absl::Status status = CheckNotTrained(options.trained, graph_offset, *checked);
  if (status.ok() && checked->item_creation != ItemCreation::kNo) {
    status = parts.new_items.Take(checked->item_id, state);
  }
  if (!status.ok()) return status;
  return checked;
}

void OpenStreams::Add(const void* stream, std::function<void()> end) {
  MutexLock lock(mutex_);
  if (ended_) end();
  streams_.emplace(stream, std::move(end));
}

void OpenStreams::Remove(const void* stream) {
  MutexLock lock(mutex_);
  streams_.erase(stream);
}

void OpenStreams::End() {
  MutexLock lock(mutex_);
  ended_ = true;
  for (const auto& [stream, end] : streams_) end();
}

EventOutcome OutcomeOf(const Appended& appended) {
  switch (appended.outcome) {
    case Appended::Outcome::kAppended:
      return EventOutcome::kAccepted;
    case Appended::Outcome::kDuplicate:
      return EventOutcome::kDuplicate;
    case Appended::Outcome::kConflict:
    case Appended::Outcome::kEtagMismatch:
      break;
  }
  return EventOutcome::kRefused;
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StartIngestStream(
    const IngestParts& parts, const grpc::CallbackServerContext& context) {
  return new IngestStream(parts, context);  // deletes itself when the stream is done
}

}  // namespace groundswell
