#include "server/process/periodic_thread.h"

#include <spdlog/spdlog.h>

#include <exception>
#include <utility>

#include "scheduling/thread_scheduling.h"

namespace groundswell {

using std::chrono::steady_clock;

PeriodicThread::PeriodicThread(Scheduling scheduling, std::chrono::milliseconds first_wait,
                               Look look)
    : look_(std::move(look)),
      thread_([this, scheduling, first_wait] { Loop(scheduling, first_wait); }) {}

PeriodicThread::~PeriodicThread() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void PeriodicThread::Loop(Scheduling scheduling, std::chrono::milliseconds wait) {
  NameThread(scheduling.name);
  if (scheduling.niceness > 0) LowerPriority(scheduling.niceness);
  const KeepGoing keep_going = [this] { return !stopping(); };
  while (WaitFor(wait)) {
    try {
      wait = look_(keep_going);
    } catch (const std::exception& e) {
      spdlog::error("{}: {}", scheduling.name, e.what());
      wait = kWaitAfterError;
    }
  }
}

bool PeriodicThread::WaitFor(std::chrono::milliseconds wait) {
  const MutexLock lock(mutex_);
  const auto wake = steady_clock::now() + wait;
  while (!stopping_ && steady_clock::now() < wake) changed_.WaitUntil(mutex_, wake);
  return !stopping_;
}

bool PeriodicThread::stopping() const {
  const MutexLock lock(mutex_);
  return stopping_;
}

}  // namespace groundswell
