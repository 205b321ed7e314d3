#include "server/rpc/connection_room.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

using std::chrono::milliseconds;

TEST(ConnectionRoomTest, OneThatWasTurnedAwaySpeaksForThoseOfTheNextSecond) {
  ConnectionRoom room;
  const ConnectionRoom::Clock::time_point begin{std::chrono::hours(1)};
  EXPECT_TRUE(room.IsThere(begin));
  room.TurnedAway(begin);
  EXPECT_FALSE(room.IsThere(begin));
  room.TurnedAway(begin + milliseconds(1));
  EXPECT_FALSE(room.IsThere(begin + ConnectionRoom::kSpeaksFor));
  EXPECT_TRUE(room.IsThere(begin + ConnectionRoom::kSpeaksFor + milliseconds(1)));
}

}  // namespace
}  // namespace groundswell
