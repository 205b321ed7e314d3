// The sample snapshot with other item clusters, under another version.
#ifndef GROUNDSWELL_TESTS_SUPPORT_OTHER_SNAPSHOT_H_
#define GROUNDSWELL_TESTS_SUPPORT_OTHER_SNAPSHOT_H_

#include <string>

namespace groundswell {

// Copies `sample` to `directory` with the item clusters in reverse order. Throws on an error.
void WriteOtherSnapshot(const std::string& sample, const std::string& directory);

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_OTHER_SNAPSHOT_H_
