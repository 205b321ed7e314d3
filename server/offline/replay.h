// Replay: folds a log of interactions through the same graph code that serves, and writes what a
// trainer needs of it: the graph at the end, and training rows with the features as they were just
// before their event.
#ifndef GROUNDSWELL_SERVER_OFFLINE_REPLAY_H_
#define GROUNDSWELL_SERVER_OFFLINE_REPLAY_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "graph/state/user_edges.h"
#include "server/offline/event_csv.h"
#include "server/offline/negative_sampler.h"
#include "server/offline/past_candidates.h"

namespace groundswell {

struct ReplayOptions {
  std::string snapshot_directory;  // manifest, users, items, embeddings and clusters are read
  std::string events_path;         // CSV as ReadEventCsv reads it, in time order
  EventWeights weights;            // of events that do not say what they weigh
  std::string graph_out;           // graph.safetensors of docs/snapshot.md; empty: not written
  // Of each user, the newest so many keep an edge of their own in it (Window::traced).
  int64_t traced_interactions = Window::kTraceLengthDefault;
  std::string rows_out;  // training rows (FeatureRows); empty: not written
  // Rows are made of the events in [rows_from_s, rows_until_s) that add to the graph: what is taken
  // back, and what the fold would not apply, is no positive. The others only move the state.
  int64_t rows_from_s = 0;
  int64_t rows_until_s = std::numeric_limits<int64_t>::max();
  double sample_rate = 1.0;  // share of those events that become rows
  // All rows with the features of this one moment instead of those just before their event: what a
  // nightly export has. To measure what that costs, not to train what is served.
  std::optional<int64_t> features_at_s;
  NegativeCounts negatives;
  CandidateDraw candidates;   // how those of `negatives` are drawn
  uint32_t history_len = 20;  // newest items of the user
  uint32_t recent_len = 20;   // newest users of an item
  // Items outside the snapshot are new items from their first event on, as if each had been
  // upserted just before it; else their events are left out, as the server refuses them.
  bool creates_items = false;
  uint64_t seed = 1;
};

// Deterministic under `seed`. Memory: the log (PastLog), the graph, and what the system keeps of
// the rows' file, which is written through a mapping. Cancelled, leaving no file, when `cancelled`
// answers true.
absl::Status Replay(const ReplayOptions& options, const std::function<bool()>& cancelled);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_REPLAY_H_
