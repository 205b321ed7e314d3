#include "server/admin/status_response.h"

#include <string>

#include "google/protobuf/util/time_util.h"
#include "server/admin/blend_response.h"
#include "server/rpc/api_time.h"

namespace groundswell {

void WriteSnapshot(const Snapshot& snapshot, v1::SnapshotInfo& out) {
  const Manifest& manifest = snapshot.manifest();
  out.set_version(manifest.FullVersion());
  out.set_digest(snapshot.digest());
  *out.mutable_create_time() = ToTimestamp(manifest.create_time_us);
  out.set_users(static_cast<int64_t>(manifest.users));
  out.set_items(static_cast<int64_t>(manifest.items));
  out.set_embedding_dim(snapshot.is_empty() ? 0 : static_cast<int32_t>(manifest.embedding_dim));
  out.set_user_clusters(static_cast<int32_t>(manifest.user_clusters));
  out.set_item_clusters(static_cast<int32_t>(manifest.item_clusters));
  for (const auto& ranker : snapshot.rankers()) out.add_rankers(std::string(ranker->name()));
  out.mutable_training_metrics()->insert(manifest.metrics.begin(), manifest.metrics.end());
}

void WriteServed(const ServedSnapshot& served, bool serves, v1::ServedSnapshot& out) {
  out.set_version(served.version);
  out.set_digest(served.digest);
  out.set_directory(served.directory);
  *out.mutable_activate_time() = ToTimestamp(served.activate_time_us);
  if (serves) {
    out.set_state(v1::SNAPSHOT_STATE_SERVING);
  } else {
    out.set_state(IsStillThere(served) ? v1::SNAPSHOT_STATE_AVAILABLE : v1::SNAPSHOT_STATE_GONE);
  }
}

void WriteCheckpoint(const CheckpointInfo& info, v1::Checkpoint& out) {
  out.set_offset(info.offset);
  out.set_item_count(static_cast<int64_t>(info.items));
  out.set_size_bytes(static_cast<int64_t>(info.bytes));
  *out.mutable_create_time() = ToTimestamp(info.create_time_us);
}

void WriteVerification(const Verification& verified, v1::GraphVerification& out) {
  out.set_applied_offset(verified.applied_offset);
  out.set_digest(verified.digest.ToString());
  out.set_user_count(static_cast<int64_t>(verified.users));
  out.set_edge_count(static_cast<int64_t>(verified.edges));
  out.set_item_count(static_cast<int64_t>(verified.items));
  out.set_counter_count(static_cast<int64_t>(verified.counters));
  out.set_difference_count(static_cast<int64_t>(verified.difference_count));
  for (const std::string& difference : verified.differences) out.add_differences(difference);
}

void WriteGraph(const LiveState& state, const RocksdbLog& log, v1::GraphInfo& out) {
  const Applier::Progress progress = state.applier->progress();
  out.set_applied_offset(progress.applied_offset);
  out.set_log_end_offset(log.end());
  out.set_log_begin_offset(log.begin());
  out.set_users(progress.live_user_count);
  out.set_edges(progress.edge_count);
  out.set_digest(progress.digest.ToString());
  out.set_blend_digest(BlendDigest(state).value_or(""));
  *out.mutable_newest_event_time() = ToTimestamp(progress.newest_event_time_us);
  const auto checkpoint = state.generation.ReadCheckpoint();
  if (checkpoint.ok() && checkpoint->has_value()) {
    WriteCheckpoint(**checkpoint, *out.mutable_checkpoint());
  }
  const Window& window = state.graph_state.window;
  *out.mutable_window_age() =
      google::protobuf::util::TimeUtil::MicrosecondsToDuration(window.age_us);
  out.set_window_interactions(window.interactions);
  out.set_window_items(window.items);
  out.set_traced_interactions(window.traced);
}

}  // namespace groundswell
