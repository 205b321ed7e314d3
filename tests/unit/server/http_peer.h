// Peer: a client of an HTTP server that sends bytes as a test wants them, right or wrong.
#ifndef GROUNDSWELL_TESTS_UNIT_SERVER_HTTP_PEER_H_
#define GROUNDSWELL_TESTS_UNIT_SERVER_HTTP_PEER_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace groundswell {

// A connection to 127.0.0.1, which waits ten seconds at most for anything.
class Peer {
 public:
  Peer() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  }
  explicit Peer(int port) : Peer() { EXPECT_TRUE(Connect(port)); }
  Peer(Peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Peer() {
    if (fd_ >= 0) close(fd_);
  }

  bool Connect(int port) const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  // False when the other side is gone.
  bool Send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // What comes until it ends with `end`, or until the other side is gone.
  std::string ReadUntil(std::string_view end) const {
    std::string answer;
    char buffer[4096];
    while (end.empty() || !answer.ends_with(end)) {
      const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
      if (got <= 0) break;
      answer.append(buffer, static_cast<size_t>(got));
    }
    return answer;
  }
  std::string ReadAll() const { return ReadUntil(""); }
  // Whether the other side closes the connection, rather than sends or waits for ten seconds.
  bool IsClosed() const {
    char byte = 0;
    const ssize_t got = recv(fd_, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
  }

 private:
  int fd_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_UNIT_SERVER_HTTP_PEER_H_
