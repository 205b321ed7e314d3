#include "server/process/header_block_meter.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace groundswell {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr char kData = 0;
constexpr char kHeaders = 1;
constexpr char kContinuation = 9;
constexpr size_t kFull = HeaderBlockMeter::kFullFrameBytes;

// Of a stream and flags that do not matter here.
std::string Frame(char type, size_t length) {
  std::string frame;
  for (const int shift : {16, 8, 0}) frame.push_back(static_cast<char>(length >> shift));
  frame.push_back(type);
  frame.append("\x04\0\0\0\x01", 5);
  return frame.append(length, '\x09');  // would be continuations, were it taken for heads
}

std::string Times(const std::string& piece, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all.append(piece);
  return all;
}

// In pieces of this many bytes, and after the preface.
bool Passes(std::string_view frames, size_t piece) {
  HeaderBlockMeter meter;
  const std::string bytes = std::string(kPreface).append(frames);
  bool passes = true;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const bool now = meter.Follow(std::string_view(bytes).substr(at, piece));
    EXPECT_TRUE(passes || !now) << "it stays as it is";
    passes = now;
  }
  return passes;
}

TEST(HeaderBlockMeterTest, WhatLibrariesSendPassesInPiecesOfAnySize) {
  const std::string calls =
      Times(Frame(kHeaders, 300) + Frame(kData, 70'000) + Frame(kData, 0), 30);
  const std::string split = Frame(kHeaders, 300) + Frame(kContinuation, 5) + Frame(kData, 9) +
                            Frame(kHeaders, kFull) + Frame(kContinuation, kFull) +
                            Frame(kContinuation, kFull) + Frame(kContinuation, 100);
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{8'192}, size_t{1} << 30}) {
    EXPECT_TRUE(Passes(calls, piece)) << piece;
    EXPECT_TRUE(Passes(split + split, piece)) << piece;
  }
}

TEST(HeaderBlockMeterTest, ABlockThatGoesOnDoesNot) {
  for (const size_t piece : {size_t{1}, size_t{100}, size_t{1} << 30}) {
    // By small frames, by empty ones, by full ones, by one alone.
    EXPECT_FALSE(Passes(Frame(kHeaders, 10) + Times(Frame(kContinuation, 10), 2), piece));
    EXPECT_FALSE(Passes(Frame(kHeaders, kFull) + Times(Frame(kContinuation, 0), 3), piece));
    EXPECT_FALSE(Passes(Frame(kHeaders, kFull) + Times(Frame(kContinuation, kFull), 4), piece));
    EXPECT_FALSE(Passes(Frame(kHeaders, HeaderBlockMeter::kBytesMax + 1), piece));
  }
  EXPECT_TRUE(Passes(Frame(kHeaders, HeaderBlockMeter::kBytesMax), 1'000));
}

TEST(HeaderBlockMeterTest, WhatIsNotHttp2IsLeftAlone) {
  const std::string many = Frame(kHeaders, 10) + Times(Frame(kContinuation, 10), 9);
  HeaderBlockMeter http;
  EXPECT_TRUE(http.Follow("PRI * HTTP/1.1\r\n\r\n"));
  EXPECT_TRUE(http.Follow(std::string(kPreface) + many));
  HeaderBlockMeter nothing;
  EXPECT_TRUE(nothing.Follow(""));
  EXPECT_FALSE(nothing.Follow(std::string(kPreface) + many));
}

}  // namespace
}  // namespace groundswell
