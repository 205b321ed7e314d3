// The CSV of past interactions that replay reads.
#ifndef GROUNDSWELL_SERVER_EVENT_CSV_H_
#define GROUNDSWELL_SERVER_EVENT_CSV_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace groundswell {

struct PastEvent {
  int64_t time_s = 0;  // Unix seconds
  std::string user_id;
  std::string item_id;
};

// Reads an RFC 4180 file whose header names at least `timestamp`, `user` and `item`; other columns
// are ignored. InvalidArgument, naming the line and the column, for anything else and for events
// that are not in time order.
absl::StatusOr<std::vector<PastEvent>> ReadEventCsv(const std::string& path);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_EVENT_CSV_H_
