// The records of the log and of the users.
#include "graph/record.h"
#include "graph/user_state.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {

std::vector<std::string> SeedCorpus() {
  std::string user;
  EncodeUserState({.index = UserIndex{3},
                   .cluster = 1,
                   .edges = {{ItemIndex{1}, 2, {5, 6}}, {ItemIndex{7}, 1, {8, 9}}}},
                  user);
  return {EncodeLogRecord({.event_id = "e",
                           .user_id = "u",
                           .item_id = "i",
                           .event_type = "view",
                           .weight = 1,
                           .event_time_us = 2,
                           .received_time_us = 3}),
          user};
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  if (const auto interaction = DecodeLogRecord(AsText(data, size)); interaction.ok()) {
    const auto again = DecodeLogRecord(EncodeLogRecord(*interaction));
    Require(again.ok() && again->event_id == interaction->event_id &&
                again->weight == interaction->weight,
            "a log record that was read is written back the same");
  }
  if (const auto user = DecodeUserState(AsText(data, size)); user.ok()) {
    std::string bytes;
    EncodeUserState(*user, bytes);
    Require(bytes.size() == size, "a user record that was read is written back as long");
    for (const Edge& edge : user->edges) Require(edge.count > 0, "counts are positive");
  }
  return 0;
}
