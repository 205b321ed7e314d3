#include "server/admin/item_stream.h"

#include <fmt/format.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "graph/mutex.h"
#include "server/admin/admin_checks.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/request_decoding.h"
#include "server/rpc/status_details.h"
#include "server/rpc/unary_call.h"
#include "server/rpc/work_in_progress.h"

namespace groundswell {
namespace {

// One stream. A batch is read, goes to the log, is applied and is answered before the next one is
// read: what a stream holds is one batch, and a fast sender waits for HTTP/2.
//
// gRPC, the log and the applier each call from threads of their own, one after the other; OnCancel
// and GoAway come beside them. A batch that the log has is waited for, so that nothing refers to a
// stream that is gone.
class ItemStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  ItemStream(const ItemParts& parts, const grpc::CallbackServerContext& context)
      : parts_(parts),
        context_(context),
        scope_(std::in_place, parts.metrics, Method::kUpsertItems) {
    parts_.streams.Add(this, [this] { GoAway(); });
    // One that may not send is not waited for.
    const absl::Status allowed = parts_.access.CheckRight(context_, Right::kAdmin);
    MutexLock lock(mutex_);
    if (failure_.ok()) failure_ = allowed;
    GoOn();
  }
  ~ItemStream() override { parts_.streams.Remove(this); }

  void OnReadDone(bool ok) override {
    {
      MutexLock lock(mutex_);
      if (finished_) return;
      reading_done_ = !ok;
      in_batch_ = ok;
      if (!ok) return GoOn();
    }
    work_.emplace();
    if (absl::Status s = AcceptBatch(); !s.ok()) EndBatch(s);
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(mutex_);
    sent_.Clear();
    if (!ok) broken_ = true;
    in_batch_ = false;
    GoOn();
  }

  void OnCancel() override {
    MutexLock lock(mutex_);
    broken_ = true;
    FinishWhenDone();
  }

  void OnDone() override {
    { MutexLock lock(mutex_); }  // whoever finished it has left
    delete this;
  }

 private:
  // A request on its way through the log.
  struct Entry {
    int32_t position = 0;  // in the batch
    std::string item_id;
    std::string request_id;
    bool creates = false;
  };

  // The batch that was read is still answered; what was sent beyond it comes again, on another
  // stream.
  void GoAway() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(mutex_);
    if (failure_.ok()) {
      failure_ = WithReason(
          absl::UnavailableError("the server is stopping: send what is not answered again"),
          "STOPPING");
    }
    FinishWhenDone();
  }

  absl::Status ReadBatch() {
    if (absl::Status s = DecodeBytes(received_, request_); !s.ok()) return s;
    const auto count = static_cast<size_t>(request_.requests_size());
    if (count >= 1 && count <= kUpsertedItemsMax) return absl::OkStatus();
    return InvalidField("requests", std::to_string(count),
                        fmt::format("must hold 1 to {} requests", kUpsertedItemsMax));
  }

  // Checks what was read and hands it to the log. An error ends the stream.
  absl::Status AcceptBatch() {
    // Asked for every batch, so that a client whose rights were taken away is not heard any longer.
    absl::Status allowed = parts_.access.Check(context_, Right::kAdmin);
    const bool may_come_later = absl::IsResourceExhausted(allowed);
    if (!allowed.ok() && !may_come_later) return allowed;
    if (absl::Status s = ReadBatch(); !s.ok()) return s;
    response_.Clear();
    response_.set_batch_index(next_batch_++);
    entries_.clear();
    AppendRequest append;
    const std::shared_ptr<ServingState> state = parts_.serving.Get();
    for (int32_t i = 0; i < request_.requests_size(); ++i) {
      const absl::Status status = allowed.ok() ? Admit(i, *state, append) : allowed;
      if (!status.ok()) Refuse(i, status);
    }
    if (append.entries.empty()) {
      Answer();
      return absl::OkStatus();
    }
    const absl::Status queued = parts_.log.Append(
        std::move(append),
        [this](const absl::StatusOr<AppendResult>& appended) { OnAppended(appended); });
    if (!queued.ok()) OnAppended(queued);
    return absl::OkStatus();
  }

  absl::Status Admit(int32_t position, const ServingState& state, AppendRequest& append) {
    const v1::UpsertItemRequest& request = request_.requests(position);
    absl::Status status = CheckNamespace(request.namespace_(), parts_.name_space);
    if (status.ok()) status = CheckRequestId(request.request_id());
    if (!status.ok()) return status;
    absl::StatusOr<AdmittedItem> admitted = AdmitItem(request, state, parts_.new_items);
    if (!admitted.ok()) return admitted.status();
    admitted->item.event_id = EventIdOf(request.request_id());
    append.entries.emplace_back(std::move(admitted->item));
    entries_.push_back({.position = position,
                        .item_id = request.item_id(),
                        .request_id = request.request_id(),
                        .creates = !admitted->known.has_value()});
    return absl::OkStatus();
  }

