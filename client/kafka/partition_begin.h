// Where the numbers of a partition begin: the offset of the record whose sequence is 1.
//
// The server takes a producer's numbers without gaps and from 1 on. A partition's first record has
// any offset: what was before is gone, or is not wanted. So sequence = offset - begin + 1; and
// since the server is to be all that knows how far a partition is, it keeps the begin, too: in the
// sequences of producers that are there for nothing else, a digit each.
#ifndef GROUNDSWELL_CLIENT_KAFKA_PARTITION_BEGIN_H_
#define GROUNDSWELL_CLIENT_KAFKA_PARTITION_BEGIN_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/events/single_batch.h"

namespace groundswell {

// The server's sequences of producers, as far as they are needed here.
struct ProducerSequences {
  // The last number that was used; 0: none.
  std::function<absl::StatusOr<int64_t>(const std::string& producer_id)> ask;
  // Uses the numbers 1 to `count` up, at most kNumbersMax, all or none.
  std::function<absl::Status(const std::string& producer_id, int64_t count)> use_up;

  static constexpr int64_t kNumbersMax = 1'000;  // of one message
};

// Those of a real server. `client` must outlive them. Numbers are used up by empty interactions,
// which the server refuses and counts as refused. Errors as SendSingleBatch.
ProducerSequences SequencesOf(Client& client, SingleBatchOptions options);

// An offset's digits in the base 1,000, the highest first; none for 0.
std::vector<int64_t> DigitsOf(int64_t offset);

// The greatest offset, `wanted` at most, of so many digits that begins with those of `written`;
// nullopt when all are greater.
std::optional<int64_t> GreatestBegin(const std::vector<int64_t>& written, size_t digits,
                                     int64_t wanted);

// The begin that was written of `producer_id`; nullopt: none, or not wholly. FailedPrecondition
// when the server has forgotten a part of it.
absl::StatusOr<std::optional<int64_t>> ReadBegin(const std::string& producer_id,
                                                 const ProducerSequences& sequences);

// Writes `wanted`, of 0 or more, and returns the begin that is then written: that one, or, where an
// earlier attempt was cut off in the middle, the nearest one before it that goes on from there.
// FailedPrecondition when there is none.
absl::StatusOr<int64_t> WriteBegin(const std::string& producer_id, int64_t wanted,
                                   const ProducerSequences& sequences);

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_KAFKA_PARTITION_BEGIN_H_
