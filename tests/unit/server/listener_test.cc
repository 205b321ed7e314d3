#include "server/rpc/listener.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <limits>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "server/process/descriptor_limit.h"

namespace groundswell {
namespace {

int ConnectTo(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{.sin_family = AF_INET,
                      .sin_port = htons(static_cast<uint16_t>(port)),
                      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    return connection;
  }
  close(connection);
  return -1;
}

// -1 and errno where that does not work, as on a machine without IPv6.
int ConnectTo6(int port) {
  const int connection = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return -1;
  sockaddr_in6 address{.sin6_family = AF_INET6,
                       .sin6_port = htons(static_cast<uint16_t>(port)),
                       .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    return connection;
  }
  const int error = errno;
  close(connection);
  errno = error;
  return -1;
}

// Whether the other side has closed it; waits for that, or for a byte.
bool IsTurnedAway(int connection) {
  char byte = 0;
  return read(connection, &byte, 1) <= 0;
}

// Greets every connection, and closes it.
void Greet(int, int connection) {
  EXPECT_EQ(write(connection, "!", 1), 1);
  close(connection);
}

TEST(ListenerTest, HandsConnectionsOverAndStopsListening) {
  auto listener = *Listener::Start("127.0.0.1:0", std::numeric_limits<int>::max(), Greet, [] {});
  const int port = listener->port();
  ASSERT_GT(port, 0);
  const int connection = ConnectTo(port);
  ASSERT_GE(connection, 0);
  EXPECT_FALSE(IsTurnedAway(connection));
  close(connection);
  listener.reset();
  EXPECT_EQ(ConnectTo(port), -1);
}

TEST(ListenerTest, BothWaysToWriteEveryAddressAreThoseOfBothFamilies) {
  for (const std::string host : {"0.0.0.0", "[::]"}) {
    const auto listener =
        Listener::Start(host + ":0", std::numeric_limits<int>::max(), Greet, [] {});
    ASSERT_TRUE(listener.ok()) << listener.status();
    const int connection = ConnectTo((*listener)->port());
    ASSERT_GE(connection, 0) << host;
    EXPECT_FALSE(IsTurnedAway(connection));
    close(connection);
    const int connection6 = ConnectTo6((*listener)->port());
    if (connection6 < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) continue;
    ASSERT_GE(connection6, 0) << host;
    EXPECT_FALSE(IsTurnedAway(connection6));
    close(connection6);
  }
}

TEST(ListenerTest, ANameThatBeginsLikeLoopbackIsNone) {
  for (const char* address : {"127.0.0.1:7100", "127.1.2.3:0", "[::1]:7100", "localhost:7100"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address : {"127.example.com:7100", "localhost.example.com:7100", "0.0.0.0:7100",
                              "[::]:7100", "[::1]example.com:7100", "10.127.0.1:7100", ":7100"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

TEST(ListenerTest, AnAddressOfAnotherMachineIsAnErrorThatSaysSo) {
  // TEST-NET-1 of RFC 5737.
  const auto listener =
      Listener::Start("192.0.2.1:0", std::numeric_limits<int>::max(), Greet, [] {});
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(listener.status().message().find("does not have"), std::string::npos)
      << listener.status();
}

TEST(ListenerTest, APortThatIsTakenIsAnErrorThatSaysSo) {
  const auto listener =
      *Listener::Start("127.0.0.1:0", std::numeric_limits<int>::max(), Greet, [] {});
  const auto second = Listener::Start("127.0.0.1:" + std::to_string(listener->port()),
                                      std::numeric_limits<int>::max(), Greet, [] {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(second.status().message().find("in use"), std::string::npos) << second.status();
}

TEST(ListenerTest, ABurstBeyondTheDescriptorsIsTurnedAwayAndTheNextIsServed) {
  // Descriptors from here on are kept: this many more connections fit.
  const int first_free = dup(0);
  close(first_free);
  const int end = first_free + 40;
  std::mutex mutex;
  std::vector<int> accepted;
  std::atomic<int> turned_away = 0;
  const auto listener = *Listener::Start(
      "127.0.0.1:0", end,
      [&](int, int connection) {
        const std::lock_guard<std::mutex> lock(mutex);
        accepted.push_back(connection);
        EXPECT_LT(connection, end);
      },
      [&] { ++turned_away; });
  std::vector<int> burst;
  for (int i = 0; i < 100; ++i) burst.push_back(ConnectTo(listener->port()));
  EXPECT_TRUE(IsTurnedAway(burst.back()));
  EXPECT_GE(turned_away, 100 - 40);
  for (const int connection : burst) close(connection);
  {
    const std::lock_guard<std::mutex> lock(mutex);
    for (const int connection : accepted) close(connection);
    accepted.clear();
  }
  const int next = ConnectTo(listener->port());
  ASSERT_GE(next, 0);
  bool is_served = false;
  while (!is_served) {
    const std::lock_guard<std::mutex> lock(mutex);
    is_served = !accepted.empty();
  }
  for (const int connection : accepted) close(connection);
  close(next);
}

TEST(ListenerTest, WhatIsThrownOverOneConnectionCostsThatOneAlone) {
  int connections = 0;
  const auto listener = *Listener::Start(
      "127.0.0.1:0", std::numeric_limits<int>::max(),
      [&](int listening, int connection) {
        if (++connections > 1) return Greet(listening, connection);
        close(connection);
        throw std::bad_alloc();
      },
      [] {});
  const int lost = ConnectTo(listener->port());
  EXPECT_TRUE(IsTurnedAway(lost));
  close(lost);
  const int next = ConnectTo(listener->port());
  EXPECT_FALSE(IsTurnedAway(next));
  close(next);
}

TEST(DescriptorLimitTest, AShareIsKeptForTheDatabase) {
  EXPECT_EQ(ConnectionDescriptorsEnd(100), 75);
  EXPECT_EQ(ConnectionDescriptorsEnd(1'024), 768);
  EXPECT_EQ(ConnectionDescriptorsEnd(1'048'576), 1'048'320);
  EXPECT_GT(RaiseDescriptorLimit(), 0);
}

}  // namespace
}  // namespace groundswell
