// Whether this process may have what it is about to take: address space (ulimit -v), threads
// (ulimit -u, the tasks of a container or of a unit), stack (ulimit -s). Where one of these ends,
// libraries fail as they like: gRPC and RocksDB by ending the process when they get no thread,
// OpenBLAS by trying for ever. So it is looked at before they begin.
//
// All of these are ResourceExhausted with the limit, what `purpose` ("serving") needs, and the
// mend.
#ifndef GROUNDSWELL_PROGRAM_PROCESS_LIMITS_H_
#define GROUNDSWELL_PROGRAM_PROCESS_LIMITS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace groundswell {

// What a server takes on the smallest database, most of it stacks that are never filled.
inline constexpr uint64_t kServingAddressSpace = uint64_t{1} << 30;
// What commands take that open a database and answer nobody, beyond what is there at their start.
inline constexpr uint64_t kOfflineAddressSpace = uint64_t{400} << 20;
// What a client takes in all.
inline constexpr uint64_t kClientAddressSpace = uint64_t{96} << 20;

// Of this process, as it is now.
uint64_t AddressSpaceInUse();

// What so many threads take, with what the allocator sets aside for them.
uint64_t AddressSpaceOfThreads(int64_t threads);

absl::Status CheckAddressSpace(uint64_t bytes, std::string_view purpose);

// By having them, for a moment: nobody else knows how many more there may be. And that each gets a
// stack on which it can work.
absl::Status CheckThreads(int64_t threads, std::string_view purpose);

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_PROCESS_LIMITS_H_
