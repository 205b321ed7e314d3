// Signals that ask the process to end: SIGINT, SIGTERM, and SIGHUP from a terminal that closes.
#ifndef GROUNDSWELL_SERVER_PROCESS_SIGNALS_H_
#define GROUNDSWELL_SERVER_PROCESS_SIGNALS_H_

namespace groundswell {

// From here on such a signal is remembered instead of ending the process, SIGHUP is ignored without
// a terminal, and a write to a closed connection is an error instead of a signal. Once, at the
// beginning of main.
void HandleSignals();

// Whether such a signal came.
bool Interrupted();

// Returns when such a signal came.
void WaitForSignal();

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_SIGNALS_H_
