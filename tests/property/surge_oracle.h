// SURGE's two variants once more, from their equations (docs/models.md), in double precision, with
// loops only: what the served ones are compared with.
#ifndef GROUNDSWELL_TESTS_PROPERTY_SURGE_ORACLE_H_
#define GROUNDSWELL_TESTS_PROPERTY_SURGE_ORACLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/surge_fixture.h"

namespace groundswell {

struct SurgeOracle {
  CheckpointTensors tensors;
  std::vector<int64_t> categories;
  std::string variant;
  size_t max_history = 0;
  size_t pool_length = 0;

  struct Result {
    double logit = 0;
    // Whether no comparison hung on less than what 32-bit floats tell apart.
    bool is_decided = true;
  };
  // `newest_first`: at least one item.
  Result Score(const std::vector<uint32_t>& newest_first, uint32_t candidate) const;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_PROPERTY_SURGE_ORACLE_H_
