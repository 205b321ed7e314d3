// Peers that speak to a server's ports byte by byte: HTTP/2 as no library would, or nothing at all.
#ifndef GROUNDSWELL_TESTS_INTEGRATION_RAW_PEER_H_
#define GROUNDSWELL_TESTS_INTEGRATION_RAW_PEER_H_

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace groundswell {

// A connection that says what it is told to, and reads only when it is told to.
class Peer {
 public:
  explicit Peer(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Peer() { close(socket_); }
  Peer(Peer&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), is_connected_(other.is_connected_) {}
  Peer& operator=(Peer&&) = delete;

  // False when the server has hung up, or does not read.
  bool Say(std::string_view bytes) const {
    while (is_connected_ && !bytes.empty()) {
      pollfd waiting{.fd = socket_, .events = POLLOUT, .revents = 0};
      if (poll(&waiting, 1, 1'000) <= 0) return false;
      const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return is_connected_;
  }
  void Drain() const {
    char buffer[16'384];
    while (recv(socket_, buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
    }
  }
  // What comes next, within `limit_ms`; "": nothing did. nullopt: the server has hung up.
  std::optional<std::string> Hear(int limit_ms) const {
    pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, limit_ms) <= 0) return "";
    std::string heard(65'536, '\0');
    const ssize_t got = recv(socket_, heard.data(), heard.size(), MSG_DONTWAIT);
    if (got <= 0) return std::nullopt;
    heard.resize(static_cast<size_t>(got));
    return heard;
  }
  // All until the server hangs up; it has five minutes for each part.
  std::string HearToTheEnd() const {
    std::string all;
    for (auto part = Hear(kPatienceMs); part.has_value() && !part->empty();
         part = Hear(kPatienceMs)) {
      all += *part;
    }
    return all;
  }
  bool IsHungUpOn() const {
    std::optional<std::string> heard;
    do {
      heard = Hear(kPatienceMs);
    } while (heard.has_value() && !heard->empty());
    return !heard.has_value();
  }
  void HalfClose() const { shutdown(socket_, SHUT_WR); }

 private:
  static constexpr int kPatienceMs = 300'000;

  int socket_;
  bool is_connected_;
};

// HTTP/2, RFC 9113 and 7541.
inline constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum class FrameType : char {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9
};
inline constexpr char kEndHeaders = 4;
inline constexpr char kAck = 1;
inline constexpr std::string_view kNoWindow{"\0\x04\0\0\0\0", 6};  // settings: send no data

inline std::string Frame(FrameType type, char flags, uint32_t stream,
                         std::string_view payload = {}) {
  std::string frame;
  for (const int shift : {16, 8, 0}) frame.push_back(static_cast<char>(payload.size() >> shift));
  frame.push_back(static_cast<char>(type));
  frame.push_back(flags);
  for (const int shift : {24, 16, 8, 0}) frame.push_back(static_cast<char>(stream >> shift));
  return frame.append(payload);
}

inline std::string Literal(std::string_view text) {
  return std::string(1, static_cast<char>(text.size())).append(text);
}

// The begin of a call, whose messages come by themselves or never.
inline std::string BeginOfCall(
    uint32_t stream, std::string_view path = "/groundswell.v1.InteractionService/Ingest") {
  std::string headers = "\x83\x86";  // :method POST, :scheme http
  headers += '\x04' + Literal(path);
  headers += '\x01' + Literal("localhost");
  headers += "\x0f\x10" + Literal("application/grpc");
  headers += std::string(1, '\0') + Literal("te") + Literal("trailers");
  return Frame(FrameType::kHeaders, kEndHeaders, stream, headers);
}

inline std::string Greeting() { return kPreface + Frame(FrameType::kSettings, 0, 0); }

inline uint32_t BigEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

// A client that keeps to HTTP/2's windows, since nothing beyond them is read, and to nothing else.
class Http2Peer {
 public:
  explicit Http2Peer(int port) : peer_(port) { is_open_ = peer_.Say(Greeting()); }

  bool Say(std::string_view bytes) { return is_open_ = is_open_ && peer_.Say(bytes); }
  // Takes in what has come, waiting for something at most this long.
  void Listen(int limit_ms) {
    const std::optional<std::string> heard = peer_.Hear(limit_ms);
    is_open_ = is_open_ && heard.has_value();
    input_ += heard.value_or("");
    while (input_.size() >= kHead) {
      const size_t length = BigEndian(std::string_view(input_).substr(0, 3));
      if (input_.size() < kHead + length) return;
      OnFrame(static_cast<FrameType>(input_[3]), input_[4],
              BigEndian(std::string_view(input_).substr(5, 4)) & 0x7fffffff,
              std::string_view(input_).substr(kHead, length));
      input_.erase(0, kHead + length);
    }
  }
  // Whether the server answers a ping within five minutes: then it has taken in what was sent
  // before.
  bool WasHeard() {
    const int before = pings_answered_;
    Say(Frame(FrameType::kPing, 0, 0, "01234567"));
    for (int tries = 0; is_open_ && pings_answered_ == before && tries < 3'000; ++tries)
      Listen(100);
    return pings_answered_ > before;
  }
  // Sends as many of `bytes` as the windows let, and returns how many that was.
  size_t SendData(uint32_t stream, std::string_view bytes) {
    int64_t& window = windows_.try_emplace(stream, initial_window_).first->second;
    size_t sent = 0;
    while (is_open_ && sent < bytes.size()) {
      const int64_t most = std::min({int64_t{16'384}, window, connection_window_});
      if (most <= 0) break;
      const std::string_view part = bytes.substr(sent, static_cast<size_t>(most));
      if (!Say(Frame(FrameType::kData, 0, stream, part))) break;
      sent += part.size();
      window -= static_cast<int64_t>(part.size());
      connection_window_ -= static_cast<int64_t>(part.size());
    }
    return sent;
  }

  bool is_open() const { return is_open_; }
  const Peer& peer() const { return peer_; }
  // What the server's settings say of streams at once; nullopt: nothing yet.
  std::optional<uint32_t> streams_max() const { return streams_max_; }
  bool was_sent_away() const { return was_sent_away_; }
  int pings_answered() const { return pings_answered_; }
  // Whether a message of the server's has come.
  bool answered(uint32_t stream) const { return answered_.contains(stream); }

 private:
  static constexpr size_t kHead = 9;

  void OnFrame(FrameType type, char flags, uint32_t stream, std::string_view payload) {
    if (type == FrameType::kSettings && (flags & kAck) == 0) return OnSettings(payload);
    if (type == FrameType::kWindowUpdate && stream == 0) connection_window_ += BigEndian(payload);
    if (type == FrameType::kWindowUpdate && stream != 0) {
      windows_.try_emplace(stream, initial_window_).first->second += BigEndian(payload);
    }
    if (type == FrameType::kPing && (flags & kAck) != 0) ++pings_answered_;
    if (type == FrameType::kPing && (flags & kAck) == 0) {
      Say(Frame(FrameType::kPing, kAck, 0, payload));
    }
    if (type == FrameType::kData && !payload.empty()) answered_.insert(stream);
    if (type == FrameType::kGoAway) was_sent_away_ = true;
  }

  void OnSettings(std::string_view payload) {
    for (; payload.size() >= 6; payload.remove_prefix(6)) {
      const uint32_t name = BigEndian(payload.substr(0, 2));
      const uint32_t value = BigEndian(payload.substr(2, 4));
      if (name == 3) streams_max_ = value;
      if (name != 4) continue;
      for (auto& [stream, window] : windows_) window += int64_t{value} - initial_window_;
      initial_window_ = value;
    }
    Say(Frame(FrameType::kSettings, kAck, 0));
  }

  Peer peer_;
  bool is_open_ = false;
  std::string input_;
  std::map<uint32_t, int64_t> windows_;  // by stream
  int64_t initial_window_ = 65'535;
  int64_t connection_window_ = 65'535;
  std::optional<uint32_t> streams_max_;
  bool was_sent_away_ = false;
  int pings_answered_ = 0;
  std::set<uint32_t> answered_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_INTEGRATION_RAW_PEER_H_
