#include "server/process/header_block_meter.h"

#include <algorithm>
#include <cstring>

namespace groundswell {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kContinuation = 9;

}  // namespace

bool HeaderBlockMeter::Follow(std::string_view bytes) {
  if (state_ == State::kPreface) FollowPreface(bytes);
  if (state_ == State::kFrames) FollowFrames(bytes);
  return state_ != State::kTooLong;
}

void HeaderBlockMeter::FollowPreface(std::string_view& bytes) {
  const std::string_view part = bytes.substr(0, kPreface.size() - seen_);
  if (kPreface.substr(seen_, part.size()) != part) {
    state_ = State::kNotHttp2;
    return;
  }
  bytes.remove_prefix(part.size());
  seen_ += static_cast<uint8_t>(part.size());
  if (seen_ < kPreface.size()) return;
  seen_ = 0;
  state_ = State::kFrames;
}

void HeaderBlockMeter::FollowFrames(std::string_view bytes) {
  while (true) {
    const size_t payload = std::min<size_t>(payload_left_, bytes.size());
    bytes.remove_prefix(payload);
    payload_left_ -= static_cast<uint32_t>(payload);
    if (bytes.empty()) return;
    const size_t part = std::min(kHeadBytes - seen_, bytes.size());
    std::memcpy(&head_[seen_], bytes.data(), part);
    bytes.remove_prefix(part);
    seen_ += static_cast<uint8_t>(part);
    if (seen_ < kHeadBytes) return;
    seen_ = 0;
    BeginFrame();
    if (state_ == State::kTooLong) return;
  }
}

void HeaderBlockMeter::BeginFrame() {
  payload_left_ = uint32_t{head_[0]} << 16 | uint32_t{head_[1]} << 8 | head_[2];
  const uint8_t type = head_[3];
  if (type == kHeaders) {
    block_bytes_ = short_frames_ = 0;
  } else if (type != kContinuation) {
    return;
  } else if (frame_bytes_ < kFullFrameBytes) {
    ++short_frames_;
  }
  frame_bytes_ = payload_left_;
  block_bytes_ += frame_bytes_;  // does not overflow: a frame has 24 bits of length
  if (block_bytes_ > kBytesMax || short_frames_ > kShortFramesMax) state_ = State::kTooLong;
}

}  // namespace groundswell
