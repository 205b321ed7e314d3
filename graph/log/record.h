// The bytes of the log's records and of the store's keys; docs/formats.md shows them worked out.
#ifndef GROUNDSWELL_GRAPH_LOG_RECORD_H_
#define GROUNDSWELL_GRAPH_LOG_RECORD_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "graph/log/log_entry.h"

namespace groundswell {

// Value of a log record: version (u8, 2), CRC-32 (u32 little-endian) of the rest, a serialized
// groundswell.storage.v1.LogRecord.
std::string EncodeLogRecord(const LogEntry& entry);

// DataLoss when the version is unknown, the checksum differs or the message does not parse.
absl::StatusOr<LogEntry> DecodeLogRecord(std::string_view record);

// Big-endian, so that keys sort as the numbers do.
void AppendKeyU32(std::string& key, uint32_t value);
void AppendKeyU64(std::string& key, uint64_t value);

// The number in the last eight bytes of a key; 0 when the key is shorter.
uint64_t KeySuffixU64(std::string_view key);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_RECORD_H_
