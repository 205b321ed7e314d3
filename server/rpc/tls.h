// TLS of the gRPC addresses.
#ifndef GROUNDSWELL_SERVER_RPC_TLS_H_
#define GROUNDSWELL_SERVER_RPC_TLS_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/security/server_credentials.h"

namespace groundswell {

struct TlsOptions {
  std::string certificate_file;  // PEM, the server's own first; empty: no TLS
  std::string key_file;          // PEM, without a passphrase
  std::string client_ca_file;  // PEM; not empty: clients must have a certificate of these (mutual)
  std::chrono::seconds reload{10};
};

// Plain TCP without a certificate. Changed files are used for new connections within `reload`; as
// long as they are not a pair, the old ones are. InvalidArgument names the setting and the file
// that is missing, no PEM, or not the other's match.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsOptions& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_TLS_H_
