// Counts every allocation of the program that links allocation_count.cc, by whichever library:
// operator new, malloc and its kin. Under a sanitizer, which needs malloc for itself, operator new
// alone.
#ifndef GROUNDSWELL_TESTS_SUPPORT_ALLOCATION_COUNT_H_
#define GROUNDSWELL_TESTS_SUPPORT_ALLOCATION_COUNT_H_

#include <cstdint>

namespace groundswell {

// Since the program began. Thread-safe.
int64_t AllocationCount();

// Of those of posix_memalign, which AllocationCount leaves out: none of ours, but oneDNN's sgemm
// takes one per call.
int64_t AlignedBlockCount();

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_ALLOCATION_COUNT_H_
