#include "server/rpc/access.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>
#include <strings.h>

#include <fstream>
#include <string_view>
#include <utility>

#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

constexpr std::string_view kScheme = "bearer ";  // in any case (RFC 9110, section 11.1)
constexpr size_t kSecretBytes = 32;
constexpr size_t kClientsFileBytesMax = size_t{1} << 20;

std::string_view AuthorizationOf(const grpc::ServerContextBase& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  if (found == metadata.end()) return {};
  return {found->second.data(), found->second.size()};
}

// The token of "authorization: Bearer TOKEN"; nullopt when there is none.
std::optional<std::string_view> TokenOf(std::string_view authorization) {
  if (authorization.size() < kScheme.size() ||
      ::strncasecmp(authorization.data(), kScheme.data(), kScheme.size()) != 0) {
    return std::nullopt;
  }
  return authorization.substr(kScheme.size());
}

const ClientList::Client* FindByNames(const ClientList& clients,
                                      std::span<const std::string> certificate_names) {
  for (const std::string& name : certificate_names) {
    if (const auto* client = clients.FindByCertificate(name); client != nullptr) return client;
  }
  return nullptr;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(
        fmt::format("access.clients_file is \"{}\", which cannot be opened", path));
  }
  std::string text;
  text.resize(kClientsFileBytesMax + 1);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad()) {
    return absl::InvalidArgumentError(fmt::format(
        "access.clients_file is \"{}\", which cannot be read; is it a directory?", path));
  }
  if (text.size() <= kClientsFileBytesMax) return text;
  return absl::InvalidArgumentError(fmt::format(
      "access.clients_file \"{}\" is larger than {} bytes", path, kClientsFileBytesMax));
}

}  // namespace

AccessControl::AccessControl(Options options, RequestMetrics& metrics)
    : options_(std::move(options)), metrics_(metrics) {}

absl::StatusOr<std::unique_ptr<AccessControl>> AccessControl::Create(Options options,
                                                                     RequestMetrics& metrics) {
  std::unique_ptr<AccessControl> access(new AccessControl(std::move(options), metrics));
  if (access->options_.clients_file.empty()) return access;
  access->secret_.resize(kSecretBytes);
  if (RAND_bytes(reinterpret_cast<unsigned char*>(access->secret_.data()), kSecretBytes) != 1) {
    return absl::UnavailableError("the system has no random numbers to make a secret of");
  }
  if (absl::Status s = access->Reload(); !s.ok()) return s;
  AccessControl* const self = access.get();
  access->reloading_ = std::make_unique<PeriodicThread>(
      PeriodicThread::Scheduling{.name = "access"}, self->options_.reload,
      [self](const PeriodicThread::KeepGoing&) -> std::chrono::milliseconds {
        if (const absl::Status s = self->Reload(); !s.ok()) {
          self->metrics_.CountAccessReloadFailure();
          spdlog::error("{}; the clients stay as they were", std::string(s.message()));
        }
        return self->options_.reload;
      });
  return access;
}

const ClientList::Client* AccessControl::FindByCertificate(
    const ClientList& clients, const grpc::ServerContextBase& context) const {
  const auto& metadata = context.client_metadata();
  if (const auto found = metadata.find(kVouchedField); found != metadata.end()) {
    const std::string_view vouched(found->second.data(), found->second.size());
    if (vouched.size() < kSecretBytes ||
        CRYPTO_memcmp(vouched.data(), secret_.data(), kSecretBytes) != 0) {
      return nullptr;
    }
    return clients.FindByCertificate(vouched.substr(kSecretBytes));
  }
  const auto authenticated = context.auth_context();
  if (authenticated == nullptr || !authenticated->IsPeerAuthenticated()) return nullptr;
  for (const char* property : {"x509_common_name", "x509_subject_alternative_name"}) {
    for (const grpc::string_ref& name : authenticated->FindPropertyValues(property)) {
      const auto* client = clients.FindByCertificate({name.data(), name.size()});
      if (client != nullptr) return client;
    }
  }
  return nullptr;
}

