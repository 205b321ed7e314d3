#include "graph/log/log_entry.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <type_traits>

namespace groundswell {

IdHash HashId(std::string_view id) {
  // The one-shot SHA256() looks the algorithm up anew, which takes twice as long as the hash.
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  IdHash hash{};
  EVP_Digest(id.data(), id.size(), hash.data(), nullptr, sha256, nullptr);
  return hash;
}

std::string EtagOfListRules(std::string_view rules) {
  std::string etag;
  for (const uint8_t byte : HashId(rules)) etag += fmt::format("{:02x}", byte);
  return etag;
}

std::string_view EventIdOf(const LogEntry& entry) {
  return std::visit(
      [](const auto& one) -> std::string_view {
        if constexpr (std::is_same_v<std::decay_t<decltype(one)>, Redacted>) {
          return {};
        } else {
          return one.event_id;
        }
      },
      entry);
}

}  // namespace groundswell
