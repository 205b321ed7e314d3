#include "server/ingest/interaction_service.h"

#include <memory>
#include <string>
#include <utility>

#include "server/rpc/field_checks.h"
#include "server/rpc/request_decoding.h"
#include "server/rpc/status_details.h"
#include "server/rpc/unary_call.h"

namespace groundswell {

InteractionService::InteractionService(const AccessControl& access, InteractionLog& log,
                                       const ServingCell& serving, Removals& removals,
                                       NewItemRoom& new_items, Metrics& metrics, Options options)
    : parts_{access, log, serving, new_items, metrics, streams_, std::move(options)},
      removals_(removals) {
  const RequestGate gate{.access = access, .metrics = metrics.requests(), .right = Right::kWrite};
  const auto decode_late = [&](Method method, auto handle) {
    MarkMethodRawCallback(IndexOf(v1::InteractionService::service_full_name(), method),
                          DecodeLate(gate, method, this, handle));
  };
  decode_late(Method::kRecordInteraction, &InteractionService::RecordInteraction);
  decode_late(Method::kForgetUser, &InteractionService::ForgetUser);
}

grpc::ServerUnaryReactor* InteractionService::ForgetUser(grpc::CallbackServerContext* context,
                                                         const v1::ForgetUserRequest* request,
                                                         v1::RemovalReceipt* response) {
  const auto call =
      std::make_shared<UnaryCall>(*context, parts_.metrics.requests(), Method::kForgetUser);
  absl::Status status = parts_.access.Check(*context, Right::kWrite);
  if (status.ok()) status = CheckNamespace(request->namespace_(), parts_.options.name_space);
  if (status.ok()) status = RequireRequestId(request->request_id());
  if (status.ok()) status = CheckId("user_id", request->user_id());
  const absl::StatusOr<int64_t> now_us = parts_.options.now_us();
  if (status.ok()) status = now_us.status();
  if (!status.ok()) {
    call->Finish(status);
    return call->reactor();
  }
  removals_.Remove(groundswell::ForgetUser{.event_id = request->request_id(),
                                           .user_id = request->user_id(),
                                           .user_hash = HashId(request->user_id()),
                                           .time_us = *now_us},
                   call->deadline(), [call, response](absl::StatusOr<v1::RemovalReceipt> receipt) {
                     const absl::Status removed = receipt.status();
                     if (removed.ok()) *response = *std::move(receipt);
                     call->Finish(removed);
                   });
  return call->reactor();
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* InteractionService::Ingest(
    grpc::CallbackServerContext* context) {
  return StartIngestStream(parts_, *context);
}

grpc::ServerUnaryReactor* InteractionService::RecordInteraction(
    grpc::CallbackServerContext* context, const v1::RecordInteractionRequest* request,
    v1::RecordInteractionResponse* response) {
  const auto call =
      std::make_shared<UnaryCall>(*context, parts_.metrics.requests(), Method::kRecordInteraction);
  v1::Interaction one = request->interaction();
  if (one.event_id().empty()) one.set_event_id(request->request_id());
  const auto refuse = [this, call, type = one.event_type()](const absl::Status& why) {
    parts_.metrics.events().CountEvents(type, EventOutcome::kRefused);
    call->Finish(why);
  };
  absl::Status status = parts_.access.Check(*context, Right::kWrite);
  if (status.ok()) status = CheckNamespace(request->namespace_(), parts_.options.name_space);
  if (status.ok()) status = CheckRequestId(request->request_id());
  const absl::StatusOr<int64_t> now_us = parts_.options.now_us();
  if (status.ok()) status = now_us.status();
  absl::StatusOr<Interaction> interaction =
      status.ok() ? CheckForLog(one, parts_, *parts_.serving.Get(), *now_us) : status;
  if (!interaction.ok()) {
    refuse(interaction.status());
    return call->reactor();
  }
  AppendRequest append;
  const bool creates = interaction->item_creation != ItemCreation::kNo;
  const auto settle = [this, item = creates ? one.item_id() : std::string()](Offset offset) {
    if (!item.empty()) parts_.new_items.Settle(item, offset);
  };
  append.entries.emplace_back(*std::move(interaction));
  const absl::Status queued = parts_.log.Append(
      std::move(append), [this, call, refuse, settle, response, type = one.event_type(),
                          id = one.event_id()](const absl::StatusOr<AppendResult>& appended) {
        settle(appended.ok() ? appended->entries.front().offset : Offset{0});
        if (!appended.ok()) {
          refuse(LogError(appended.status()));
          return;
        }
        const Appended& one_appended = appended->entries.front();
        const EventOutcome outcome = OutcomeOf(one_appended);
        if (outcome == EventOutcome::kRefused) {
          refuse(EventIdReused("event_id", id, one_appended.offset));
          return;
        }
        response->set_offset(one_appended.offset);
        response->set_duplicate(outcome == EventOutcome::kDuplicate);
        response->set_consistency_token(MakeConsistencyToken(one_appended.offset));
        parts_.metrics.events().CountEvents(type, outcome);
        call->Finish(absl::OkStatus());
      });
  if (!queued.ok()) {
    settle(0);
    refuse(LogError(queued));
  }
  return call->reactor();
}

}  // namespace groundswell
