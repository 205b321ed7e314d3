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

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "client/text_file.h"

namespace groundswell {
namespace {

namespace experimental = grpc::experimental;

constexpr int kAnswerBytesMax = 64 << 20;
constexpr size_t kTokenBytesMax = 4096;  // gRPC takes 8 KiB of metadata in all
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

// What gRPC would make another port of: 99999 would be 34463.
bool IsPort(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65'535;
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
  // In gRPC's own scheme, such as unix:PATH or dns:NAME, it knows what follows.
  static constexpr std::string_view kSchemes[] = {
      "unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:"};
  const bool names_scheme =
      address.find(":///") != std::string::npos ||
      std::ranges::any_of(kSchemes, [&](auto scheme) { return address.starts_with(scheme); });
  const std::string_view last = std::string_view(address).substr(address.rfind(':') + 1);
  const bool ends_with_number =
      !last.empty() && last.find_first_not_of("0123456789") == std::string_view::npos;
  const bool is_wrong_port = address.starts_with("dns:") && ends_with_number && !IsPort(last);
  if (names_scheme && !is_wrong_port) return absl::OkStatus();
  const size_t bracket = address.rfind(']');
  const size_t colon = address.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("--server is \"{}\", without a port; {}", address, kForms));
  }
  if (IsPort(std::string_view(address).substr(colon + 1))) return absl::OkStatus();
  const bool is_ipv6 = address.find(':', colon + 1) != std::string::npos;
  return absl::InvalidArgumentError(
      fmt::format("--server is \"{}\"; {}, with a port of 1 to 65535{}", address, kForms,
                  is_ipv6 ? ", or [::1]:7100" : ""));
}

absl::StatusOr<std::string> ReadToken(const Connection& connection) {
  absl::StatusOr<std::string> text = ReadTextFile("--token-file", connection.token_file);
  if (!text.ok()) return text.status();
  std::string token = text->substr(0, text->find_first_of("\r\n"));
  // Metadata of gRPC's take nothing else: with it, the library ends the process.
  const bool is_printable =
      std::ranges::all_of(token, [](char byte) { return byte >= ' ' && byte <= '~'; });
  if (token.empty() || token.size() > kTokenBytesMax || !is_printable) {
    return absl::InvalidArgumentError(fmt::format(
        "the first line of --token-file \"{}\" must be a token: 1 to {} printable characters of "
        "ASCII",
        connection.token_file, kTokenBytesMax));
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
  for (const auto& [flag, path, text] :
       {std::tuple("--ca-file", &connection.ca_file, &options.pem_root_certs),
        std::tuple("--key-file", &connection.key_file, &options.pem_private_key),
        std::tuple("--certificate-file", &connection.certificate_file, &options.pem_cert_chain)}) {
    if (path->empty()) continue;
    absl::StatusOr<std::string> read = ReadTextFile(flag, *path);
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
