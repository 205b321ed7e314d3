// ServingState: a live state and the pipeline that answers from it; and the cell that holds the one
// that serves.
#ifndef GROUNDSWELL_SERVER_SERVING_SERVING_STATE_H_
#define GROUNDSWELL_SERVER_SERVING_SERVING_STATE_H_

#include <future>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "graph/mutex.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/pipeline.h"

namespace groundswell {

struct ServingState : LiveState {
  using LiveState::LiveState;

  // Last: it refers to everything above.
  std::unique_ptr<Pipeline> pipeline;
};

// Holds the state that serves. A request takes it once and sees one world to its end.
// Thread-safe.
class ServingCell {
 public:
  std::shared_ptr<ServingState> Get() const {
    MutexLock lock(mutex_);
    return state_;
  }
  // `state` (nullptr: nothing) serves from now on. What served before, if anything did, is there
  // for whoever waits for it once the last request that took it has ended, and is freed by the
  // waiter instead of by that request.
  std::future<std::unique_ptr<ServingState>> Exchange(std::unique_ptr<ServingState> state);

 private:
  mutable Mutex mutex_;
  std::shared_ptr<ServingState> state_ ABSL_GUARDED_BY(mutex_);
  // state_ itself, once nobody has it any more; without one, not valid.
  std::future<std::unique_ptr<ServingState>> retired_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_SERVING_STATE_H_
