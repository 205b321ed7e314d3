// WriteHealth: whether writes to a database come back, and whether they are refused without a
// reason that the disk would give.
//
// It knows no clock: whoever watches counts for how long it sees one state (WriteWatch of the
// server). So a process that was stopped for an hour is not taken for one whose disk hung for one.
//
// Thread-safe.
#ifndef GROUNDSWELL_GRAPH_STORE_WRITE_HEALTH_H_
#define GROUNDSWELL_GRAPH_STORE_WRITE_HEALTH_H_

#include <atomic>
#include <cstdint>
#include <set>

#include "absl/base/thread_annotations.h"
#include "graph/mutex.h"

namespace groundswell {

class WriteHealth {
 public:
  // A write, from before it begins until it has come back; writes may be parts of others.
  class Write {
   public:
    explicit Write(WriteHealth& health);
    ~Write();
    Write(const Write&) = delete;
    Write& operator=(const Write&) = delete;

   private:
    WriteHealth& health_;
    const uint64_t number_;
  };

  // Number of the write that has been under way for longest, from 1 on; 0: none is.
  uint64_t oldest_write() const;

  // Writes fail again and again although the disk takes others: the database does not recover.
  void SetStuck(bool stuck) { stuck_ = stuck; }
  bool stuck() const { return stuck_; }

 private:
  std::atomic<bool> stuck_{false};
  mutable Mutex mutex_;
  uint64_t newest_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<uint64_t> under_way_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_WRITE_HEALTH_H_
