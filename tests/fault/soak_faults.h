// SoakFaults: what happens to a server in the middle of its work, chosen at random and counted by
// name.
#ifndef GROUNDSWELL_TESTS_FAULT_SOAK_FAULTS_H_
#define GROUNDSWELL_TESTS_FAULT_SOAK_FAULTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/integration/faulty_disk.h"
#include "tests/integration/server_process.h"

namespace groundswell {

class SoakFaults {
 public:
  // The disk below `disk` can fail. `controls`: a directory elsewhere, for what tells it so.
  SoakFaults(std::string disk, std::string controls);

  // Chooses what the next life of a server meets, and arms what it meets while it starts.
  void Choose(std::mt19937_64& random);
  // What the chosen faults need of its start.
  Environment environment() const;
  std::vector<std::string> under() const;
  // One after the other, at random moments of the life; each is over when this returns.
  void Inject(const ServerProcess& server, std::mt19937_64& random);
  // Before a life is judged: nothing fails any more.
  void Heal() { disk_.Heal(); }
  // Whether the life ends by SIGTERM, and not by kill -9.
  bool ends_in_order() const { return ends_in_order_; }

  // Names of what the current life met.
  const std::vector<std::string>& met() const { return met_; }
  // The lives that met what this one did, up to it, lost and doubled nothing.
  void CountSurvived();

  struct Count {
    int64_t injected = 0;
    int64_t survived = 0;
  };
  const std::map<std::string, Count>& counts() const { return counts_; }

 private:
  enum class Kind {
    kDiskError,
    kDiskFull,
    kDiskHang,
    kDescriptors,
    kNeighbors,
    kStopped,
    kClock,
    kHangup,
    kCount
  };

  void Met(const std::string& name);
  std::string ArmDiskError(std::mt19937_64& random);
  void InjectOne(Kind kind, const ServerProcess& server, std::mt19937_64& random);
  void SetClock(int64_t shift_s) const;
  void SendNeighbors(const ServerProcess& server, std::mt19937_64& random);
  bool Has(Kind kind) const;

  const std::string clock_file_;
  FaultyDisk disk_;
  std::vector<Kind> chosen_;
  bool ends_in_order_ = false;
  std::vector<std::string> met_;
  std::map<std::string, Count> counts_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_FAULT_SOAK_FAULTS_H_
