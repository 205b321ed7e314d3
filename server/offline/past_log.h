// PastLog: a log of interactions with ids resolved, for a replay.
#ifndef GROUNDSWELL_SERVER_OFFLINE_PAST_LOG_H_
#define GROUNDSWELL_SERVER_OFFLINE_PAST_LOG_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "models/files/manifest.h"
#include "server/offline/event_csv.h"

namespace groundswell {

// Memory: 24 bytes per event, and the ids of users and items once.
struct PastLog {
  struct Event {
    UserIndex user{};
    ItemIndex item{};
    int64_t time_s = 0;  // Unix seconds
    Count weight = 0;    // not 0; negative takes back
  };

  std::vector<Event> events;  // in time order
  size_t item_count = 0;      // those of the snapshot, and new ones
  size_t left_out = 0;        // events on items that the snapshot does not know
};

// Indices below the snapshot's counts are its users and items, in the order of `files`; behind
// them come others in the order of their first events. Items that the snapshot does not know are
// new ones with `creates_items`, else their events are left out and counted, as the server refuses
// them. Errors are those of ReadEventCsv and of the snapshot's tables.
absl::StatusOr<PastLog> ReadPastLog(const std::string& path, const SnapshotFiles& files,
                                    const EventWeights& weights, bool creates_items);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_PAST_LOG_H_
