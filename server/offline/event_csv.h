// The log of past interactions that replay reads.
#ifndef GROUNDSWELL_SERVER_OFFLINE_EVENT_CSV_H_
#define GROUNDSWELL_SERVER_OFFLINE_EVENT_CSV_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "graph/ids.h"

namespace groundswell {

struct PastEvent {
  int64_t time_s = 0;  // Unix seconds
  std::string user_id;
  std::string item_id;
  Count weight = 0;  // not 0; negative takes back
};

// What an event weighs that does not say it, as a server of this configuration would weigh it.
struct EventWeights {
  std::map<std::string, int64_t> of_type;  // Config::event_types
  std::string default_type =
      "purchase";  // of events that name none, as `groundswell ingest` has it
};

// Reads a log (csv/log_reader.h). `weight`, where it is there and not empty, is what the event
// weighs, else that of its `type`; other columns are ignored. `on_event` is told of one event after
// the other, and ends the reading with an error. InvalidArgument, naming the record, for anything
// else: a quotation that is broken or never closed, a record with more or fewer fields than the
// header, a value that cannot be, an event before the one in front of it, and what a server would
// not take: ids with control characters or too long, and times that are further ahead of this
// machine's clock than a server's default allows.
absl::Status ReadEventCsv(const std::string& path, const EventWeights& weights,
                          const std::function<absl::Status(const PastEvent&)>& on_event);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_EVENT_CSV_H_
