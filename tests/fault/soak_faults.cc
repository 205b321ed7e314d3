#include "tests/fault/soak_faults.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <thread>
#include <utility>

#include "tests/integration/raw_peer.h"

namespace groundswell {
namespace {

using std::chrono::milliseconds;

constexpr std::array<std::pair<int, const char*>, 5> kDiskErrors = {
    {{EIO, "EIO"}, {ENOSPC, "ENOSPC"}, {EDQUOT, "EDQUOT"}, {EMFILE, "EMFILE"}, {ESTALE, "ESTALE"}}};
constexpr int kDescriptors = 256;
constexpr int kBurst = 400;  // more connections than that
constexpr int kPeers = 40;
constexpr int64_t kDay = 86'400;

void Rest(std::mt19937_64& random, uint64_t up_to_ms) {
  std::this_thread::sleep_for(milliseconds(random() % up_to_ms));
}

// Connections that begin with these bytes and then say nothing, for a while.
void Crowd(int port, int count, std::string_view bytes, milliseconds duration) {
  std::vector<int> sockets;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < count; ++i) {
    const int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer < 0) break;
    sockets.push_back(peer);
    if (connect(peer, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) continue;
    // One that the server has closed already, or will: either way it is bothered.
    static_cast<void>(send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  }
  std::this_thread::sleep_for(duration);
  const linger reset{.l_onoff = 1, .l_linger = 0};
  for (const int peer : sockets) {
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(peer);
  }
}

}  // namespace

SoakFaults::SoakFaults(std::string disk, std::string controls)
    : clock_file_(controls + "/clock"), disk_(std::move(disk), controls + "/control") {}

bool SoakFaults::Has(Kind kind) const { return std::ranges::find(chosen_, kind) != chosen_.end(); }

void SoakFaults::Met(const std::string& name) {
  met_.push_back(name);
  ++counts_[name].injected;
}

void SoakFaults::CountSurvived() {
  for (const std::string& name : met_) ++counts_[name].survived;
  met_.clear();
}

// Once or for a while, behind some calls that pass.
std::string SoakFaults::ArmDiskError(std::mt19937_64& random) {
  const auto call = static_cast<FaultyCall>(random() % static_cast<uint64_t>(FaultyCall::kCount));
  const auto& [error, name] = kDiskErrors[random() % kDiskErrors.size()];
  const bool is_once = random() % 2 == 0;
  disk_.Fail(call, error, static_cast<int64_t>(random() % 12),
             is_once ? 1 : static_cast<int64_t>(2 + random() % 20));
  return fmt::format("disk: {} {}{}", NameOf(call), name, is_once ? "" : " for a while");
}

// Mostly one or two things; sometimes none but the kill that ends each life.
void SoakFaults::Choose(std::mt19937_64& random) {
  met_.clear();
  chosen_.clear();
  SetClock(0);
  ends_in_order_ = random() % 4 == 0;
  Met(ends_in_order_ ? "SIGTERM" : "kill -9");
  for (uint64_t i = random() % 4; i > 0; --i) {
    chosen_.push_back(static_cast<Kind>(random() % static_cast<uint64_t>(Kind::kCount)));
  }
  if (random() % 6 == 0) Met(ArmDiskError(random) + ", at a start");
}

Environment SoakFaults::environment() const {
  Environment environment = disk_.environment();
  if (!Has(Kind::kClock)) return environment;
  environment["LD_PRELOAD"] += ":" GROUNDSWELL_SHIFTED_CLOCK_LIBRARY;
  environment["CLOCK_SHIFT_FILE"] = clock_file_;
  return environment;
}

std::vector<std::string> SoakFaults::under() const {
  if (!Has(Kind::kDescriptors)) return {};
  return {"/usr/bin/prlimit", fmt::format("--nofile={}:{}", kDescriptors, kDescriptors), "--"};
}

// Put in place in one step: the server reads it all the time.
void SoakFaults::SetClock(int64_t shift_s) const {
  std::ofstream(clock_file_ + ".new") << shift_s;
  std::filesystem::rename(clock_file_ + ".new", clock_file_);
}

void SoakFaults::Inject(const ServerProcess& server, std::mt19937_64& random) {
  Rest(random, 500);
  for (const Kind kind : chosen_) {
    InjectOne(kind, server, random);
    Rest(random, 500);
  }
}

// One sort of them, as hostile_neighbor_test has more.
void SoakFaults::SendNeighbors(const ServerProcess& server, std::mt19937_64& random) {
  struct Sort {
    const char* name;
    std::string to_grpc;
    std::string to_http;
  };
  std::string resets = Greeting();
  std::string pings = Greeting();
  std::string calls = Greeting();
  for (uint32_t i = 0; i < 100; ++i) {
    resets += BeginOfCall(2 * i + 1) +
              Frame(FrameType::kReset, 0, 2 * i + 1, std::string_view("\0\0\0\x08", 4));
    pings += Frame(FrameType::kPing, 0, 0, "01234567");
    calls += BeginOfCall(2 * i + 1);
  }
  const std::array<Sort, 6> sorts = {
      {{"silent", "", ""},
       {"bytes that are no HTTP/2", kPreface + std::string("\xff\xff\xff"), "\xff\xff\xff"},
       {"half a request", Greeting(), "GET /metrics HTTP/1.1\r\nHost: x"},
       {"calls that are reset", resets, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"},
       {"calls that say nothing", calls, "GET /"},
       {"pings", pings, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"}}};
  const Sort& sort = sorts[random() % sorts.size()];
  Met(std::string("neighbors: ") + sort.name);
  Crowd(server.grpc_port(), kPeers, sort.to_grpc, milliseconds(100));
  Crowd(server.http_port(), kPeers, sort.to_http, milliseconds(200));
}

void SoakFaults::InjectOne(Kind kind, const ServerProcess& server, std::mt19937_64& random) {
  switch (kind) {
    case Kind::kDiskError:
      Met(ArmDiskError(random));
      Rest(random, 1'500);
      break;
    case Kind::kDiskFull:
      Met("disk: full for a while");
      disk_.Fail(FaultyCall::kWrite, ENOSPC);
      Rest(random, 1'500);
      break;
    case Kind::kDiskHang: {
      const auto call = random() % 2 == 0 ? FaultyCall::kWrite : FaultyCall::kSync;
      Met(fmt::format("disk: {} hangs", NameOf(call)));
      disk_.Hang(call);
      Rest(random, 1'500);
      break;
    }
    case Kind::kDescriptors:
      Met(fmt::format("{} connections on {} descriptors", kBurst, kDescriptors));
      Crowd(random() % 2 == 0 ? server.grpc_port() : server.http_port(), kBurst, "",
            milliseconds(random() % 1'000));
      break;
    case Kind::kNeighbors:
      SendNeighbors(server, random);
      break;
    case Kind::kHangup:
      Met("SIGHUP");
      server.Signal(SIGHUP);
      break;
    case Kind::kCount:
      break;
    case Kind::kStopped:
      Met("SIGSTOP for a while");
      server.Signal(SIGSTOP);
      Rest(random, 2'000);
      server.Signal(SIGCONT);
      break;
    case Kind::kClock:
      Met("clock jumps");
      for (int i = 0; i < 3; ++i) {
        SetClock((static_cast<int64_t>(random() % 21) - 10) * kDay);
        Rest(random, 300);
      }
      break;
  }
  disk_.Heal();
}

}  // namespace groundswell
