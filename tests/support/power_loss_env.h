// A file system that loses power: what was not synced may be gone afterwards.
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

// Files go to the real disk; beside them it is remembered how much of each was synced.
// Thread-safe.
class PowerLossEnv {
 public:
  PowerLossEnv();
  ~PowerLossEnv();

  rocksdb::Env* env() const { return env_.get(); }

  // From now on every write, sync and rename fails, as if the machine were off.
  void CutPower();
  // Once the database is closed: every file loses what was not synced, all of it or a part chosen
  // by `random`, whose last bytes may be garbage; files that were never synced may vanish. Then the
  // power is back.
  void DropUnsynced(std::mt19937_64& random);

 private:
  std::shared_ptr<PowerLossFileSystem> file_system_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_POWER_LOSS_ENV_H_
