#include "client/events/content_ids.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <array>
#include <cstring>

namespace groundswell {
namespace {

constexpr size_t kHashBytes = 16;

using Hash = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

Hash HashOf(std::string_view bytes) {
  Hash hash;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), hash.data());
  return hash;
}

std::string ToText(const Hash& hash) {
  std::string text;
  for (size_t i = 0; i < kHashBytes; ++i) text += fmt::format("{:02x}", hash[i]);
  return text;
}

// With its length in front, so that no two events are the same bytes.
void Append(std::string_view field, std::string& bytes) {
  bytes += fmt::format("{}:", field.size());
  bytes += field;
}

Hash HashOf(const v1::Interaction& interaction) {
  std::string bytes;
  Append(interaction.user_id(), bytes);
  Append(interaction.item_id(), bytes);
  Append(interaction.event_type(), bytes);
  Append(interaction.has_weight() ? std::to_string(interaction.weight()) : "", bytes);
  bytes += fmt::format("{}.{:09d}", interaction.event_time().seconds(),
                       interaction.event_time().nanos());
  return HashOf(bytes);
}

}  // namespace

std::string ContentHash(const v1::Interaction& interaction) { return ToText(HashOf(interaction)); }

std::string ChainHash(std::string_view before, uint64_t record, std::string_view content_hash) {
  return ToText(HashOf(fmt::format("{} {} {}", before, record, content_hash)));
}

std::string ContentIds::IdOf(const v1::Interaction& interaction) {
  const Hash hash = HashOf(interaction);
  uint64_t front;
  std::memcpy(&front, hash.data(), sizeof(front));
  ++position_;
  while (!by_position_.empty() && by_position_.front().first + kRecordsKept < position_) {
    const auto [position, old] = by_position_.front();
    by_position_.pop_front();
    const auto at = last_.find(old);
    if (at != last_.end() && at->second.position == position) last_.erase(at);
  }
  Last& last = last_[front];
  last = {.position = position_, .count = last.count + 1};
  by_position_.emplace_back(position_, front);
  return last.count == 1 ? ToText(hash) : fmt::format("{}:{}", ToText(hash), last.count);
}

}  // namespace groundswell
