// What a database keeps of a log that several servers share.
#ifndef GROUNDSWELL_GRAPH_LOG_SHARED_LOG_H_
#define GROUNDSWELL_GRAPH_LOG_SHARED_LOG_H_

#include <array>
#include <cstdint>
#include <string>

namespace groundswell {

using LogId = std::array<uint8_t, 16>;  // random
std::string ToHex(const LogId& id);

struct SharedLog {
  LogId id{};
  int64_t position = 0;   // of the request that was taken last; 0: none yet
  uint32_t checksum = 0;  // of its record
  // Settings of the log, the same for all of its servers: see StoredLog::Options.
  int64_t event_ids_max = 0;
  int64_t producers_max = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_LOG_SHARED_LOG_H_