const ClientList::Client* AccessControl::FindClient(const ClientList& clients,
                                                    const grpc::ServerContextBase& context,
                                                    std::optional<std::string_view> token) const {
  return token.has_value() ? clients.FindByToken(*token) : FindByCertificate(clients, context);
}

std::string AccessControl::Vouch(std::span<const std::string> certificate_names) const {
  const std::shared_ptr<const ClientList> list = clients();
  if (list == nullptr) return "";
  for (const std::string& name : certificate_names) {
    if (list->FindByCertificate(name) != nullptr) return secret_ + name;
  }
  return "";
}

absl::Status AccessControl::Reload() {
  absl::StatusOr<std::string> text = ReadFile(options_.clients_file);
  if (!text.ok()) return text.status();
  if (text_ == *text) return absl::OkStatus();
  absl::StatusOr<ClientList> parsed = ClientList::Parse(*text);
  if (!parsed.ok()) {
    return absl::Status(parsed.status().code(),
                        fmt::format("access.clients_file \"{}\": {}", options_.clients_file,
                                    std::string(parsed.status().message())));
  }
  text_ = *std::move(text);
  auto clients = std::make_shared<const ClientList>(*std::move(parsed));
  spdlog::info("{} clients may call", clients->size());
  const MutexLock lock(mutex_);
  clients_.swap(clients);
  return absl::OkStatus();
}

std::shared_ptr<const ClientList> AccessControl::clients() const {
  const MutexLock lock(mutex_);
  return clients_;
}

absl::Status AccessControl::CheckClient(const ClientList::Client* client, bool has_token,
                                        Right right) const {
  if (client == nullptr) {
    metrics_.CountRejected(Rejection::kUnauthenticated);
    return has_token ? WithReason(absl::UnauthenticatedError("no client has this bearer token"),
                                  "CREDENTIALS_UNKNOWN")
                     : WithReason(absl::UnauthenticatedError(
                                      "send \"authorization: Bearer TOKEN\" as metadata, or the "
                                      "certificate of a known client"),
                                  "CREDENTIALS_MISSING");
  }
  if (!client->Has(right)) {
    metrics_.CountRejected(Rejection::kForbidden);
    return WithReason(absl::PermissionDeniedError(fmt::format(
                          "client \"{}\" lacks the right \"{}\"", client->name, NameOf(right))),
                      "RIGHT_MISSING");
  }
  return absl::OkStatus();
}

absl::Status AccessControl::CheckRight(const grpc::ServerContextBase& context, Right right) const {
  const std::shared_ptr<const ClientList> list = clients();
  if (list == nullptr) return absl::OkStatus();
  const auto token = TokenOf(AuthorizationOf(context));
  return CheckClient(FindClient(*list, context, token), token.has_value(), right);
}

absl::Status AccessControl::CheckRight(std::string_view authorization,
                                       std::span<const std::string> certificate_names,
                                       Right right) const {
  const std::shared_ptr<const ClientList> list = clients();
  if (list == nullptr) return absl::OkStatus();
  const auto token = TokenOf(authorization);
  return CheckClient(
      token.has_value() ? list->FindByToken(*token) : FindByNames(*list, certificate_names),
      token.has_value(), right);
}

absl::Status AccessControl::Check(const grpc::ServerContextBase& context, Right right) const {
  const std::shared_ptr<const ClientList> list = clients();
  if (list == nullptr) return absl::OkStatus();
  const auto token = TokenOf(AuthorizationOf(context));
  const ClientList::Client* const client = FindClient(*list, context, token);
  if (absl::Status s = CheckClient(client, token.has_value(), right); !s.ok()) return s;
  const int64_t now_ns =
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  if (const auto wait = client->rate->Take(now_ns); wait.count() > 0) {
    metrics_.CountRejected(Rejection::kRateLimited);
    return WithRetryAfter(
        WithReason(absl::ResourceExhaustedError(fmt::format(
                       "client \"{}\" makes more calls than its calls_per_s", client->name)),
                   "RATE_LIMITED"),
        std::chrono::ceil<std::chrono::milliseconds>(wait));
  }
  return absl::OkStatus();
}

}  // namespace groundswell
