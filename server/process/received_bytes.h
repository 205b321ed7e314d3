// What gRPC's connections receive is followed on its way in, and a connection whose header block
// gets too long (HeaderBlockMeter) fails there as if its peer had reset it.
//
// gRPC offers no place between a connection and its parser. So this program defines the two
// functions through which libgrpc gets its bytes, recvmsg(2) and, with TLS, SSL_read(3), and the
// dynamic linker gives libgrpc these: each calls the real one and looks at what came. Other
// connections of the process, and those that do not begin as HTTP/2 does, are left alone.
#ifndef GROUNDSWELL_SERVER_PROCESS_RECEIVED_BYTES_H_
#define GROUNDSWELL_SERVER_PROCESS_RECEIVED_BYTES_H_

#include <cstdint>

namespace groundswell {

// Descriptors from here on cannot be followed, and without TLS none where the kernel has no
// SO_COOKIE.
inline constexpr int kFollowedDescriptorsEnd = 1 << 20;

// Follows a connection that was just accepted, until its descriptor is another's; false where no
// memory is left. Those with TLS are followed by themselves. REQUIRES: 0 <= connection <
// kFollowedDescriptorsEnd.
bool FollowReceivedBytes(int connection);

// Connections of this process that failed for a header block.
int64_t LongHeaderBlocks();

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_RECEIVED_BYTES_H_
