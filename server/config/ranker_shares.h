// RankerShares: which ranker a user gets who asks for none, so that rankers can be compared on
// users.
#ifndef GROUNDSWELL_SERVER_CONFIG_RANKER_SHARES_H_
#define GROUNDSWELL_SERVER_CONFIG_RANKER_SHARES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/snapshot/snapshot.h"

namespace groundswell {

// Immutable; use from any thread.
class RankerShares {
 public:
  // `text`: "NAME=PERCENT,NAME=PERCENT,...", percents from 1 that sum up to 100; empty: everybody
  // gets the snapshot's default. `experiment` divides the users: under another name they are
  // divided anew, and a user stays where they are under the same one. InvalidArgument otherwise.
  static absl::StatusOr<RankerShares> Parse(std::string_view text, std::string_view experiment);

  // The name of the user's ranker; empty: the default. A function of the user's id alone.
  std::string_view Of(std::string_view user_id) const;

  // FailedPrecondition when the snapshot lacks one of the rankers.
  absl::Status Check(const Snapshot& snapshot) const;

 private:
  struct Share {
    std::string ranker;
    uint64_t end = 0;  // percents up to and with this one's
  };

  std::vector<Share> shares_;
  uint64_t seed_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_CONFIG_RANKER_SHARES_H_
