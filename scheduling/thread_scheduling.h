// How Linux schedules the calling thread beside others.
#ifndef GROUNDSWELL_SCHEDULING_THREAD_SCHEDULING_H_
#define GROUNDSWELL_SCHEDULING_THREAD_SCHEDULING_H_

#include <chrono>
#include <functional>

namespace groundswell {

// The name that top and perf show; at most 15 characters.
void NameThread(const char* name);

// Nice value of this thread alone, 0 to 19. A refusal by the system is logged; all goes on.
void LowerPriority(int niceness);

// Runs `work` on a thread of the lowest priority, and returns when it is done. Threads that it
// starts inherit that. The caller's own priority stays: only privileged processes may raise one
// again.
void RunAtLowestPriority(const std::function<void()>& work);

// For threads that somebody waits for and that work for a millisecond or less at a time: from Linux
// 6.12 on a woken thread of short slices runs at once, where it would otherwise wait until whoever
// runs has had his slice of several milliseconds, even one of lower priority. It gets no more of
// the processor than before. Older systems ignore it.
void RequestShortSlices();

// The same, where a thread comes by again and again and its start is not ours, such as a callback
// of gRPC's threads: the first call of each thread asks, the others cost a look at a flag.
void RequestShortSlicesOnce();

// When one thread, for whose work nobody waits, offers its core to threads that somebody waits for.
// Without it, one of those that was interrupted for a moment may wait until the kernel's next tick
// (4 ms at 250 Hz), whatever the priorities: only then does it look who is due. Helps as far as the
// thread has a lower priority: among equals, each has its share first.
class Yielding {
 public:
  // To be called between two pieces of work, however small, and without a lock that others may wait
  // for. Gives the core away (sched_yield(2)) if the thread kept it for 50 us and another waits.
  void BetweenPieces();

 private:
  std::chrono::steady_clock::time_point worked_since_{};
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SCHEDULING_THREAD_SCHEDULING_H_
