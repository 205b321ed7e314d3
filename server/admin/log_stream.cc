#include "server/admin/log_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "graph/fold/judgement.h"
#include "graph/upkeep/pending_removals.h"
#include "server/rpc/api_time.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/status_details.h"
#include "server/rpc/unary_call.h"
#include "server/rpc/work_in_progress.h"

namespace groundswell {
namespace {

constexpr size_t kEntriesPerMessage = 500;

void WriteInteraction(const Interaction& interaction, v1::Interaction& out) {
  out.set_event_id(interaction.event_id);
  out.set_user_id(interaction.user_id);
  out.set_item_id(interaction.item_id);
  out.set_event_type(interaction.event_type);
  // 0 belongs to its type alone.
  if (interaction.weight != 0) out.set_weight(static_cast<int32_t>(interaction.weight));
  *out.mutable_event_time() = ToTimestamp(interaction.event_time_us);
}

std::string_view ChangeName(const LogEntry& entry) {
  static constexpr std::string_view kNames[] = {"interaction", "redacted",      "forget_user",
                                                "remove_item", "upsert_item",   "activate_snapshot",
                                                "reset_blend", "set_list_rules"};
  static_assert(std::size(kNames) == std::variant_size_v<LogEntry>);
  return kNames[entry.index()];
}

// Reads a message's worth of entries whenever the client has taken the one before.
class LogStream final : public grpc::ServerWriteReactor<v1::ReadLogResponse> {
 public:
  LogStream(const LogStreamParts& parts, absl::Status allowed, const v1::ReadLogRequest& request)
      : log_(parts.log),
        serving_(parts.serving),
        scope_(std::in_place, parts.metrics, Method::kReadLog) {
    const WorkInProgress::Piece work;
    absl::Status status = std::move(allowed);
    if (status.ok()) status = CheckRequestId(request.request_id());
    next_ = request.from_offset() == 0 ? log_.begin() : request.from_offset();
    const Offset applied = parts.serving.Get()->applier->applied_offset();
    end_ = log_.end();
    if (request.limit() > 0 && next_ <= end_ && request.limit() - 1 < end_ - next_) {
      end_ = next_ + request.limit() - 1;
    }
    for (const auto& [field, value] :
         {std::pair("from_offset", request.from_offset()), std::pair("limit", request.limit())}) {
      if (!status.ok() || value >= 0) continue;
      status = InvalidField(field, std::to_string(value), "must not be negative");
    }
    if (status.ok() && next_ < log_.begin()) {
      status = WithReason(absl::OutOfRangeError(fmt::format(
                              "from_offset is {}, but the log begins at {}", next_, log_.begin())),
                          "LOG_CUT");
    }
    if (status.ok()) status = ReadPendingRemovals(parts.store, applied);
    if (status.ok()) {
      WriteNext();
    } else {
      End(status);
    }
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      WriteNext();
    } else {
      End(absl::CancelledError("the client is gone"));
    }
  }

  void OnDone() override { delete this; }

 private:
  // All of the log's, also those behind a limit.
  absl::Status ReadPendingRemovals(const GraphStore& store, Offset applied) {
    absl::StatusOr<PendingRemovals> pending =
        PendingRemovals::Read(store, log_, applied, log_.end());
    if (!pending.ok()) return pending.status();
    pending_ = *std::move(pending);
    return absl::OkStatus();
  }

  // Until it is written; a client that does not fetch it is not worked for.
  void WriteNext() {
    const WorkInProgress::Piece work;
    if (next_ > end_) {
      End(absl::OkStatus());
      return;
    }
    const auto wanted = static_cast<size_t>(end_ - next_ + 1);
    const auto entries = log_.Read(next_, std::min(wanted, kEntriesPerMessage));
    if (!entries.ok() || entries->empty()) {
      End(entries.status());
      return;
    }
    const PendingRemovals::IsOfSnapshot is_of_snapshot =
        [state = serving_.Get()](const std::string& item_id) {
          return !WasPerhapsRemoved(state->catalogue->Find(item_id),
                                    state->snapshot->item_clusters().size());
        };
    message_.clear_entries();
    for (const auto& [offset, entry] : *entries) {
      const auto* const interaction = std::get_if<Interaction>(&entry);
      absl::StatusOr<bool> covered = false;
      if (interaction != nullptr) {
        covered = pending_->Covers(offset, *interaction, is_of_snapshot);
      }
      if (!covered.ok()) {
        End(covered.status());
        return;
      }
      v1::LogEntry& out = *message_.add_entries();
      out.set_offset(offset);
      if (*covered) {
        out.set_change(std::string(ChangeName(Redacted{})));
      } else if (interaction != nullptr) {
        *out.mutable_receive_time() = ToTimestamp(interaction->received_time_us);
        WriteInteraction(*interaction, *out.mutable_interaction());
      } else {
        out.set_change(std::string(ChangeName(entry)));
      }
    }
    next_ = entries->back().first + 1;
    StartWrite(&message_);
  }

  void End(const absl::Status& status) { CountAndFinish(ToGrpcStatus(status), scope_, *this); }

  const RocksdbLog& log_;
  const ServingCell& serving_;
  std::optional<PendingRemovals> pending_;  // once it began
  std::optional<RpcScope> scope_;
  Offset next_ = 0;
  Offset end_ = 0;
  v1::ReadLogResponse message_;
};

}  // namespace

grpc::ServerWriteReactor<v1::ReadLogResponse>* StartLogStream(const LogStreamParts& parts,
                                                              absl::Status allowed,
                                                              const v1::ReadLogRequest& request) {
  return new LogStream(parts, std::move(allowed), request);
}

}  // namespace groundswell
