// Replay: folds a log of interactions through the same graph code that serves, and writes what a
// trainer needs of it: the graph at the end, and training rows with the features as they were just
// before their event.
#ifndef GROUNDSWELL_SERVER_REPLAY_H_
#define GROUNDSWELL_SERVER_REPLAY_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "absl/status/status.h"

namespace groundswell {

struct ReplayOptions {
  std::string snapshot_directory;  // manifest, users, items, embeddings and clusters are read
  std::string events_path;         // CSV: timestamp (Unix seconds), user, item; in time order
  std::string graph_out;           // graph.safetensors of docs/snapshot.md; empty: not written
  std::string rows_out;            // training rows; empty: not written
  // Rows are made of the events in [rows_from_s, rows_until_s); the others only move the state.
  int64_t rows_from_s = 0;
  int64_t rows_until_s = std::numeric_limits<int64_t>::max();
  double sample_rate = 1.0;        // share of those events that become rows
  uint32_t negatives = 4;          // per positive, items that the user has not
  double popular_negatives = 0.5;  // share of them drawn from earlier events instead of uniformly
  uint32_t recent_len = 20;        // newest neighbours per row
  uint64_t seed = 1;
};

// The columns of rows.safetensors, N rows, a positive (label 1) followed by its negatives:
//   event [N] int64      position of the positive in the events, from 1
//   label, user, item [N] int32     user and item as embedding rows: index + 1, 0 unknown
//   u1 [N,Q] H1_u, u2 [N,P] H2_u, i1 [N,P] H1_i, i2 [N,Q] H2_i      int32
//   urec, irec [N,recent_len] int32     newest items and users as rows, 0 where there is none
// Counts above 2^31 - 1 are refused with OutOfRange. Deterministic under `seed`. Cancelled, leaving
// no file, when `cancelled` answers true.
absl::Status Replay(const ReplayOptions& options, const std::function<bool()>& cancelled);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_REPLAY_H_
