// The CSV of past interactions that replay reads.
#ifndef GROUNDSWELL_SERVER_OFFLINE_EVENT_CSV_H_
#define GROUNDSWELL_SERVER_OFFLINE_EVENT_CSV_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace groundswell {

struct PastEvent {
  int64_t time_s = 0;  // Unix seconds
  std::string user_id;
  std::string item_id;
};

// Reads an RFC 4180 file whose header names at least `timestamp`, `user` and `item`; other columns
// are ignored. `on_event` is told of one event after the other, and ends the reading with an error.
// InvalidArgument, naming the line (of records, the header's being 1), for anything else: a
// quotation that is broken or never closed, a record with more or fewer fields than the header, a
// value that cannot be, an event before the one in front of it.
absl::Status ReadEventCsv(const std::string& path,
                          const std::function<absl::Status(const PastEvent&)>& on_event);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_EVENT_CSV_H_