  void Refuse(int32_t position, const absl::Status& status) {
    v1::UpsertItemsResponse::Refusal& refusal = *response_.add_refusals();
    refusal.set_index(position);
    *refusal.mutable_status() = ToRpcStatus(status);
  }

  // The log's answer for the batch.
  void OnAppended(const absl::StatusOr<AppendResult>& appended) {
    Offset last = 0;
    for (size_t i = 0; i < entries_.size(); ++i) {
      const Entry& entry = entries_[i];
      const Appended one = appended.ok() ? appended->entries[i] : Appended{};
      if (entry.creates) parts_.new_items.Settle(entry.item_id, one.offset);
      if (!appended.ok()) {
        Refuse(entry.position, LogError(appended.status()));
      } else if (one.outcome == Appended::Outcome::kConflict) {
        Refuse(entry.position, EventIdReused("request_id", entry.request_id, one.offset));
      } else {
        Count(entry, one.outcome);
        last = std::max(last, one.offset);
      }
    }
    if (last == 0) return Answer();
    response_.set_last_offset(last);
    response_.set_consistency_token(MakeConsistencyToken(last));
    const auto deadline =
        std::chrono::steady_clock::now() + TimeFor(context_, UnaryCall::kDeadlineMax);
    parts_.serving.Get()->applier->WhenApplied(last, deadline, [this](bool applied) {
      if (applied) return Answer();
      EndBatch(absl::DeadlineExceededError("the batch is in the log, but was not applied in time"));
    });
  }

  void Count(const Entry& entry, Appended::Outcome outcome) {
    if (outcome == Appended::Outcome::kDuplicate) {
      response_.set_duplicate_count(response_.duplicate_count() + 1);
    } else if (entry.creates) {
      response_.set_created_count(response_.created_count() + 1);
    } else {
      response_.set_replaced_count(response_.replaced_count() + 1);
    }
  }

  void Answer() ABSL_LOCKS_EXCLUDED(mutex_) {
    work_.reset();
    MutexLock lock(mutex_);
    if (broken_) {
      in_batch_ = false;
      return FinishWhenDone();
    }
    bool own_buffer = false;
    // Bytes that cannot be made are an empty message, in place of an answer.
    grpc::SerializationTraits<v1::UpsertItemsResponse>::Serialize(response_, &sent_, &own_buffer)
        .IgnoreError();
    StartWrite(&sent_);
  }

  // Without an answer.
  void EndBatch(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_) {
    work_.reset();
    MutexLock lock(mutex_);
    if (failure_.ok()) failure_ = why;
    in_batch_ = false;
    FinishWhenDone();
  }

  // The next batch, or the end. REQUIRES: nothing is being read or written.
  void GoOn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    FinishWhenDone();
    if (!finished_) StartRead(&received_);
  }

  void FinishWhenDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_ || in_batch_) return;
    if (!broken_ && !reading_done_ && failure_.ok()) return;
    finished_ = true;
    const grpc::Status status = broken_ ? grpc::Status::CANCELLED : ToGrpcStatus(failure_);
    CountAndFinish(status, scope_, *this);
  }

  const ItemParts& parts_;
  const grpc::CallbackServerContext& context_;
  // The batch's alone, from its reading to its answer.
  grpc::ByteBuffer received_;
  v1::UpsertItemsRequest request_;
  v1::UpsertItemsResponse response_;
  std::optional<WorkInProgress::Piece> work_;  // while a batch is neither answered nor given up
  std::vector<Entry> entries_;                 // of the requests that go to the log
  int64_t next_batch_ = 0;

  Mutex mutex_;
  std::optional<RpcScope> scope_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer sent_ ABSL_GUARDED_BY(mutex_);  // the write in progress
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  bool in_batch_ ABSL_GUARDED_BY(mutex_) = false;  // from what was read to what was written
  bool reading_done_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::StatusOr<AdmittedItem> AdmitItem(const v1::UpsertItemRequest& request,
                                       const ServingState& state, NewItemRoom& new_items) {
  absl::StatusOr<UpsertItem> item = CheckUpsertItem(request, *state.snapshot);
  if (!item.ok()) return item.status();
  const std::optional<ItemIndex> known = state.catalogue->Find(request.item_id());
  if (!known.has_value()) {
    const absl::Status room = new_items.Take(request.item_id(), state);
    if (!room.ok()) {
      return WithReason(absl::ResourceExhaustedError(room.message()), ReasonOf(room));
    }
  }
  return AdmittedItem{.item = *std::move(item), .known = known};
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StartItemStream(
    const ItemParts& parts, const grpc::CallbackServerContext& context) {
  return new ItemStream(parts, context);  // deletes itself when the stream is done
}

}  // namespace groundswell
