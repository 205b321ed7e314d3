// ClientList: the clients that may call, read from a file:
//
//   [[client]]
//   name = "shop"                 # in logs and errors
//   token_sha256 = "9f86d0..."    # SHA-256 of its token, in hexadecimal: the file betrays none
//   certificate = "shop.example"  # or: a common name or subject alternative name of a certificate
//   rights = ["read", "write"]    # of "read", "write", "admin"
//   calls_per_s = 500             # optional; bursts of a second's worth pass
#ifndef GROUNDSWELL_SERVER_RPC_CLIENT_LIST_H_
#define GROUNDSWELL_SERVER_RPC_CLIENT_LIST_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace groundswell {

// What a call does. Each stands alone: "admin" does not contain "read".
enum class Right : uint8_t { kRead = 1, kWrite = 2, kAdmin = 4 };

// "read", "write" or "admin".
std::string_view NameOf(Right right);

// At most so many calls in a second, with bursts of a second's worth: the generic cell rate
// algorithm (ITU-T I.371), one number and no lock. Thread-safe.
class CallRate {
 public:
  // 0: no limit.
  explicit CallRate(int64_t calls_per_s)
      : interval_ns_(calls_per_s > 0 ? 1'000'000'000 / calls_per_s : 0) {}

  // Counts one call at `now_ns` (of a steady clock) if it may be made. Else the time to wait.
  std::chrono::nanoseconds Take(int64_t now_ns);

 private:
  static constexpr int64_t kBurstNs = 1'000'000'000;

  const int64_t interval_ns_;
  std::atomic<int64_t> next_ns_{0};  // when the next call would be due at an even pace
};

// Immutable but for the clients' rates.
class ClientList {
 public:
  static constexpr size_t kClientsMax = 1'000;

  struct Client {
    std::string name;
    uint8_t rights = 0;  // of Right
    std::unique_ptr<CallRate> rate;
    bool Has(Right right) const { return (rights & static_cast<uint8_t>(right)) != 0; }
  };

  // InvalidArgument names the client, the field, the value and what would be right.
  static absl::StatusOr<ClientList> Parse(std::string_view toml);

  // Null: there is no such client.
  const Client* FindByToken(std::string_view token) const;
  const Client* FindByCertificate(std::string_view name) const;
  size_t size() const { return clients_.size(); }

 private:
  absl::Status Add(Client client, const std::string& token_sha256, const std::string& certificate);

  std::vector<std::unique_ptr<Client>> clients_;
  std::map<std::string, const Client*, std::less<>> by_token_sha256_;
  std::map<std::string, const Client*, std::less<>> by_certificate_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_CLIENT_LIST_H_
