#include "graph/state/shard_capture.h"

#include <utility>

namespace groundswell {

bool ItemEdge::operator<(const ItemEdge& other) const {
  if (item != other.item) return item < other.item;
  if (last != other.last) return last > other.last;
  return user > other.user;
}

ShardCapture::ShardCapture(size_t shards, Copy copy, Sink sink)
    : copy_(std::move(copy)), sink_(std::move(sink)), known_(shards), captured_(shards) {}

void ShardCapture::CaptureBeforeChange(uint32_t shard) {
  if (shard >= known_.size() || known_[shard] || finished()) return;
  known_[shard] = true;
  Capture(shard);
}

void ShardCapture::Capture(uint32_t shard) {
  ItemShard copied;
  {
    MutexLock lock(mutex_);
    if (captured_[shard]) return;
    copied = copy_(shard);
    captured_[shard] = true;
  }
  sink_(std::move(copied));
}

void ShardCapture::CaptureRest(const std::function<bool()>& keep_going) {
  const auto shards = static_cast<uint32_t>(known_.size());
  for (uint32_t shard = 0; shard < shards && keep_going(); ++shard) Capture(shard);
  finished_.store(true, std::memory_order_release);
}

}  // namespace groundswell
