// One second in the unit of times, microseconds.
#ifndef GROUNDSWELL_TESTS_SUPPORT_SECOND_H_
#define GROUNDSWELL_TESTS_SUPPORT_SECOND_H_

#include <cstdint>

namespace groundswell {

inline constexpr int64_t kSecond = 1'000'000;

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_SECOND_H_
