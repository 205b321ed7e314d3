// AddressSpace: whether the address space that this process may have (ulimit -v) is enough. Where
// it ends, libraries fail as they like: gRPC by an assertion when it gets no thread, OpenBLAS by
// trying for ever. So it is looked at before they begin.
#ifndef GROUNDSWELL_SERVER_PROCESS_ADDRESS_SPACE_H_
#define GROUNDSWELL_SERVER_PROCESS_ADDRESS_SPACE_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace groundswell {

// What a server takes on the smallest database, most of it stacks that are never filled.
inline constexpr uint64_t kServingAddressSpace = uint64_t{1} << 30;

// Of this process, as it is now.
uint64_t AddressSpaceInUse();

// What so many threads take, with what the allocator sets aside for them.
uint64_t AddressSpaceOfThreads(int64_t threads);

// ResourceExhausted when the limit is below `bytes`; it says both. `purpose`: "serving".
absl::Status CheckAddressSpace(uint64_t bytes, std::string_view purpose);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_ADDRESS_SPACE_H_
