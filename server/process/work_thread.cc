#include "server/process/work_thread.h"

#include <spdlog/spdlog.h>

#include <exception>
#include <utility>

#include "scheduling/thread_scheduling.h"

namespace groundswell {

WorkThread::WorkThread(const char* name) : name_(name), thread_([this] { Loop(); }) {}

WorkThread::~WorkThread() { Finish(); }

void WorkThread::Post(Work work) {
  {
    const MutexLock lock(mutex_);
    if (finishing_) return;
    waiting_.push_back(std::move(work));
  }
  changed_.NotifyOne();
}

void WorkThread::Finish() {
  {
    const MutexLock lock(mutex_);
    finishing_ = true;
  }
  changed_.NotifyOne();
  if (thread_.joinable()) thread_.join();
}

void WorkThread::Loop() {
  NameThread(name_);
  while (true) {
    Work work;
    {
      const MutexLock lock(mutex_);
      while (waiting_.empty() && !finishing_) changed_.Wait(mutex_);
      if (waiting_.empty()) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    try {
      work();
    } catch (const std::exception& e) {
      spdlog::error("{}: {}", name_, e.what());
    } catch (...) {
      spdlog::error("{}: unknown error", name_);
    }
  }
}

}  // namespace groundswell
