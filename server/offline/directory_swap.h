// Puts a finished database directory in the place of another one in one step, and takes care that
// nothing that is not ours goes with it.
#ifndef GROUNDSWELL_SERVER_OFFLINE_DIRECTORY_SWAP_H_
#define GROUNDSWELL_SERVER_OFFLINE_DIRECTORY_SWAP_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "program/file_lock.h"

namespace groundswell {

// Where a database that is called `path` lies: without slashes at its end, and behind symbolic
// links, so that what replaces it lies on the same disk and the link stays.
absl::StatusOr<std::string> ResolveDatabasePath(const std::string& path);

// OK when `directory` holds a database and nothing else, or nothing, or is not there: whatever is
// to replace it may. FailedPrecondition names what else it holds: a backup, a file of somebody's.
absl::Status CheckReplaceable(const std::string& directory);

// FailedPrecondition when it is where a disk is mounted: nothing can take its place.
absl::Status CheckMovable(const std::string& directory);

// Makes the empty directory `target` + `suffix`, in place of what an earlier call of this made
// there and did not finish. FailedPrecondition when there is one that no such call made.
absl::StatusOr<std::string> MakeStagingDirectory(const std::string& target,
                                                 const std::string& suffix);

// Keeps everybody from opening the database in `directory`, until it is destroyed. Unavailable when
// somebody has it open.
absl::StatusOr<FileLock> LockDatabase(const std::string& directory);

// What to say where the lock of the database in `directory` is held: that somebody has it open, and
// `remedy`; or that its file LOCK is one with another directory's, whose database then is open.
absl::Status InUse(const std::string& directory, std::string_view remedy);

// After it `target` is what `staged` was, and, if `replaced` is given, the other way round. At no
// moment is neither there. `replaced`: the lock on the database that is `target`; nullptr: there
// was none. FailedPrecondition, and nothing changed, when `target` holds by now what it did not
// hold then. Unavailable when the system refuses. `staged` is a staging directory.
absl::Status SwapDirectories(const std::string& staged, const std::string& target,
                             const FileLock* replaced);

// Removes a staging directory with what was swapped into it. REQUIRES: CheckReplaceable was OK for
// what was swapped.
absl::Status RemoveStagingDirectory(const std::string& staged);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_DIRECTORY_SWAP_H_
