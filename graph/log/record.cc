#include "graph/log/record.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "groundswell/storage/v1/log_record.pb.h"

namespace groundswell {
namespace {

using storage::v1::LogRecord;

constexpr uint8_t kLogRecordVersion = 2;
constexpr size_t kLogRecordHeader = 1 + sizeof(uint32_t);

uint32_t Checksum(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

std::string ToBytes(const IdHash& hash) { return {hash.begin(), hash.end()}; }

IdHash ToHash(const std::string& bytes) {
  IdHash hash{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), hash.size()), hash.begin());
  return hash;
}

void FillCluster(const std::optional<AssignedCluster>& assigned, LogRecord& message) {
  if (!assigned.has_value()) return;
  message.set_user_cluster(assigned->cluster);
  message.set_clusters_of(assigned->clusters_of);
}

std::optional<AssignedCluster> ToCluster(const LogRecord& message) {
  if (!message.has_user_cluster()) return std::nullopt;
  return AssignedCluster{.cluster = message.user_cluster(), .clusters_of = message.clusters_of()};
}

void Fill(const Interaction& interaction, LogRecord& message) {
  message.set_event_id(interaction.event_id);
  message.set_user_id(interaction.user_id);
  message.set_item_id(interaction.item_id);
  message.set_event_type(interaction.event_type);
  message.set_weight(interaction.weight);
  message.set_event_time_us(interaction.event_time_us);
  message.set_received_time_us(interaction.received_time_us);
  FillCluster(interaction.user_cluster, message);
  message.set_item_creation(
      static_cast<LogRecord::ItemCreation>(static_cast<int>(interaction.item_creation)));
}

void Fill(const Redacted& redacted, LogRecord& message) {
  message.set_event_time_us(redacted.event_time_us);
  message.set_user_id(redacted.user_id);
  FillCluster(redacted.user_cluster, message);
  message.set_item_id(redacted.created_item_id);
  LogRecord::Redacted& change = *message.mutable_redacted();
  if (redacted.event_id_hash.has_value()) {
    change.set_event_id_hash(
        std::string(redacted.event_id_hash->begin(), redacted.event_id_hash->end()));
  }
}

void Fill(const ForgetUser& forget, LogRecord& message) {
  message.set_event_id(forget.event_id);
  message.set_user_id(forget.user_id);
  message.set_event_time_us(forget.time_us);
  message.mutable_forget_user()->set_user_hash(ToBytes(forget.user_hash));
}

void Fill(const RemoveItem& removal, LogRecord& message) {
  message.set_event_id(removal.event_id);
  message.set_item_id(removal.item_id);
  message.set_event_time_us(removal.time_us);
  message.mutable_remove_item()->set_item_hash(ToBytes(removal.item_hash));
}

void Fill(const UpsertItem& item, LogRecord& message) {
  message.set_event_id(item.event_id);
  message.set_item_id(item.item_id);
  message.set_clusters_of(item.clusters_of);
  LogRecord::UpsertItem& change = *message.mutable_upsert_item();
  change.set_title(item.title);
  change.set_category(item.category);
  change.mutable_embedding()->Add(item.embedding.begin(), item.embedding.end());
  change.set_cluster(item.cluster);
  WriteAvailability(item.availability, change);
}

void Fill(const ActivateSnapshot& activation, LogRecord& message) {
  message.set_event_id(activation.event_id);
  message.mutable_activate_snapshot()->set_snapshot_digest(activation.snapshot_digest);
}

void Fill(const ResetBlend& reset, LogRecord& message) {
  message.set_event_id(reset.event_id);
  message.mutable_reset_blend();
}

void Fill(const SetListRules& set, LogRecord& message) {
  message.set_event_id(set.event_id);
  LogRecord::SetListRules& change = *message.mutable_set_list_rules();
  change.set_etag_before(set.etag_before);
  change.set_etag(set.etag);
  change.set_rules(set.rules);
  change.set_is_refused(set.is_refused);
}

// What a later version wrote is no permission here.
ItemCreation ToItemCreation(const LogRecord& message) {
  switch (message.item_creation()) {
    case LogRecord::ITEM_CREATION_ALLOWED:
      return ItemCreation::kAllowed;
    case LogRecord::ITEM_CREATION_DONE:
      return ItemCreation::kDone;
    default:
      return ItemCreation::kNo;
  }
}

Interaction ToInteraction(const LogRecord& message) {
  return {.event_id = message.event_id(),
          .user_id = message.user_id(),
          .item_id = message.item_id(),
          .event_type = message.event_type(),
          .weight = message.weight(),
          .event_time_us = message.event_time_us(),
          .received_time_us = message.received_time_us(),
          .user_cluster = ToCluster(message),
          .item_creation = ToItemCreation(message)};
}

Redacted ToRedacted(const LogRecord& message) {
  Redacted redacted{.event_time_us = message.event_time_us(),
                    .user_id = message.user_id(),
                    .user_cluster = ToCluster(message),
                    .created_item_id = message.item_id()};
  const std::string& bytes = message.redacted().event_id_hash();
  if (EventIdHash hash; bytes.size() == hash.size()) {
    std::copy(bytes.begin(), bytes.end(), hash.begin());
    redacted.event_id_hash = hash;
  }
  return redacted;
}

UpsertItem ToUpsertItem(const LogRecord& message) {
  const LogRecord::UpsertItem& change = message.upsert_item();
  return {.event_id = message.event_id(),
          .item_id = message.item_id(),
          .title = change.title(),
          .category = change.category(),
          .embedding = {change.embedding().begin(), change.embedding().end()},
          .cluster = change.cluster(),
          .clusters_of = message.clusters_of(),
          .availability = ReadAvailability(change)};
}

SetListRules ToSetListRules(const LogRecord& message) {
  const LogRecord::SetListRules& change = message.set_list_rules();
  return {.event_id = message.event_id(),
          .etag_before = change.etag_before(),
          .etag = change.etag(),
          .rules = change.rules(),
          .is_refused = change.is_refused()};
}

}  // namespace

