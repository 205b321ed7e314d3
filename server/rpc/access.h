// AccessControl: who may call what, and how often.
//
// A client proves who it is by a bearer token (metadata "authorization: Bearer TOKEN") or by the
// certificate of its mutual TLS connection; ClientList has the file that lists them.
// docs/security.md has the threat model.
#ifndef GROUNDSWELL_SERVER_RPC_ACCESS_H_
#define GROUNDSWELL_SERVER_RPC_ACCESS_H_

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/mutex.h"
#include "grpcpp/server_context.h"
#include "server/process/metrics.h"
#include "server/process/periodic_thread.h"
#include "server/rpc/client_list.h"

namespace groundswell {

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
  static absl::StatusOr<std::unique_ptr<AccessControl>> Create(Options options,
                                                               RequestMetrics& metrics);

  // Whether this call may be made, which is counted. As CheckRight, or ResourceExhausted
  // (RATE_LIMITED, with RetryInfo).
  absl::Status Check(const grpc::ServerContextBase& context, Right right) const;

  // Whether the caller may make such calls at all. Unauthenticated (reason CREDENTIALS_MISSING or
  // CREDENTIALS_UNKNOWN), or PermissionDenied (RIGHT_MISSING); these are counted.
  absl::Status CheckRight(const grpc::ServerContextBase& context, Right right) const;
  // Likewise, of whoever sends this as "authorization", "" for none, and has a certificate of these
  // names, if any.
  absl::Status CheckRight(std::string_view authorization,
                          std::span<const std::string> certificate_names, Right right) const;

  // What a call of this process's own says in the metadata kVouchedField of the certificate of
  // whoever it is made for; empty where it is no client's. Nobody else can say it: it begins with a
  // secret of this process.
  std::string Vouch(std::span<const std::string> certificate_names) const;
  static constexpr char kVouchedField[] = "groundswell-certificate-bin";

 private:
  absl::Status CheckClient(const ClientList::Client* client, bool has_token, Right right) const;
  AccessControl(Options options, RequestMetrics& metrics);

  const ClientList::Client* FindByCertificate(const ClientList& clients,
                                              const grpc::ServerContextBase& context) const;
  const ClientList::Client* FindClient(const ClientList& clients,
                                       const grpc::ServerContextBase& context,
                                       std::optional<std::string_view> token) const;
  absl::Status Reload();
  std::shared_ptr<const ClientList> clients() const;

  const Options options_;
  std::string secret_;
  RequestMetrics& metrics_;
  std::optional<std::string> text_;  // as read last; the reloading thread's alone
  mutable Mutex mutex_;
  std::shared_ptr<const ClientList> clients_ ABSL_GUARDED_BY(mutex_);  // null: everybody
  std::unique_ptr<PeriodicThread> reloading_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_ACCESS_H_
