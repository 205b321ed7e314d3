#include "server/process/received_bytes.h"

#include <dlfcn.h>
#include <openssl/ssl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <new>
#include <string_view>
#include <utility>

#include "server/process/header_block_meter.h"
#include "server/process/line_rate.h"

namespace groundswell {
namespace {

constexpr int64_t kLinesPerSecond = 1;

// What the kernel calls a socket, and never another one; 0 where it does not say (before
// Linux 4.12).
uint64_t CookieOf(int socket) {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return 0;
  return cookie;
}

// Of one connection.
struct Received {
  HeaderBlockMeter meter;
  bool failed = false;
};

// Of one connection after the other that has this descriptor; read by one thread at a time.
struct Followed {
  uint64_t cookie = 0;
  Received received;
};

std::array<std::atomic<Followed*>, kFollowedDescriptorsEnd> followed_of;  // made at first use, kept
std::atomic<int64_t> long_header_blocks{0};

void Fail(Received& connection) {
  if (std::exchange(connection.failed, true)) return;
  ++long_header_blocks;
  static auto* const lines = new LineRate(kLinesPerSecond);
  const auto left_out = lines->Take(std::chrono::steady_clock::now());
  if (!left_out.has_value()) return;
  spdlog::warn(
      "a connection to a gRPC address is ended: it sent headers of more than {} bytes, or in many "
      "small frames ({} more such lines left out)",
      HeaderBlockMeter::kBytesMax, *left_out);
}

// Whether the connection may go on.
bool Follow(int socket, const msghdr& message, size_t received) {
  if (socket < 0 || socket >= kFollowedDescriptorsEnd) return true;
  Followed* const followed = followed_of[static_cast<size_t>(socket)].load();
  if (followed == nullptr) return true;
  for (size_t i = 0; received > 0 && i < message.msg_iovlen; ++i) {
    const iovec& part = message.msg_iov[i];
    const size_t bytes = std::min(received, part.iov_len);
    received -= bytes;
    Received& connection = followed->received;
    if (connection.meter.Follow({static_cast<const char*>(part.iov_base), bytes})) continue;
    // Where they differ, the descriptor is another socket's by now; without any, it may be.
    if (followed->cookie == 0 || CookieOf(socket) != followed->cookie) return true;
    Fail(connection);
    // gRPC may first take what it had before this piece, and not hear of the failure.
    shutdown(socket, SHUT_RDWR);
    return false;
  }
  return true;
}

// Of a connection of TLS, which has no descriptor that is known here.
bool Follow(SSL* connection, const void* buffer, size_t received) {
  static const int place = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void*, void* known, CRYPTO_EX_DATA*, int, long, void*) {  // NOLINT(google-runtime-int)
        delete static_cast<Received*>(known);
      });
  if (SSL_is_server(connection) == 0) return true;
  auto* known = static_cast<Received*>(SSL_get_ex_data(connection, place));
  if (known == nullptr) {
    known = new (std::nothrow) Received;
    if (known == nullptr || SSL_set_ex_data(connection, place, known) == 0) {
      delete known;
      return false;  // no memory is left
    }
  }
  if (known->meter.Follow({static_cast<const char*>(buffer), received})) return true;
  Fail(*known);
  return false;
}

}  // namespace

bool FollowReceivedBytes(int connection) {
  std::atomic<Followed*>& place = followed_of[static_cast<size_t>(connection)];
  Followed* const known = place.load();
  Followed* const followed = known != nullptr ? known : new (std::nothrow) Followed;
  if (followed == nullptr) return false;
  *followed = {.cookie = CookieOf(connection), .received = {}};
  place = followed;
  return true;
}

int64_t LongHeaderBlocks() { return long_header_blocks; }

}  // namespace groundswell

extern "C" {

ssize_t recvmsg(int socket, msghdr* message, int flags) {
  const ssize_t received = syscall(SYS_recvmsg, socket, message, flags);
  if (received <= 0 || (flags & (MSG_ERRQUEUE | MSG_PEEK)) != 0) return received;
  if (groundswell::Follow(socket, *message, static_cast<size_t>(received))) return received;
  errno = ECONNRESET;
  return -1;
}

int SSL_read(SSL* ssl, void* buffer, int bytes) {
  using Read = int (*)(SSL*, void*, int);
  static const auto read = reinterpret_cast<Read>(dlsym(RTLD_NEXT, "SSL_read"));
  const int received = read(ssl, buffer, bytes);
  if (received <= 0) return received;
  return groundswell::Follow(ssl, buffer, static_cast<size_t>(received)) ? received : -1;
}

}  // extern "C"
