#include "server/admin/admin_service.h"

#include <fmt/format.h>

#include <utility>

#include "google/protobuf/util/time_util.h"
#include "index/vectors/faiss_index.h"
#include "server/admin/admin_checks.h"
#include "server/admin/blend_response.h"
#include "server/admin/item_stream.h"
#include "server/admin/log_stream.h"
#include "server/admin/slow_calls_response.h"
#include "server/admin/status_response.h"
#include "server/config/config_reading.h"
#include "server/rpc/caught_status.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/request_decoding.h"
#include "server/rpc/status_details.h"
#include "server/rpc/unary_call.h"
#include "server/serving/served_snapshots.h"
#include "server/serving/snapshot_staging.h"

namespace groundswell {

// One unary call, and what the checks that all calls share say of it.
struct AdminService::Call : UnaryCall {
  using UnaryCall::UnaryCall;
  absl::Status status;
};

AdminService::AdminService(Parts parts)
    : parts_(std::move(parts)),
      item_parts_{.access = parts_.access,
                  .log = parts_.log,
                  .serving = parts_.serving,
                  .new_items = parts_.new_items,
                  .metrics = parts_.metrics,
                  .streams = streams_,
                  .name_space = parts_.config.server.name_space},
      start_(std::chrono::steady_clock::now()) {
  const RequestGate gate{
      .access = parts_.access, .metrics = parts_.metrics, .right = Right::kAdmin};
  const auto index = [](Method method) {
    return IndexOf(v1::AdminService::service_full_name(), method);
  };
  const auto decode_late = [&](Method method, auto handle) {
    MarkMethodRawCallback(index(method), DecodeLate(gate, method, this, handle));
  };
  decode_late(Method::kGetServerStatus, &AdminService::GetServerStatus);
  decode_late(Method::kCreateCheckpoint, &AdminService::CreateCheckpoint);
  decode_late(Method::kVerifyGraph, &AdminService::VerifyGraph);
  decode_late(Method::kCreateBackup, &AdminService::CreateBackup);
  decode_late(Method::kActivateSnapshot, &AdminService::ActivateSnapshot);
  decode_late(Method::kRollBackSnapshot, &AdminService::RollBackSnapshot);
  decode_late(Method::kListSnapshots, &AdminService::ListSnapshots);
  decode_late(Method::kUpsertItem, &AdminService::UpsertItem);
  decode_late(Method::kRemoveItem, &AdminService::RemoveItem);
  decode_late(Method::kGetBlend, &AdminService::GetBlend);
  decode_late(Method::kResetBlend, &AdminService::ResetBlend);
  decode_late(Method::kGetListRules, &AdminService::GetListRules);
  decode_late(Method::kSetListRules, &AdminService::SetListRules);
  decode_late(Method::kListSlowCalls, &AdminService::ListSlowCalls);
  // As bytes: gRPC tells a stream nothing of a message that it cannot decode, and the stream would
  // seem to be at its end.
  using ItemHandler = grpc::internal::CallbackBidiHandler<grpc::ByteBuffer, grpc::ByteBuffer>;
  MarkMethodRawCallback(index(Method::kUpsertItems),
                        new ItemHandler([this](grpc::CallbackServerContext* context) {
                          return StartItemStream(item_parts_, *context);
                        }));
  using LogHandler =
      grpc::internal::CallbackServerStreamingHandler<grpc::ByteBuffer, v1::ReadLogResponse>;
  MarkMethodRawCallback(index(Method::kReadLog),
                        new LogHandler([this, gate](grpc::CallbackServerContext* context,
                                                    const grpc::ByteBuffer* received) {
                          grpc::ByteBuffer bytes = *received;
                          v1::ReadLogRequest request;
                          absl::Status decoded = Decode(gate, *context, bytes, request);
                          if (decoded.ok()) return ReadLog(context, &request);
                          return StartLogStream(LogParts(), std::move(decoded), request);
                        }));
}

std::shared_ptr<AdminService::Call> AdminService::Begin(grpc::CallbackServerContext& context,
                                                        Method method, std::string_view name_space,
                                                        std::string_view request_id) {
  auto call = std::make_shared<Call>(context, parts_.metrics, method);
  call->status = CheckAllowed(context, name_space);
  if (call->status.ok()) call->status = CheckRequestId(request_id);
  return call;
}

absl::Status AdminService::CheckAllowed(const grpc::CallbackServerContext& context,
                                        std::string_view name_space) const {
  if (absl::Status s = parts_.access.Check(context, Right::kAdmin); !s.ok()) return s;
  return CheckNamespace(name_space, parts_.config.server.name_space);
}

absl::Status AdminService::CheckLogIsOwn(std::string_view call) const {
  const std::string& topic = parts_.config.log.kafka_topic;
  if (topic.empty()) return absl::OkStatus();
  return PreconditionFailed(
      "LOG_IS_SHARED", "log.kafka_topic",
      fmt::format("{} would change this server alone, and the others on the log of topic {} not: "
                  "stop all of them, see docs/scale-out.md",
                  call, topic));
}

void AdminService::RunInBackground(const std::shared_ptr<Call>& call,
                                   std::function<absl::Status(const std::stop_token&)> job) {
  if (!call->status.ok()) {
    call->Finish(call->status);
    return;
  }
  const absl::Status submitted =
      parts_.background.Submit([call, job = std::move(job)](const std::stop_token& stop) {
        call->Finish(CaughtStatus([&] { return job(stop); }));
      });
  if (!submitted.ok()) call->Finish(submitted);
}

template <typename Response>
void AdminService::AppendAndApply(const std::shared_ptr<Call>& call, LogEntry entry,
                                  const std::string& request_id, Response& response,
                                  const std::string& new_item_id) {
  const auto settle = [this, new_item_id](Offset offset) {
    if (!new_item_id.empty()) parts_.new_items.Settle(new_item_id, offset);
  };
  AppendRequest append;
  append.entries.push_back(std::move(entry));
  const absl::Status queued = parts_.log.Append(
      std::move(append),
      [this, call, request_id, &response, settle](const absl::StatusOr<AppendResult>& appended) {
        settle(appended.ok() ? appended->entries[0].offset : Offset{0});
        if (!appended.ok()) return call->Finish(LogError(appended.status()));
        const auto& [outcome, offset] = appended->entries[0];
        if (outcome == Appended::Outcome::kConflict) {
          return call->Finish(EventIdReused("request_id", request_id, offset));
        }
        response.set_offset(offset);
        response.set_consistency_token(MakeConsistencyToken(offset));
        parts_.serving.Get()->applier->WhenApplied(offset, call->deadline(), [call](bool applied) {
          call->Finish(applied ? absl::OkStatus()
                               : absl::DeadlineExceededError(
                                     "the change is in the log, but was not applied in time"));
        });
      });
  if (queued.ok()) return;
  settle(0);
  call->Finish(LogError(queued));
}

grpc::ServerUnaryReactor* AdminService::GetServerStatus(grpc::CallbackServerContext* context,
                                                        const v1::GetServerStatusRequest* request,
                                                        v1::ServerStatus* response) {
  const auto call =
      Begin(*context, Method::kGetServerStatus, request->namespace_(), request->request_id());
  if (call->status.ok()) {
    const std::shared_ptr<ServingState> state = parts_.serving.Get();
    response->set_server_version(GROUNDSWELL_VERSION);
    const auto uptime = std::chrono::steady_clock::now() - start_;
    *response->mutable_uptime() = google::protobuf::util::TimeUtil::NanosecondsToDuration(
        std::chrono::nanoseconds(uptime).count());
    response->set_namespace_(parts_.config.server.name_space);
    WriteSnapshot(*state->snapshot, *response->mutable_snapshot());
    WriteGraph(*state, parts_.log, *response->mutable_graph());
    response->set_index_kind(state->embedding_index->status().kind + " (" + FaissIndex::Simd() +
                             ")");
    response->set_configuration(EffectiveToml(parts_.config));
  }
  call->Finish(call->status);
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::CreateCheckpoint(grpc::CallbackServerContext* context,
                                                         const v1::CreateCheckpointRequest* request,
                                                         v1::Checkpoint* response) {
  const auto call =
      Begin(*context, Method::kCreateCheckpoint, request->namespace_(), request->request_id());
  RunInBackground(call, [this, response](const std::stop_token& stop) {
    const absl::StatusOr<CheckpointInfo> info = parts_.jobs.Checkpoint(stop);
    if (info.ok()) WriteCheckpoint(*info, *response);
    return info.status();
  });
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::VerifyGraph(grpc::CallbackServerContext* context,
                                                    const v1::VerifyGraphRequest* request,
                                                    v1::GraphVerification* response) {
  const auto call =
      Begin(*context, Method::kVerifyGraph, request->namespace_(), request->request_id());
  RunInBackground(call, [this, response](const std::stop_token&) {
    const absl::StatusOr<Verification> verified = parts_.jobs.Verify();
    if (verified.ok()) WriteVerification(*verified, *response);
    return verified.status();
  });
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::CreateBackup(grpc::CallbackServerContext* context,
                                                     const v1::CreateBackupRequest* request,
                                                     v1::Backup* response) {
  const auto call =
      Begin(*context, Method::kCreateBackup, request->namespace_(), request->request_id());
  if (call->status.ok()) call->status = CheckDirectory(request->directory());
  const std::string& directory = request->directory();  // which the job copies
  RunInBackground(call, [this, directory, response](const std::stop_token&) {
    response->set_directory(directory);
    response->set_log_end_offset(parts_.log.end());
    return parts_.jobs.Backup(directory);
  });
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::ActivateSnapshot(grpc::CallbackServerContext* context,
                                                         const v1::ActivateSnapshotRequest* request,
                                                         v1::SnapshotInfo* response) {
  const auto call =
      Begin(*context, Method::kActivateSnapshot, request->namespace_(), request->request_id());
  if (call->status.ok()) call->status = CheckDirectory(request->directory());
  const std::string& directory = request->directory();  // which the job copies
  const std::string event_id = EventIdOf(request->request_id());
  const bool validate_only = request->validate_only();
  if (call->status.ok() && !validate_only) call->status = CheckLogIsOwn("ActivateSnapshot");
  RunInBackground(call, [=, this](const std::stop_token& stop) -> absl::Status {
    if (validate_only) {
      const absl::StatusOr<CheckedSnapshot> checked =
          CheckToActivate(directory, parts_.store, parts_.serving.Get()->snapshot->is_empty());
      if (checked.ok()) WriteSnapshot(*checked->snapshot, *response);
      return checked.status();
    }
    return Activate({.directory = directory, .digest = ""}, event_id, stop, *response);
  });
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::RollBackSnapshot(grpc::CallbackServerContext* context,
                                                         const v1::RollBackSnapshotRequest* request,
                                                         v1::SnapshotInfo* response) {
  const auto call =
      Begin(*context, Method::kRollBackSnapshot, request->namespace_(), request->request_id());
  const std::string event_id = EventIdOf(request->request_id());
  if (call->status.ok()) call->status = CheckLogIsOwn("RollBackSnapshot");
  RunInBackground(call, [=, this](const std::stop_token& stop) -> absl::Status {
    const auto before = ServedBefore(parts_.serving.Get()->snapshot->digest(), parts_.store);
    if (!before.ok()) return before.status();
    return Activate({.directory = before->directory, .digest = before->digest}, event_id, stop,
                    *response);
  });
  return call->reactor();
}

absl::Status AdminService::Activate(const Activated& activated, const std::string& event_id,
                                    const std::stop_token& stop, v1::SnapshotInfo& response) const {
  const auto state = ActivateSnapshotFrom(activated, event_id, parts_.activation, stop);
  if (state.ok()) WriteSnapshot(*(*state)->snapshot, response);
  return state.status();
}

grpc::ServerUnaryReactor* AdminService::ListSnapshots(grpc::CallbackServerContext* context,
                                                      const v1::ListSnapshotsRequest* request,
                                                      v1::ListSnapshotsResponse* response) {
  const auto call =
      Begin(*context, Method::kListSnapshots, request->namespace_(), request->request_id());
  if (call->status.ok()) {
    const std::string serving = parts_.serving.Get()->snapshot->digest();
    const auto snapshots = ReadServedSnapshots(parts_.store);
    call->status = snapshots.status();
    for (const ServedSnapshot& served : snapshots.value_or(std::vector<ServedSnapshot>())) {
      WriteServed(served, served.digest == serving, *response->add_snapshots());
    }
  }
  call->Finish(call->status);
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::UpsertItem(grpc::CallbackServerContext* context,
                                                   const v1::UpsertItemRequest* request,
                                                   v1::UpsertItemResponse* response) {
  const auto call =
      Begin(*context, Method::kUpsertItem, request->namespace_(), request->request_id());
  const std::shared_ptr<ServingState> state = parts_.serving.Get();
  absl::StatusOr<AdmittedItem> admitted =
      call->status.ok() ? AdmitItem(*request, *state, parts_.new_items) : call->status;
  if (!admitted.ok()) {
    call->Finish(admitted.status());
    return call->reactor();
  }
  const std::optional<ItemIndex> known = admitted->known;
  groundswell::UpsertItem& item = admitted->item;
  response->set_created(!known.has_value());
  response->set_item_cluster(
      static_cast<int32_t>(known.has_value() ? state->graph->ClusterOf(*known) : item.cluster));
  item.event_id = EventIdOf(request->request_id());
  AppendAndApply(call, std::move(item), request->request_id(), *response,
                 known.has_value() ? std::string() : request->item_id());
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::RemoveItem(grpc::CallbackServerContext* context,
                                                   const v1::RemoveItemRequest* request,
                                                   v1::RemovalReceipt* response) {
  const auto call =
      Begin(*context, Method::kRemoveItem, request->namespace_(), request->request_id());
  if (call->status.ok()) call->status = RequireRequestId(request->request_id());
  if (call->status.ok()) call->status = CheckId("item_id", request->item_id());
  const absl::StatusOr<int64_t> now_us = parts_.now_us();
  if (call->status.ok()) call->status = now_us.status();
  if (!call->status.ok()) {
    call->Finish(call->status);
    return call->reactor();
  }
  parts_.removals.Remove(groundswell::RemoveItem{.event_id = request->request_id(),
                                                 .item_id = request->item_id(),
                                                 .item_hash = HashId(request->item_id()),
                                                 .time_us = *now_us},
                         call->deadline(),
                         [call, response](absl::StatusOr<v1::RemovalReceipt> receipt) {
                           const absl::Status status = receipt.status();
                           if (status.ok()) *response = *std::move(receipt);
                           call->Finish(status);
                         });
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::GetBlend(grpc::CallbackServerContext* context,
                                                 const v1::GetBlendRequest* request,
                                                 v1::Blend* response) {
  const auto call =
      Begin(*context, Method::kGetBlend, request->namespace_(), request->request_id());
  if (call->status.ok()) {
    call->status = WriteBlend(*parts_.serving.Get(), parts_.config.blend.learning, *response);
  }
  call->Finish(call->status);
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::ResetBlend(grpc::CallbackServerContext* context,
                                                   const v1::ResetBlendRequest* request,
                                                   v1::ResetBlendResponse* response) {
  const auto call =
      Begin(*context, Method::kResetBlend, request->namespace_(), request->request_id());
  if (!call->status.ok()) {
    call->Finish(call->status);
    return call->reactor();
  }
  AppendAndApply(call, groundswell::ResetBlend{.event_id = EventIdOf(request->request_id())},
                 request->request_id(), *response);
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::GetListRules(grpc::CallbackServerContext* context,
                                                     const v1::GetListRulesRequest* request,
                                                     v1::ListRules* response) {
  const auto call =
      Begin(*context, Method::kGetListRules, request->namespace_(), request->request_id());
  if (call->status.ok()) *response = *parts_.list_rules.Get();
  call->Finish(call->status);
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::SetListRules(grpc::CallbackServerContext* context,
                                                     const v1::SetListRulesRequest* request,
                                                     v1::ListRules* response) {
  const auto call =
      Begin(*context, Method::kSetListRules, request->namespace_(), request->request_id());
  absl::StatusOr<groundswell::SetListRules> set =
      call->status.ok() ? ToLogEntry(request->rules(), EventIdOf(request->request_id()))
                        : call->status;
  if (!set.ok()) {
    call->Finish(set.status());
    return call->reactor();
  }
  *response = request->rules();
  response->set_etag(set->etag);
  AppendRequest append;
  append.entries.emplace_back(*std::move(set));
  const absl::Status queued = parts_.log.Append(
      std::move(append),
      [call, request_id = request->request_id()](const absl::StatusOr<AppendResult>& appended) {
        call->Finish(SetStatusOf(appended, request_id));
      });
  if (!queued.ok()) call->Finish(LogError(queued));
  return call->reactor();
}

grpc::ServerUnaryReactor* AdminService::ListSlowCalls(grpc::CallbackServerContext* context,
                                                      const v1::ListSlowCallsRequest* request,
                                                      v1::ListSlowCallsResponse* response) {
  const auto call =
      Begin(*context, Method::kListSlowCalls, request->namespace_(), request->request_id());
  if (call->status.ok()) {
    const absl::StatusOr<size_t> limit = CheckSlowCallLimit(request->limit());
    if (limit.ok()) WriteSlowCalls(parts_.slow_calls, *limit, *response);
    call->status = limit.status();
  }
  call->Finish(call->status);
  return call->reactor();
}

LogStreamParts AdminService::LogParts() const {
  return {.log = parts_.log,
          .store = parts_.store,
          .serving = parts_.serving,
          .metrics = parts_.metrics};
}

grpc::ServerWriteReactor<v1::ReadLogResponse>* AdminService::ReadLog(
    grpc::CallbackServerContext* context, const v1::ReadLogRequest* request) {
  return StartLogStream(LogParts(), CheckAllowed(*context, request->namespace_()), *request);
}

}  // namespace groundswell
