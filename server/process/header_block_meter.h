// HeaderBlockMeter: how long the header block is that an HTTP/2 connection is just receiving.
//
// gRPC 1.51 bounds the headers of each frame, not those of a block: one that goes on in
// CONTINUATION frames for ever is kept as it comes, at up to a hundred bytes of memory for one
// received (CVE-2023-33953).
#ifndef GROUNDSWELL_SERVER_PROCESS_HEADER_BLOCK_METER_H_
#define GROUNDSWELL_SERVER_PROCESS_HEADER_BLOCK_METER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace groundswell {

// Not thread-safe.
class HeaderBlockMeter {
 public:
  // Of a block. A call may have 8 KiB of metadata, which fit into one frame. Not a setting: it is
  // eight times what gRPC lets a call have, and that is not one either.
  static constexpr uint32_t kBytesMax = 64 << 10;
  // Frames of a block that another one follows although they had room left: libraries begin another
  // one where the frame is full, which is at 16 KiB or above (RFC 9113, 4.2).
  static constexpr uint32_t kShortFramesMax = 1;
  static constexpr uint32_t kFullFrameBytes = 16 << 10;

  // Follows what the connection received next, from its first byte on, in pieces of any size.
  // False, from then on: a header block was begun or continued beyond these bounds. A connection
  // that does not begin as HTTP/2 does (RFC 9113, 3.4) is not followed.
  bool Follow(std::string_view bytes);

 private:
  static constexpr size_t kHeadBytes = 9;

  enum class State : uint8_t { kPreface, kFrames, kNotHttp2, kTooLong };

  void FollowPreface(std::string_view& bytes);
  void FollowFrames(std::string_view bytes);
  // The head of a frame is whole.
  void BeginFrame();

  State state_ = State::kPreface;
  uint8_t seen_ = 0;  // of the preface, or of the next frame's head
  std::array<uint8_t, kHeadBytes> head_{};
  uint32_t payload_left_ = 0;  // of the frame in progress
  // Of the latest header block.
  uint32_t block_bytes_ = 0;
  uint32_t short_frames_ = 0;
  uint32_t frame_bytes_ = 0;  // of its latest frame
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_HEADER_BLOCK_METER_H_
