#include "graph/store/write_health.h"

namespace groundswell {

WriteHealth::Write::Write(WriteHealth& health)
    : health_(health), number_([&health] {
        const MutexLock lock(health.mutex_);
        health.under_way_.insert(++health.newest_);
        return health.newest_;
      }()) {}

WriteHealth::Write::~Write() {
  const MutexLock lock(health_.mutex_);
  health_.under_way_.erase(number_);
}

uint64_t WriteHealth::oldest_write() const {
  const MutexLock lock(mutex_);
  return under_way_.empty() ? 0 : *under_way_.begin();
}

}  // namespace groundswell
