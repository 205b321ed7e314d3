// IndexUpkeep: a thread that makes the retrieval index anew when so many vectors came or changed
// that every search pays for scanning them.
#ifndef GROUNDSWELL_SERVER_SERVING_INDEX_UPKEEP_H_
#define GROUNDSWELL_SERVER_SERVING_INDEX_UPKEEP_H_

#include <chrono>
#include <memory>

#include "server/process/metrics.h"
#include "server/process/periodic_thread.h"
#include "server/serving/serving_state.h"

namespace groundswell {

// Builds on one thread of low priority, so that requests hardly notice, and says in the log and the
// metrics how far it is. It gives up when another snapshot takes over. After a failure it waits a
// minute; searches go on over the old index and the changes.
class IndexUpkeep {
 public:
  // Looks once per interval. Both must outlive this object; `serving` holds a state.
  IndexUpkeep(const ServingCell& serving, ServedMetrics& metrics,
              std::chrono::milliseconds interval);

 private:
  // How long to wait for the next look.
  std::chrono::milliseconds LookAfter(const std::shared_ptr<ServingState>& state,
                                      std::chrono::milliseconds interval,
                                      const PeriodicThread::KeepGoing& keep_going);

  const ServingCell& serving_;
  ServedMetrics& metrics_;
  PeriodicThread thread_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_INDEX_UPKEEP_H_
