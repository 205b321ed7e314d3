#include "graph/record.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cstring>

#include "groundswell/storage/v1/log_record.pb.h"

namespace groundswell {
namespace {

constexpr uint8_t kLogRecordVersion = 1;
constexpr size_t kLogRecordHeader = 1 + sizeof(uint32_t);

uint32_t Checksum(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

}  // namespace

std::string EncodeLogRecord(const Interaction& interaction) {
  storage::v1::LogRecord message;
  message.set_event_id(interaction.event_id);
  message.set_user_id(interaction.user_id);
  message.set_item_id(interaction.item_id);
  message.set_event_type(interaction.event_type);
  message.set_weight(interaction.weight);
  message.set_event_time_us(interaction.event_time_us);
  message.set_received_time_us(interaction.received_time_us);

  std::string record(kLogRecordHeader, '\0');
  message.AppendToString(&record);
  const uint32_t checksum = Checksum(std::string_view(record).substr(kLogRecordHeader));
  record[0] = static_cast<char>(kLogRecordVersion);
  std::memcpy(record.data() + 1, &checksum, sizeof(checksum));
  return record;
}

absl::StatusOr<Interaction> DecodeLogRecord(std::string_view record) {
  if (record.size() < kLogRecordHeader) {
    return absl::DataLossError(
        fmt::format("log record of {} bytes is shorter than its header", record.size()));
  }
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
  return Interaction{.event_id = message.event_id(),
                     .user_id = message.user_id(),
                     .item_id = message.item_id(),
                     .event_type = message.event_type(),
                     .weight = message.weight(),
                     .event_time_us = message.event_time_us(),
                     .received_time_us = message.received_time_us()};
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
