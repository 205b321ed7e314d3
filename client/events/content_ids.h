// Event ids made of what an event says, for records that bring none: the same record has the same
// id whatever the file is called, and another record another one.
#ifndef GROUNDSWELL_CLIENT_EVENTS_CONTENT_IDS_H_
#define GROUNDSWELL_CLIENT_EVENTS_CONTENT_IDS_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "groundswell/v1/interaction.pb.h"

namespace groundswell {

// 32 hexadecimal digits: of user, item, type, weight and time.
std::string ContentHash(const v1::Interaction& interaction);

// Likewise, of everything up to a record: of what `before` stands for ("": nothing), and of that
// record.
std::string ChainHash(std::string_view before, uint64_t record, std::string_view content_hash);

// Records of one source that say the same count as often as they are there: the second has the id
// of the first with ":2" behind it, and so on. They are told apart as long as no more than
// kRecordsKept records lie between two of them, which is what a server keeps ids for, by default.
class ContentIds {
 public:
  static constexpr uint64_t kRecordsKept = 1'000'000;

  std::string IdOf(const v1::Interaction& interaction);

 private:
  struct Last {
    uint64_t position = 0;  // in the order of the calls
    uint64_t count = 0;
  };

  uint64_t position_ = 0;
  absl::flat_hash_map<uint64_t, Last> last_;               // by the front of the hash
  std::deque<std::pair<uint64_t, uint64_t>> by_position_;  // position, and that front
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CLIENT_EVENTS_CONTENT_IDS_H_
