#include "server/offline/feature_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace groundswell {

FeatureRows::FeatureRows(std::unique_ptr<FeatureFile> file)
    : file_(std::move(file)),
      event_(file_->Int64("event")),
      urec_time_(file_->Int64("urec_time_us")),
      ufirst_time_(file_->Int64("ufirst_time_us")),
      unow_(file_->Int64("unow_us")),
      user_(file_->Int32("user")),
      u1_(file_->Int32("u1")),
      u2_(file_->Int32("u2")),
      urec_(file_->Int32("urec")),
      item_(file_->Int32("item")),
      source_(file_->Int32("source")),
      i1_(file_->Int32("i1")),
      i2_(file_->Int32("i2")),
      irec_(file_->Int32("irec")) {}

absl::StatusOr<FeatureRows> FeatureRows::Create(const std::string& path, size_t events,
                                                size_t items, const RankerShape& shape) {
  const size_t p = shape.user_clusters;
  const size_t q = shape.item_clusters;
  auto file =
      FeatureFile::Create(path,
                          {{"event", true, {events}},
                           {"urec_time_us", true, {events, shape.recent_times}},
                           {"ufirst_time_us", true, {events}},
                           {"unow_us", true, {events}},
                           {"user", false, {events}},
                           {"u1", false, {events, q}},
                           {"u2", false, {events, p}},
                           {"urec", false, {events, shape.recent_items}},
                           {"item", false, {events, items}},
                           {"source", false, {events, items}},
                           {"i1", false, {events, items, p}},
                           {"i2", false, {events, items, q}},
                           {"irec", false, {events, items, shape.recent_users}}},
                          {{"format", "groundswell-rows"}, {"version", std::to_string(kVersion)}});
  if (!file.ok()) return file.status();
  FeatureRows rows(*std::move(file));
  rows.history_len_ = shape.recent_items;
  return rows;
}

absl::Status FeatureRows::Write(int64_t event, const UserFeatures& user,
                                std::span<const DrawnItem> drawn, const ItemFeatures& items) {
  event_[written_] = event;
  user_[written_] = static_cast<int32_t>(user.row);
  std::copy(user.recent_items.begin(), user.recent_items.end(),
            urec_.begin() + static_cast<ptrdiff_t>(written_ * history_len_));
  std::copy(user.recent_times_us.begin(), user.recent_times_us.end(),
            urec_time_.begin() + static_cast<ptrdiff_t>(written_ * history_len_));
  ufirst_time_[written_] = user.first_time_us;
  unow_[written_] = user.now_us;
  const size_t first = written_ * drawn.size();
  for (size_t i = 0; i < drawn.size(); ++i) {
    item_[first + i] = static_cast<int32_t>(items.rows[i]);
    source_[first + i] = static_cast<int32_t>(drawn[i].source);
  }
  std::copy(items.recent_users.begin(), items.recent_users.end(),
            irec_.begin() + static_cast<ptrdiff_t>(written_ * items.recent_users.size()));
  absl::Status status = CopyCounts(user.one_hop, u1_);
  status.Update(CopyCounts(user.two_hop, u2_));
  status.Update(CopyCounts(items.one_hop, i1_));
  status.Update(CopyCounts(items.two_hop, i2_));
  ++written_;
  return status;
}

absl::Status FeatureRows::CopyCounts(std::span<const int64_t> counts,
                                     std::span<int32_t> column) const {
  const auto out = column.subspan(written_ * counts.size(), counts.size());
  int64_t largest = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    largest = std::max(largest, counts[i]);
    out[i] = static_cast<int32_t>(counts[i]);
  }
  if (largest > std::numeric_limits<int32_t>::max()) {
    return absl::OutOfRangeError(
        fmt::format("event {} has a macro edge of {}, beyond int32", event_[written_], largest));
  }
  return absl::OkStatus();
}

}  // namespace groundswell
