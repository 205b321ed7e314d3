// IndexUpkeep: a thread that makes the retrieval index anew when so many vectors came or changed
// that every search pays for scanning them.
#ifndef GROUNDSWELL_SERVER_SERVING_INDEX_UPKEEP_H_
#define GROUNDSWELL_SERVER_SERVING_INDEX_UPKEEP_H_

#include <chrono>
#include <memory>
#include <thread>

#include "graph/mutex.h"
#include "server/process/metrics.h"
#include "server/serving/serving_state.h"

namespace groundswell {

// Builds on one thread of low priority, so that requests hardly notice, and says in the log and the
// metrics how far it is. It gives up when another snapshot takes over. After a failure it waits a
// minute; searches go on over the old index and the changes.
class IndexUpkeep {
 public:
  // Looks once per interval. Both must outlive this object; `serving` holds a state.
  IndexUpkeep(const ServingCell& serving, Metrics& metrics, std::chrono::milliseconds interval);
  ~IndexUpkeep();

 private:
  void Loop(std::chrono::milliseconds interval);
  // How long to wait for the next look.
  std::chrono::milliseconds LookAfter(const std::shared_ptr<ServingState>& state,
                                      std::chrono::milliseconds interval);
  bool stopping() const;

  const ServingCell& serving_;
  Metrics& metrics_;
  mutable Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_INDEX_UPKEEP_H_
