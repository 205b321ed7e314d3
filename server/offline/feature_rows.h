// FeatureRows: the training rows that a replay writes.
#ifndef GROUNDSWELL_SERVER_OFFLINE_FEATURE_ROWS_H_
#define GROUNDSWELL_SERVER_OFFLINE_FEATURE_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/ranker.h"
#include "server/offline/feature_file.h"
#include "server/offline/negative_sampler.h"

namespace groundswell {

// A safetensors file by columns, in the order in which they are written, so that numpy maps it
// without copying. E events, each with C items: the positive, then its negatives.
//
//   event [E] int64    position of the event in the log, from 1
//   urec_time_us [E,history_len] int64    when urec's items were taken last, 0 where there is none
//   ufirst_time_us, unow_us [E] int64     when the user's oldest item was, 0 without one; the event
//   user [E] int32     row of the embeddings: index + 1, 0 unknown to the snapshot
//   u1 [E,Q] H1_u, u2 [E,P] H2_u, urec [E,history_len] newest items as rows, 0 where there is none
//   item, source [E,C] int32     row likewise; RowSource
//   i1 [E,C,P] H1_i, i2 [E,C,Q] H2_i, irec [E,C,recent_len] newest users as rows
//
// All as they were just before the event; int32 where nothing is said. The header's metadata say
// "format" groundswell-rows and "version" kVersion. docs/formats.md has it for those who read it.
class FeatureRows {
 public:
  // Of the file, raised when a reader of the one before would misread it.
  static constexpr int kVersion = 1;

  // `shape` says P, Q, history_len (recent_items, recent_times) and recent_len (recent_users).
  // REQUIRES: recent_items and recent_times are equal.
  static absl::StatusOr<FeatureRows> Create(const std::string& path, size_t events, size_t items,
                                            const RankerShape& shape);

  // The next event. OutOfRange for a count beyond 2^31 - 1.
  // REQUIRES: fewer than `events` so far; `items` in both; of the shape.
  absl::Status Write(int64_t event, const UserFeatures& user, std::span<const DrawnItem> drawn,
                     const ItemFeatures& items);

  // The file appears now, and not before.
  absl::Status Finish() { return file_->Finish(); }

 private:
  explicit FeatureRows(std::unique_ptr<FeatureFile> file);

  absl::Status CopyCounts(std::span<const int64_t> counts, std::span<int32_t> column) const;

  std::unique_ptr<FeatureFile> file_;
  std::span<int64_t> event_, urec_time_, ufirst_time_, unow_;
  std::span<int32_t> user_, u1_, u2_, urec_, item_, source_, i1_, i2_, irec_;
  size_t history_len_ = 0;
  size_t written_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_FEATURE_ROWS_H_
