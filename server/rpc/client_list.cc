#include "server/rpc/client_list.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "models/files/sha256.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

constexpr std::array<std::pair<std::string_view, Right>, 3> kRights = {
    {{"read", Right::kRead}, {"write", Right::kWrite}, {"admin", Right::kAdmin}}};
constexpr std::array<std::string_view, 5> kFields = {"name", "token_sha256", "certificate",
                                                     "rights", "calls_per_s"};
constexpr size_t kNameBytesMax = 64;
constexpr size_t kSha256HexLength = 64;
constexpr int64_t kCallsPerSecondMax = 10'000'000;

absl::Status Wrong(std::string_view client, std::string_view field, std::string_view value,
                   std::string_view remedy) {
  return absl::InvalidArgumentError(
      fmt::format("client \"{}\": {} is {}: {}", client, field, QuoteValue(value), remedy));
}

absl::StatusOr<std::string> TextOf(const toml::table& table, std::string_view name,
                                   std::string_view field) {
  const toml::node* node = table.get(field);
  if (node == nullptr) return std::string();
  const auto value = node->value_exact<std::string>();
  if (!value.has_value()) return Wrong(name, field, "no text", "it must be text");
  return *value;
}

absl::StatusOr<uint8_t> RightsOf(const toml::table& table, std::string_view name) {
  constexpr std::string_view kRemedy = "it must be a list of \"read\", \"write\", \"admin\"";
  const toml::array* list = table["rights"].as_array();
  if (list == nullptr || list->empty()) return Wrong(name, "rights", "", kRemedy);
  uint8_t rights = 0;
  for (const toml::node& node : *list) {
    const std::string value = node.value_or(std::string());
    uint8_t bit = 0;
    for (const auto& [text, right] : kRights) {
      if (value == text) bit = static_cast<uint8_t>(right);
    }
    if (bit == 0) return Wrong(name, "rights", value, kRemedy);
    rights |= bit;
  }
  return rights;
}

absl::StatusOr<int64_t> RateOf(const toml::table& table, std::string_view name) {
  const toml::node* node = table.get("calls_per_s");
  if (node == nullptr) return 0;
  const auto value = node->value_exact<int64_t>();
  if (value.has_value() && *value >= 1 && *value <= kCallsPerSecondMax) return *value;
  return Wrong(name, "calls_per_s", value.has_value() ? std::to_string(*value) : "no number",
               fmt::format("it must be 1 to {}; leave it out for no limit", kCallsPerSecondMax));
}

absl::StatusOr<std::string> NameOf(const toml::table& table, size_t number) {
  const absl::StatusOr<std::string> name = TextOf(table, std::to_string(number), "name");
  if (!name.ok()) return name.status();
  const bool fits = !name->empty() && name->size() <= kNameBytesMax &&
                    name->find_first_not_of(
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == std::string::npos;
  if (fits) return *name;
  return Wrong(std::to_string(number), "name", *name,
               fmt::format("it must be 1 to {} letters, digits, '.', '_' or '-'", kNameBytesMax));
}

}  // namespace

std::string_view NameOf(Right right) {
  const auto* const found =
      std::ranges::find(kRights, right, [](const auto& pair) { return pair.second; });
  return found->first;
}

std::chrono::nanoseconds CallRate::Take(int64_t now_ns) {
  if (interval_ns_ == 0) return {};
  int64_t next = next_ns_.load(std::memory_order_relaxed);
  for (;;) {
    const int64_t due = std::max(next, now_ns);
    if (due - now_ns >= kBurstNs) return std::chrono::nanoseconds(due - now_ns - kBurstNs + 1);
    if (next_ns_.compare_exchange_weak(next, due + interval_ns_, std::memory_order_relaxed)) {
      return {};
    }
  }
}

absl::StatusOr<ClientList> ClientList::Parse(std::string_view text) {
  toml::table file;
  try {
    file = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        fmt::format("line {}: {}", error.source().begin.line, error.description()));
  }
  for (const auto& [key, value] : file) {
    if (key.str() != "client") {
      return absl::InvalidArgumentError(
          fmt::format("unknown key \"{}\"; the file is made of [[client]] tables", key.str()));
    }
  }
  ClientList list;
  const toml::array* clients = file["client"].as_array();
  for (size_t i = 0; clients != nullptr && i < clients->size(); ++i) {
    const toml::table* table = clients->get(i)->as_table();
    if (table == nullptr) return absl::InvalidArgumentError("client must be [[client]] tables");
    const absl::StatusOr<std::string> name = NameOf(*table, i + 1);
    if (!name.ok()) return name.status();
    for (const auto& [key, value] : *table) {
      if (std::find(kFields.begin(), kFields.end(), key.str()) == kFields.end()) {
        return Wrong(*name, "a field", key.str(),
                     fmt::format("known are {}", fmt::join(kFields, ", ")));
      }
    }
    const auto rights = RightsOf(*table, *name);
    const auto rate = RateOf(*table, *name);
    const auto token = TextOf(*table, *name, "token_sha256");
    const auto certificate = TextOf(*table, *name, "certificate");
    for (const absl::Status& status :
         {rights.status(), rate.status(), token.status(), certificate.status()}) {
      if (!status.ok()) return status;
    }
    absl::Status added =
        list.Add({.name = *name, .rights = *rights, .rate = std::make_unique<CallRate>(*rate)},
                 *token, *certificate);
    if (!added.ok()) return added;
  }
  if (list.size() > 0) return list;
  return absl::InvalidArgumentError("it has no [[client]]: nobody could call");
}

absl::Status ClientList::Add(Client client, const std::string& token_sha256,
                             const std::string& certificate) {
  const std::string& name = client.name;
  if (clients_.size() == kClientsMax) {
    return absl::InvalidArgumentError(fmt::format("it has more than {} clients", kClientsMax));
  }
  if (token_sha256.empty() == certificate.empty()) {
    return Wrong(name, "token_sha256", token_sha256,
                 "a client has this or a certificate, and not both");
  }
  const bool is_hex = token_sha256.size() == kSha256HexLength &&
                      token_sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!token_sha256.empty() && !is_hex) {
    return Wrong(name, "token_sha256", token_sha256,
                 "it must be 64 lower-case hexadecimal digits, as sha256sum prints them");
  }
  if (token_sha256 == Sha256({})) {
    return Wrong(name, "token_sha256", token_sha256,
                 "it is the digest of an empty token, which anybody could give");
  }
  for (const auto& other : clients_) {
    if (other->name == name) return Wrong(name, "name", name, "another client has it");
  }
  auto added = std::make_unique<Client>(std::move(client));
  auto& index = certificate.empty() ? by_token_sha256_ : by_certificate_;
  const std::string& key = certificate.empty() ? token_sha256 : certificate;
  if (!index.emplace(key, added.get()).second) {
    return Wrong(added->name, certificate.empty() ? "token_sha256" : "certificate", key,
                 "another client has the same");
  }
  clients_.push_back(std::move(added));
  return absl::OkStatus();
}

// Comparing digests in no constant time tells nothing about the tokens behind them.
const ClientList::Client* ClientList::FindByToken(std::string_view token) const {
  const auto found = by_token_sha256_.find(Sha256(std::as_bytes(std::span(token))));
  return found == by_token_sha256_.end() ? nullptr : found->second;
}

const ClientList::Client* ClientList::FindByCertificate(std::string_view name) const {
  const auto found = by_certificate_.find(name);
  return found == by_certificate_.end() ? nullptr : found->second;
}

}  // namespace groundswell
