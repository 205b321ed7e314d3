// The sample snapshot with SURGE beside its own rankers.
#ifndef GROUNDSWELL_TESTS_SUPPORT_SURGE_SNAPSHOT_H_
#define GROUNDSWELL_TESTS_SUPPORT_SURGE_SNAPSHOT_H_

#include <cstddef>
#include <string>

namespace groundswell {

inline constexpr size_t kSurgeSnapshotHistory = 12;

// Copies `sample` to `directory` and adds the models "surge" (the authors' variant, 5 positions
// kept) and "surge-paper", both of random weights and kSurgeSnapshotHistory items. Throws on an
// error.
void WriteSurgeSnapshot(const std::string& sample, const std::string& directory);

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_SURGE_SNAPSHOT_H_
