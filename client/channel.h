// How to reach a server: address, TLS and who calls.
#ifndef GROUNDSWELL_CLIENT_CHANNEL_H_
#define GROUNDSWELL_CLIENT_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace grpc {
class Channel;
class ChannelArguments;
class Status;
}  // namespace grpc

namespace groundswell {

struct Connection {
  std::string address = "localhost:7100";
  std::string ca_file;  // PEM, of the roots that the server's certificate may have; empty: no TLS
  std::string certificate_file;  // PEM, of this client, for mutual TLS
  std::string key_file;          // its key
  std::string token_file;        // first line: the bearer token; empty: none
};

// A channel that connects when it is first used, takes answers of up to 64 MiB (and tells the
// server), and sends the token with every call. Loopback is never asked for by way of a proxy.
// NotFound when a file cannot be read, InvalidArgument when the address has a scheme or no port,
// when files do not go together, or when a token would travel in the clear to another machine.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const Connection& connection,
                                                           const grpc::ChannelArguments& arguments);

// The variable, with its value, by which gRPC calls a proxy for this address, unless no_proxy names
// it; empty: there is none.
std::string ProxyOf(const std::string& address);

// How a call ended as one readable status: code, message, and the ErrorInfo's reason.
absl::Status ToStatus(const grpc::Status& status);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_CHANNEL_H_