std::string EncodeLogRecord(const LogEntry& entry) {
  storage::v1::LogRecord message;
  std::visit([&message](const auto& one) { Fill(one, message); }, entry);
  std::string record(kLogRecordHeader, '\0');
  message.AppendToString(&record);
  const uint32_t checksum = Checksum(std::string_view(record).substr(kLogRecordHeader));
  record[0] = static_cast<char>(kLogRecordVersion);
  std::memcpy(record.data() + 1, &checksum, sizeof(checksum));
  return record;
}

absl::StatusOr<LogEntry> DecodeLogRecord(std::string_view record) {
  if (record.size() < kLogRecordHeader) {
    return absl::DataLossError(
        fmt::format("log record of {} bytes is shorter than its header", record.size()));
  }
  // Before the checksum, which another version may compute of other bytes: a later server's record
  // is called that, and not damaged.
  const auto version = static_cast<uint8_t>(record[0]);
  if (version != kLogRecordVersion) {
    return absl::DataLossError(fmt::format(
        "log record has version {}; this server reads version {}", version, kLogRecordVersion));
  }
  uint32_t checksum;
  std::memcpy(&checksum, record.data() + 1, sizeof(checksum));
  const std::string_view payload = record.substr(kLogRecordHeader);
  storage::v1::LogRecord message;
  if (Checksum(payload) != checksum ||
      !message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::DataLossError("log record does not match its checksum");
  }
  switch (message.change_case()) {
    case LogRecord::CHANGE_NOT_SET:
      return ToInteraction(message);
    case LogRecord::kRedacted:
      return ToRedacted(message);
    case LogRecord::kForgetUser:
      return ForgetUser{.event_id = message.event_id(),
                        .user_id = message.user_id(),
                        .user_hash = ToHash(message.forget_user().user_hash()),
                        .time_us = message.event_time_us()};
    case LogRecord::kRemoveItem:
      return RemoveItem{.event_id = message.event_id(),
                        .item_id = message.item_id(),
                        .item_hash = ToHash(message.remove_item().item_hash()),
                        .time_us = message.event_time_us()};
    case LogRecord::kUpsertItem:
      return ToUpsertItem(message);
    case LogRecord::kActivateSnapshot:
      return ActivateSnapshot{.event_id = message.event_id(),
                              .snapshot_digest = message.activate_snapshot().snapshot_digest()};
    case LogRecord::kResetBlend:
      return ResetBlend{.event_id = message.event_id()};
    case LogRecord::kSetListRules:
      return ToSetListRules(message);
  }
  return absl::DataLossError("log record of an unknown kind");
}

void AppendKeyU32(std::string& key, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) key.push_back(static_cast<char>(value >> shift));
}

void AppendKeyU64(std::string& key, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(value >> shift));
}

uint64_t KeySuffixU64(std::string_view key) {
  if (key.size() < sizeof(uint64_t)) return 0;
  uint64_t value = 0;
  for (const char byte : key.substr(key.size() - sizeof(uint64_t))) {
    value = value << 8 | static_cast<uint8_t>(byte);
  }
  return value;
}

}  // namespace groundswell
