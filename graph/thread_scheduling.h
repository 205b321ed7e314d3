// How Linux schedules the calling thread beside the others of the server.
#ifndef GROUNDSWELL_GRAPH_THREAD_SCHEDULING_H_
#define GROUNDSWELL_GRAPH_THREAD_SCHEDULING_H_

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

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_THREAD_SCHEDULING_H_
