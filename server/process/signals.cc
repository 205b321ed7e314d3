#include "server/process/signals.h"

#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace groundswell {
namespace {

// Set and posted by the handler of SIGINT and SIGTERM. A handler and not sigwait: libraries start
// threads before main, and those would take a signal that only our threads block.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");
sem_t interruption;

void OnSignal(int /*signal_number*/) {
  interrupted = true;
  sem_post(&interruption);
}

}  // namespace

void HandleSignals() {
  sem_init(&interruption, /*pshared=*/0, 0);
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // A terminal that closes ends what runs in it; to a daemon it says "load your files again", which
  // the server does unasked.
  if (isatty(STDIN_FILENO) == 0) action.sa_handler = SIG_IGN;
  sigaction(SIGHUP, &action, nullptr);
  // "Open your log files anew", from those who rotate them; the log goes to standard error.
  for (const int ignored : {SIGPIPE, SIGUSR1, SIGUSR2}) signal(ignored, SIG_IGN);
}

bool Interrupted() { return interrupted; }

void WaitForSignal() {
  while (sem_wait(&interruption) != 0) {
  }
}

}  // namespace groundswell
