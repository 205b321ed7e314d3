#include "client/channel.h"

#include <fmt/format.h>
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpc/grpc.h>
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_interceptor.h>
#include <grpcpp/support/status.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace groundswell {
namespace {

namespace experimental = grpc::experimental;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(fmt::format("cannot open \"{}\"", path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

constexpr int kAnswerBytesMax = 64 << 20;
// gRPC's own is two minutes: a server that is back after a restart would be left alone as long.
constexpr int kReconnectBackoffMaxMs = 5'000;

using Metadata = std::vector<std::pair<std::string, std::string>>;

// What goes with every call. gRPC's own call credentials refuse a connection without TLS, also on
// loopback.
class SendMetadata final : public experimental::Interceptor {
 public:
  explicit SendMetadata(const Metadata& metadata) : metadata_(metadata) {}

  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      for (const auto& [key, value] : metadata_) {
        methods->GetSendInitialMetadata()->emplace(key, value);
      }
    }
    methods->Proceed();
  }

 private:
  const Metadata& metadata_;
};

class SendMetadataFactory final : public experimental::ClientInterceptorFactoryInterface {
 public:
  explicit SendMetadataFactory(Metadata metadata) : metadata_(std::move(metadata)) {}
  experimental::Interceptor* CreateClientInterceptor(experimental::ClientRpcInfo*) override {
    return new SendMetadata(metadata_);  // gRPC deletes it
  }

 private:
  const Metadata metadata_;
};

// Addresses and no names, but for the one that is loopback by definition (RFC 6761): a name like
// 127.example.com may be anybody's.
bool IsLoopback(std::string_view address) {
  const std::string_view host = address.substr(0, address.rfind(':'));
  const bool is_ipv4 = host.find_first_not_of("0123456789.") == std::string_view::npos;
  return host == "localhost" || host == "[::1]" || address.starts_with("unix:") ||
         (is_ipv4 && host.starts_with("127."));
}

// gRPC would look for a host called "http", or for a port that nobody named.
absl::Status CheckAddress(const std::string& address) {
  static constexpr std::string_view kForms = "it must be HOST:PORT, such as 127.0.0.1:7100";
  for (const std::string_view scheme : {"http://", "https://", "grpc://", "grpcs://"}) {
    if (!address.starts_with(scheme)) continue;
    const std::string_view rest = std::string_view(address).substr(scheme.size());
    return absl::InvalidArgumentError(fmt::format("--server is \"{}\"; {}: without \"{}\" it is {}",
                                                  address, kForms, scheme,
                                                  rest.substr(0, rest.find('/'))));
  }
  const size_t bracket = address.rfind(']');
  const size_t colon = address.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon != std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("--server is \"{}\", without a port; {}", address, kForms));
}

absl::StatusOr<std::string> ReadToken(const Connection& connection) {
  absl::StatusOr<std::string> text = ReadFile(connection.token_file);
  if (!text.ok()) return text.status();
  std::string token = text->substr(0, text->find_first_of("\r\n"));
  if (token.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("the first line of \"{}\" must be a token", connection.token_file));
  }
  if (connection.ca_file.empty() && !IsLoopback(connection.address)) {
    return absl::InvalidArgumentError(
        fmt::format("the token would be sent to {} in the clear: name the server's CA for TLS",
                    connection.address));
  }
  return token;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const Connection& connection) {
  const bool has_certificate = !connection.certificate_file.empty();
  if (has_certificate != !connection.key_file.empty()) {
    return absl::InvalidArgumentError("a client's certificate and its key go together");
  }
  if (connection.ca_file.empty()) {
    if (!has_certificate) return grpc::InsecureChannelCredentials();
    return absl::InvalidArgumentError(
        "a client's certificate needs the server's CA: there is no TLS "
        "without it");
  }
  grpc::SslCredentialsOptions options;
  for (const auto& [path, text] :
       {std::pair(&connection.ca_file, &options.pem_root_certs),
        std::pair(&connection.key_file, &options.pem_private_key),
        std::pair(&connection.certificate_file, &options.pem_cert_chain)}) {
    if (path->empty()) continue;
    absl::StatusOr<std::string> read = ReadFile(*path);
    if (!read.ok()) return read.status();
    *text = *std::move(read);
  }
  return grpc::SslCredentials(options);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(
    const Connection& connection, const grpc::ChannelArguments& arguments) {
  if (absl::Status s = CheckAddress(connection.address); !s.ok()) return s;
  const auto credentials = MakeCredentials(connection);
  if (!credentials.ok()) return credentials.status();
  Metadata metadata = {{"groundswell-answer-bytes-max", std::to_string(kAnswerBytesMax)}};
  if (!connection.token_file.empty()) {
    const absl::StatusOr<std::string> token = ReadToken(connection);
    if (!token.ok()) return token.status();
    metadata.emplace_back("authorization", "Bearer " + *token);
  }
  std::vector<std::unique_ptr<experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<SendMetadataFactory>(std::move(metadata)));
  grpc::ChannelArguments all = arguments;
  all.SetMaxReceiveMessageSize(kAnswerBytesMax);
  // A proxy reaches its own loopback, not this machine's.
  if (IsLoopback(connection.address)) all.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  all.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectBackoffMaxMs);
  return experimental::CreateCustomChannelWithInterceptors(connection.address, *credentials, all,
                                                           std::move(interceptors));
}

std::string ProxyOf(const std::string& address) {
  if (IsLoopback(address)) return "";
  for (const char* name : {"grpc_proxy", "https_proxy", "http_proxy"}) {
    const char* const value = std::getenv(name);
    if (value != nullptr && *value != '\0') return fmt::format("{}={}", name, value);
  }
  return "";
}

absl::Status ToStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  std::string message = status.error_message();
  google::rpc::Status rich;
  if (rich.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& any : rich.details()) {
      google::rpc::ErrorInfo info;
      if (any.UnpackTo(&info)) message += fmt::format(" [{}]", info.reason());
    }
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), message);
}

}  // namespace groundswell
