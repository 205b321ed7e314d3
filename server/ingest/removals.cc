#include "server/ingest/removals.h"

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "server/rpc/api_time.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/status_details.h"
#include "server/serving/clock_ahead.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;

std::pair<Tombstone::Kind, IdHash> SubjectOf(const LogEntry& entry) {
  if (const auto* forget = std::get_if<ForgetUser>(&entry); forget != nullptr) {
    return {Tombstone::Kind::kUser, forget->user_hash};
  }
  return {Tombstone::Kind::kItem, std::get<RemoveItem>(entry).item_hash};
}

}  // namespace

Removals::Removals(InteractionLog& log, const GraphStore& store, const ServingCell& serving,
                   BackgroundThread& background, GraphJobs& jobs,
                   std::optional<std::chrono::seconds> clock_ahead_max)
    : log_(log),
      store_(store),
      serving_(serving),
      background_(background),
      jobs_(jobs),
      clock_ahead_max_(clock_ahead_max) {}

absl::Status Removals::CheckTime(int64_t time_us) const {
  const Applier::Progress progress = serving_.Get()->applier->progress();
  const auto ahead = ClockAhead(progress, time_us, clock_ahead_max_);
  if (!ahead.has_value()) return absl::OkStatus();
  return PreconditionFailed(
      "CLOCK_AHEAD", "the server's clock",
      fmt::format(
          "the server's clock says {}, {} s after what the newest interaction, of {}, lets "
          "expect; at most {} s are taken to be right (ingest.clock_ahead_max_s), since "
          "what happens until the removal's time is dropped. Set the clock right, or, where "
          "it is right and no interaction came for so long, record one or raise the limit",
          TimeText(time_us), ahead->count() / kMicrosPerSecond,
          TimeText(progress.newest_event_time_us), clock_ahead_max_->count()));
}

absl::StatusOr<v1::RemovalReceipt> Removals::ReadReceipt(Tombstone::Kind kind,
                                                         const IdHash& hash) const {
  const auto tombstone = store_.FindTombstone(kind, hash);
  if (!tombstone.ok()) return tombstone.status();
  if (!tombstone->has_value()) return absl::InternalError("the removal left no tombstone");
  const Tombstone& found = **tombstone;
  v1::RemovalReceipt receipt;
  receipt.set_offset(found.offset);
  receipt.set_user_count(found.removed.users);
  receipt.set_edge_count(found.removed.edges);
  receipt.set_total_count(found.removed.weight);
  receipt.set_digest(found.digest.ToString());
  receipt.set_redacted_record_count(found.redacted_records);
  *receipt.mutable_late_until() = ToTimestamp(found.time_us);
  receipt.set_consistency_token(MakeConsistencyToken(found.offset));
  return receipt;
}

void Removals::Remove(LogEntry entry, steady_clock::time_point deadline, Done done) {
  const bool forgets = std::holds_alternative<ForgetUser>(entry);
  const int64_t time_us =
      forgets ? std::get<ForgetUser>(entry).time_us : std::get<RemoveItem>(entry).time_us;
  if (absl::Status s = CheckTime(time_us); !s.ok()) {
    done(s);
    return;
  }
  const auto [kind, hash] = SubjectOf(entry);
  auto shared = std::make_shared<Done>(std::move(done));
  const auto redact = [this, kind = kind, hash = hash, shared](bool applied) {
    if (!applied) {
      (*shared)(absl::DeadlineExceededError(
          "the removal is in the log, but was not applied in time; ask again with the same "
          "request_id"));
      return;
    }
    absl::Status submitted =
        background_.Submit([this, kind, hash, shared](const std::stop_token& stop) {
          const absl::StatusOr<int64_t> redacted = jobs_.Redact(stop);
          (*shared)(redacted.ok() ? ReadReceipt(kind, hash) : redacted.status());
        });
    if (!submitted.ok()) (*shared)(submitted);
  };
  const std::string event_id(EventIdOf(entry));
  AppendRequest request;
  request.entries.push_back(std::move(entry));
  const absl::Status queued = log_.Append(
      std::move(request),
      [this, shared, deadline, redact, event_id](const absl::StatusOr<AppendResult>& appended) {
        if (!appended.ok()) {
          (*shared)(LogError(appended.status()));
          return;
        }
        if (appended->entries[0].outcome == Appended::Outcome::kConflict) {
          (*shared)(EventIdReused("request_id", event_id, appended->entries[0].offset));
          return;
        }
        serving_.Get()->applier->WhenApplied(appended->entries[0].offset, deadline, redact);
      });
  if (!queued.ok()) (*shared)(LogError(queued));
}

}  // namespace groundswell
