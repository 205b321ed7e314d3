#include "graph/log/request_record.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "graph/log/record.h"
#include "groundswell/storage/v1/shared_log.pb.h"

namespace groundswell {
namespace {

constexpr uint8_t kRequestRecordVersion = 1;
constexpr size_t kRequestRecordHeader = 1 + sizeof(uint32_t);

uint32_t ChecksumOfRequest(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

std::string Framed(const storage::v1::OrderedRequest& message) {
  std::string record(kRequestRecordHeader, '\0');
  message.AppendToString(&record);
  const uint32_t checksum =
      ChecksumOfRequest(std::string_view(record).substr(kRequestRecordHeader));
  record[0] = static_cast<char>(kRequestRecordVersion);
  std::memcpy(record.data() + 1, &checksum, sizeof(checksum));
  return record;
}

}  // namespace

std::string ToHex(const LogId& id) {
  std::string text;
  for (const uint8_t byte : id) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

std::string EncodeRequestRecord(const LogId& log_id, const Sender& sender,
                                const AppendRequest& request) {
  storage::v1::OrderedRequest message;
  message.set_log_id(log_id.data(), log_id.size());
  message.set_incarnation(sender.incarnation);
  message.set_number(sender.number);
  message.set_producer_id(request.producer_id);
  message.set_first_sequence(request.first_sequence);
  message.set_last_sequence(request.last_sequence);
  message.mutable_sequences()->Add(request.sequences.begin(), request.sequences.end());
  message.set_producer_mark(request.producer_mark);
  for (const LogEntry& entry : request.entries) message.add_entries(EncodeLogRecord(entry));
  if (request.seen_digest.has_value()) {
    storage::v1::SeenDigest& seen = *message.mutable_seen_digest();
    seen.set_server(request.seen_digest->server);
    seen.set_offset(request.seen_digest->offset);
    seen.set_snapshot_digest(request.seen_digest->snapshot_digest);
    seen.set_digest(request.seen_digest->digest);
  }
  return Framed(message);
}

std::string EncodeFirstRecord(const LogId& log_id) {
  storage::v1::OrderedRequest message;
  message.set_log_id(log_id.data(), log_id.size());
  return Framed(message);
}

absl::StatusOr<RequestRecord> DecodeRequestRecord(std::string_view record) {
  if (record.size() < kRequestRecordHeader) {
    return absl::DataLossError(
        fmt::format("a request of {} bytes is shorter than its header", record.size()));
  }
  // Before the checksum, which another version may compute of other bytes.
  const auto version = static_cast<uint8_t>(record[0]);
  if (version != kRequestRecordVersion) {
    return absl::DataLossError(fmt::format("a request has version {}; this server reads version {}",
                                           version, kRequestRecordVersion));
  }
  RequestRecord decoded;
  std::memcpy(&decoded.checksum, record.data() + 1, sizeof(decoded.checksum));
  const std::string_view payload = record.substr(kRequestRecordHeader);
  storage::v1::OrderedRequest message;
  if (ChecksumOfRequest(payload) != decoded.checksum ||
      !message.ParseFromArray(payload.data(), static_cast<int>(payload.size())) ||
      message.log_id().size() != decoded.log_id.size()) {
    return absl::DataLossError("a request does not match its checksum");
  }
  std::copy(message.log_id().begin(), message.log_id().end(), decoded.log_id.begin());
  decoded.sender = {.incarnation = message.incarnation(), .number = message.number()};
  AppendRequest& request = decoded.request;
  request.producer_id = message.producer_id();
  request.first_sequence = message.first_sequence();
  request.last_sequence = message.last_sequence();
  request.sequences.assign(message.sequences().begin(), message.sequences().end());
  request.producer_mark = message.producer_mark();
  request.entries.reserve(static_cast<size_t>(message.entries_size()));
  for (const std::string& bytes : message.entries()) {
    absl::StatusOr<LogEntry> entry = DecodeLogRecord(bytes);
    if (!entry.ok()) return entry.status();
    request.entries.push_back(*std::move(entry));
  }
  if (message.has_seen_digest()) {
    const storage::v1::SeenDigest& seen = message.seen_digest();
    request.seen_digest = {.server = seen.server(),
                           .offset = seen.offset(),
                           .snapshot_digest = seen.snapshot_digest(),
                           .digest = seen.digest()};
  }
  if (!request.producer_id.empty() && request.sequences.size() != request.entries.size()) {
    return absl::DataLossError(fmt::format("a request has {} entries, and {} sequence numbers",
                                           request.entries.size(), request.sequences.size()));
  }
  return decoded;
}

}  // namespace groundswell
