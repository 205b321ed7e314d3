// HttpTls: certificate, key and roots of an HTTP address, as their files are.
#ifndef GROUNDSWELL_SERVER_PROCESS_HTTP_TLS_H_
#define GROUNDSWELL_SERVER_PROCESS_HTTP_TLS_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/mutex.h"
#include "server/process/periodic_thread.h"

namespace boost::asio::ssl {
class context;
}
struct ssl_st;  // OpenSSL's SSL

namespace groundswell {

// Thread-safe.
class HttpTls {
 public:
  struct Files {
    std::string certificate;  // PEM, with what leads to its root
    std::string key;          // PEM, without a passphrase
    std::string client_ca;    // PEM; not empty: peers must have a certificate of one of these
    std::chrono::seconds reload{10};
  };

  // InvalidArgument that names the setting and the file that cannot be used. Changed files are used
  // for new connections within `reload`; as long as they cannot be used, the old ones are.
  static absl::StatusOr<std::unique_ptr<HttpTls>> Create(Files files);

  // For a new connection: TLS 1.2 or 1.3.
  std::shared_ptr<boost::asio::ssl::context> Context() const;

  // Of the certificate that the peer of a connection after its handshake has: the common name, and
  // the names, addresses and URIs beside it. None: it has no certificate.
  static std::vector<std::string> NamesOfPeer(ssl_st* connection);

 private:
  explicit HttpTls(Files files) : files_(std::move(files)) {}
  absl::Status Reload();

  const Files files_;
  std::vector<std::string> texts_;  // as read last; the reloading thread's alone
  mutable Mutex mutex_;
  std::shared_ptr<boost::asio::ssl::context> context_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<PeriodicThread> reloading_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_HTTP_TLS_H_
