// AccessControl: who may call what, and how often.
//
// A client proves who it is by a bearer token (metadata "authorization: Bearer TOKEN") or by the
// certificate of its mutual TLS connection. The file `access.clients_file` lists the clients:
//
//   [[client]]
//   name = "shop"                 # in the metrics
//   token_sha256 = "9f86d0..."    # SHA-256 of its token, in hexadecimal: the file betrays none
//   certificate = "shop.example"  # or: a common name or subject alternative name of a certificate
//   rights = ["read", "write"]    # of "read", "write", "admin"
//   calls_per_s = 500             # optional; bursts of a second's worth pass
//
// docs/security.md has the threat model.
#ifndef GROUNDSWELL_SERVER_ACCESS_H_
#define GROUNDSWELL_SERVER_ACCESS_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/mutex.h"
#include "grpcpp/server_context.h"
#include "server/background.h"
#include "server/metrics.h"

namespace groundswell {

// What a call does. Each stands alone: "admin" does not contain "read".
enum class Right : uint8_t { kRead = 1, kWrite = 2, kAdmin = 4 };

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

// The clients of one file; immutable but for their rates.
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

// Thread-safe.
class AccessControl {
 public:
  struct Options {
    std::string clients_file;  // empty: everybody may do everything
    std::chrono::seconds reload{10};
  };

  // Reads the file; an error is that of the file. From then on a changed file is read again; one
  // that is wrong is logged and counted, and the clients stay as they were. `metrics` must outlive
  // it.
  static absl::StatusOr<std::unique_ptr<AccessControl>> Create(Options options, Metrics& metrics);
  ~AccessControl();

  // Whether this call may be made, which is counted. Unauthenticated (reason CREDENTIALS_MISSING or
  // CREDENTIALS_UNKNOWN), PermissionDenied (RIGHT_MISSING), or ResourceExhausted (RATE_LIMITED,
  // with RetryInfo).
  absl::Status Check(const grpc::ServerContextBase& context, Right right) const;

 private:
  AccessControl(Options options, Metrics& metrics);

  absl::Status Reload();
  std::shared_ptr<const ClientList> clients() const;

  const Options options_;
  Metrics& metrics_;
  std::optional<std::string> text_;  // as read last; the reloading thread's alone
  mutable Mutex mutex_;
  std::shared_ptr<const ClientList> clients_ ABSL_GUARDED_BY(mutex_);  // null: everybody
  std::unique_ptr<BackgroundThread> reloading_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_ACCESS_H_
