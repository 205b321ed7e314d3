// The bytes of a request in the order that several servers share; docs/formats.md has them.
#ifndef GROUNDSWELL_GRAPH_LOG_REQUEST_RECORD_H_
#define GROUNDSWELL_GRAPH_LOG_REQUEST_RECORD_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "graph/log/interaction_log.h"
#include "graph/log/shared_log.h"

namespace groundswell {

// Who sent a request, and as his how manieth, from 1 on.
struct Sender {
  uint64_t incarnation = 0;  // of the process, random
  uint64_t number = 0;
};

struct RequestRecord {
  LogId log_id{};
  Sender sender;
  AppendRequest request;
  uint32_t checksum = 0;  // of the record
};

// Version (u8, 1), CRC-32 (u32 little-endian) of the rest, a serialized
// groundswell.storage.v1.OrderedRequest.
std::string EncodeRequestRecord(const LogId& log_id, const Sender& sender,
                                const AppendRequest& request);
// The first record, which makes an order one: it has no sender.
std::string EncodeFirstRecord(const LogId& log_id);

// DataLoss when the version is unknown, the checksum differs or the message does not parse.
absl::StatusOr<RequestRecord> DecodeRequestRecord(std::string_view record);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_REQUEST_RECORD_H_
