// What listens at an address, for who got no answer there.
#ifndef GROUNDSWELL_CLIENT_LISTENER_PROBE_H_
#define GROUNDSWELL_CLIENT_LISTENER_PROBE_H_

#include <chrono>
#include <string>

#include "client/channel.h"

namespace groundswell {

enum class ListenerKind {
  kNone,     // nothing, or it cannot be reached
  kGrpc,     // HTTP/2 in plain text
  kTls,      // it wants TLS, or hangs up without a word
  kHttp,     // HTTP/1
  kUnknown,  // something else, or it says nothing
};

// Connects to HOST:PORT, says something that everybody answers in another way, and looks at the
// answer.
ListenerKind ProbeListener(const std::string& address, std::chrono::milliseconds patience);

// Why a server may be unavailable, and what to do: for people.
std::string WhyUnavailable(const Connection& connection);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_LISTENER_PROBE_H_
