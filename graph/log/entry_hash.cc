#include "graph/log/entry_hash.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "graph/log/record.h"

namespace groundswell {
namespace {

// What is hashed: every part says where it ends, so that no two entries give the same bytes.
class ContentBytes {
 public:
  void Add(uint64_t number) { AppendKeyU64(bytes_, number); }
  void Add(std::string_view text) {
    Add(uint64_t{text.size()});
    bytes_.append(text);
  }
  void Add(const IdHash& hash) { bytes_.append(hash.begin(), hash.end()); }
  void Add(const std::vector<float>& values) {
    Add(uint64_t{values.size()});
    for (const float value : values) AppendKeyU32(bytes_, std::bit_cast<uint32_t>(value));
  }
  std::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

void AddContent(const Interaction& interaction, ContentBytes& content) {
  content.Add(std::string_view("interaction"));
  content.Add(interaction.user_id);
  content.Add(interaction.item_id);
  content.Add(interaction.event_type);
  content.Add(static_cast<uint64_t>(interaction.weight));
  content.Add(static_cast<uint64_t>(interaction.event_time_us));
}

void AddContent(const ForgetUser& forget, ContentBytes& content) {
  content.Add(std::string_view("forget_user"));
  content.Add(forget.user_hash);
}

void AddContent(const RemoveItem& removal, ContentBytes& content) {
  content.Add(std::string_view("remove_item"));
  content.Add(removal.item_hash);
}

void AddContent(const UpsertItem& item, ContentBytes& content) {
  content.Add(std::string_view("upsert_item"));
  content.Add(item.item_id);
  content.Add(item.title);
  content.Add(item.category);
  content.Add(item.embedding);
  content.Add(static_cast<uint64_t>(item.availability.from_us));
  content.Add(static_cast<uint64_t>(item.availability.until_us));
}

void AddContent(const ActivateSnapshot& activation, ContentBytes& content) {
  content.Add(std::string_view("activate_snapshot"));
  content.Add(activation.snapshot_digest);
}

void AddContent(const ResetBlend&, ContentBytes& content) {
  content.Add(std::string_view("reset_blend"));
}

void AddContent(const SetListRules& set, ContentBytes& content) {
  content.Add(std::string_view("set_list_rules"));
  content.Add(set.etag_before);
  content.Add(set.etag);
}

void AddContent(const Redacted&, ContentBytes& content) {
  content.Add(std::string_view("redacted"));
}

}  // namespace

EventIdHash HashEventId(std::string_view event_id) {
  const IdHash whole = HashId(event_id);
  EventIdHash hash;
  std::copy_n(whole.begin(), hash.size(), hash.begin());
  return hash;
}

std::optional<EventIdHash> EventIdHashOf(const LogEntry& entry) {
  if (const auto* redacted = std::get_if<Redacted>(&entry)) return redacted->event_id_hash;
  return HashEventId(EventIdOf(entry));
}

uint64_t ContentHashOf(const LogEntry& entry) {
  ContentBytes content;
  content.Add(EventIdOf(entry));
  std::visit([&content](const auto& one) { AddContent(one, content); }, entry);
  constexpr uint64_t kKeptBits = 1 << 16;
  const auto* set = std::get_if<SetListRules>(&entry);
  return (set != nullptr && set->is_refused ? kRefusedContent : 0) | kKeptBits |
         (XXH3_64bits(content.bytes().data(), content.bytes().size()) % kKeptBits);
}

}  // namespace groundswell
