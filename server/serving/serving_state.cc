#include "server/serving/serving_state.h"

#include <utility>

namespace groundswell {

std::future<std::unique_ptr<ServingState>> ServingCell::Exchange(
    std::unique_ptr<ServingState> state) {
  std::shared_ptr<ServingState> shared;
  std::future<std::unique_ptr<ServingState>> retired;
  if (state != nullptr) {
    // Freeing a state takes long and waits for its threads: its last user only says that it left.
    auto left = std::make_shared<std::promise<std::unique_ptr<ServingState>>>();
    retired = left->get_future();
    shared.reset(state.release(), [left](ServingState* unused) {
      left->set_value(std::unique_ptr<ServingState>(unused));
    });
  }
  {
    const MutexLock lock(mutex_);
    state_.swap(shared);
    std::swap(retired_, retired);
  }
  return retired;
}

}  // namespace groundswell
