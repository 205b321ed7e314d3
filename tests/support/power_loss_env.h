// A file system that loses power: what was not synced may be gone afterwards. Before that, calls of
// it can fail.
#ifndef GROUNDSWELL_TESTS_SUPPORT_POWER_LOSS_ENV_H_
#define GROUNDSWELL_TESTS_SUPPORT_POWER_LOSS_ENV_H_

#include <cstdint>
#include <memory>
#include <random>
#include <string>

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace groundswell {

class PowerLossFileSystem;

// What is asked of a disk.
enum class DiskCall { kWrite, kSync, kOpen, kRename, kSyncDirectory, kCount };

// Files go to the real disk; beside them it is remembered how much of each was synced, and which
// files were made, renamed or deleted since their directory was. Thread-safe.
class PowerLossEnv {
 public:
  PowerLossEnv();
  ~PowerLossEnv();

  rocksdb::Env* env() const { return env_.get(); }

  // Nothing that is done from now on will have happened. Whoever does it is not told, so that the
  // database is closed as always: what counts is what the disk held at this moment.
  void CutPower();
  // Likewise, in the middle of whatever is going on after so many more operations.
  void CutPowerAfter(int64_t operations);
  bool off() const;
  // A file that is written past this environment; it will be as it was at the moment of the loss.
  void RestoreAtLoss(const std::string& path);
  // Once the database is closed: every file loses what was not synced, all of it or a part chosen
  // by `random`, whose last bytes may be garbage or zeros in a write-ahead log; of what happened to
  // the names in a directory since it was synced a part, in order, stays. Then the power is back.
  void DropUnsynced(std::mt19937_64& random);

  // While the disk is full, files do not grow.
  void FillDisk(bool full);
  // From now on, the calls `first` to `last` of this kind, counted from 1, fail with this errno,
  // and do nothing. Of other kinds none does.
  void FailCalls(DiskCall call, int64_t first, int64_t last, int error);
  // How many there were since FailCalls, or ever.
  int64_t calls(DiskCall call) const;

  // While tables are held back, a flush waits, so that several write-ahead log files are needed.
  void HoldTables(bool hold);

 private:
  std::shared_ptr<PowerLossFileSystem> file_system_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_POWER_LOSS_ENV_H_
