// ServingState: a live state and the pipeline that answers from it; and the cell that holds the one
// that serves.
#ifndef GROUNDSWELL_SERVER_SERVING_SERVING_STATE_H_
#define GROUNDSWELL_SERVER_SERVING_SERVING_STATE_H_

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
  // Returns what was held.
  std::shared_ptr<ServingState> Exchange(std::shared_ptr<ServingState> state) {
    MutexLock lock(mutex_);
    state_.swap(state);
    return state;
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<ServingState> state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_SERVING_STATE_H_
