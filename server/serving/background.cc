#include "server/serving/background.h"

#include <spdlog/spdlog.h>

#include <exception>
#include <utility>

#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kRetryAfterFullQueue{1};
constexpr std::chrono::hours kIdle{1};

}  // namespace

BackgroundThread::BackgroundThread(Options options)
    : options_(std::move(options)), thread_([this] { Loop(); }) {}

BackgroundThread::~BackgroundThread() { Stop(); }

absl::Status BackgroundThread::Submit(Job job) {
  {
    MutexLock lock(mutex_);
    if (stop_.stop_requested()) return absl::UnavailableError("the server is stopping");
    if (jobs_.size() >= options_.queue_max) {
      return Overloaded("the queue of background work", kRetryAfterFullQueue);
    }
    jobs_.push_back(std::move(job));
  }
  changed_.NotifyOne();
  return absl::OkStatus();
}

void BackgroundThread::Stop() {
  stop_.request_stop();
  { MutexLock lock(mutex_); }  // the thread has seen that, or waits to be woken
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void BackgroundThread::Loop() {
  const bool is_periodic = options_.interval.count() > 0;
  const std::stop_token stop = stop_.get_token();
  auto next = steady_clock::now() + (is_periodic ? options_.interval : kIdle);
  while (true) {
    Job job;
    {
      MutexLock lock(mutex_);
      while (jobs_.empty() && !stop.stop_requested() && steady_clock::now() < next) {
        changed_.WaitUntil(mutex_, next);
      }
      if (!jobs_.empty()) {
        job = std::move(jobs_.front());
        jobs_.pop_front();
      } else if (stop.stop_requested()) {
        return;
      }
    }
    try {
      if (job) {
        job(stop);
        continue;
      }
      if (is_periodic) options_.periodic(stop);
    } catch (const std::exception& e) {
      spdlog::error("background work: {}", e.what());
      if (job) continue;
    }
    next = steady_clock::now() + (is_periodic ? options_.interval : kIdle);
  }
}

}  // namespace groundswell
