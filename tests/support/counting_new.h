// Counts every operator new of the program that links counting_new.cc.
#ifndef GROUNDSWELL_TESTS_SUPPORT_COUNTING_NEW_H_
#define GROUNDSWELL_TESTS_SUPPORT_COUNTING_NEW_H_

#include <cstdint>

namespace groundswell {

// Since the program began. Thread-safe.
int64_t AllocationCount();

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_COUNTING_NEW_H_
