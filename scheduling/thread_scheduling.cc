#include "scheduling/thread_scheduling.h"

#include <pthread.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <exception>
#include <thread>
#include <utility>

namespace groundswell {
namespace {

constexpr int kLowestPriority = 19;
// Between two offers; an offer that nobody takes costs less than a microsecond.
constexpr std::chrono::microseconds kYieldInterval{50};
constexpr uint64_t kShortSliceNs = 500000;  // below the kernel's own of 1.4 ms and more

// sched_attr of sched_setattr(2); glibc 2.36 has neither, and the kernel's header redefines what
// glibc's has.
struct SchedulingAttributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns;  // the slice, of ordinary threads
  uint64_t deadline_ns;
  uint64_t period_ns;
};

}  // namespace

void NameThread(const char* name) { pthread_setname_np(pthread_self(), name); }

void LowerPriority(int niceness) {
  // Linux keeps a nice value for every thread.
  if (setpriority(PRIO_PROCESS, 0, niceness) == 0) return;
  spdlog::warn("a thread's priority stays as it is: {}", std::strerror(errno));
}

void RunAtLowestPriority(const std::function<void()>& work) {
  std::exception_ptr thrown;
  std::thread thread([&work, &thrown] {
    NameThread("background");
    LowerPriority(kLowestPriority);
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  thread.join();
  if (thrown != nullptr) std::rethrow_exception(thrown);
}

void RequestShortSlices() {
  SchedulingAttributes attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return;
  attributes.size = sizeof(attributes);
  attributes.runtime_ns = kShortSliceNs;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

void RequestShortSlicesOnce() {
  thread_local bool requested = false;
  if (std::exchange(requested, true)) return;
  RequestShortSlices();
}

void Yielding::BetweenPieces() {
  if (std::chrono::steady_clock::now() - worked_since_ < kYieldInterval) return;
  sched_yield();
  worked_since_ = std::chrono::steady_clock::now();
}

}  // namespace groundswell
