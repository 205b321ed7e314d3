// The records of the log, of the requests to one that servers share, and of the users.
#include "graph/log/entry_hash.h"
#include "graph/log/record.h"
#include "graph/log/request_record.h"
#include "graph/state/user_state.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {

std::vector<std::string> SeedCorpus() {
  std::string user;
  EncodeUserState({.index = UserIndex{3},
                   .cluster = 1,
                   .edges = {{ItemIndex{1}, 2, {5, 6}}, {ItemIndex{7}, 1, {8, 9}}}},
                  user);
  const AssignedCluster assigned{.cluster = 1, .clusters_of = "d"};
  std::vector<std::string> seeds{user};
  for (const LogEntry& entry : std::initializer_list<LogEntry>{
           Interaction{.event_id = "e",
                       .user_id = "u",
                       .item_id = "i",
                       .event_type = "view",
                       .weight = 1,
                       .event_time_us = 2,
                       .received_time_us = 3,
                       .user_cluster = assigned},
           Redacted{.event_time_us = 2,
           .user_id = "u",
           .user_cluster = assigned,
           .event_id_hash = HashEventId("e")},
           ForgetUser{.event_id = "e", .user_id = "u", .user_hash = HashId("u"), .time_us = 4},
           RemoveItem{.event_id = "e", .item_id = "i", .item_hash = HashId("i"), .time_us = 4},
           UpsertItem{.event_id = "e", .item_id = "i", .title = "t", .embedding = {1, 2}},
           ActivateSnapshot{.event_id = "e", .snapshot_digest = "d"}, ResetBlend{.event_id = "e"},
           SetListRules{.event_id = "e", .etag_before = "b", .etag = "a", .rules = "r"}}) {
    seeds.push_back(EncodeLogRecord(entry));
    seeds.push_back(EncodeRequestRecord({1}, {.incarnation = 2, .number = 3},
                                        {.entries = {entry},
                                         .producer_id = "p",
                                         .first_sequence = 4,
                                         .last_sequence = 5,
                                         .sequences = {5},
                                         .producer_mark = "m"}));
  }
  seeds.push_back(EncodeFirstRecord({1}));
  return seeds;
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  if (const auto entry = DecodeLogRecord(AsText(data, size)); entry.ok()) {
    const std::string written = EncodeLogRecord(*entry);
    const auto again = DecodeLogRecord(written);
    Require(again.ok() && again->index() == entry->index() &&
                EventIdOf(*again) == EventIdOf(*entry) && EncodeLogRecord(*again) == written,
            "a log record that was read is written back the same");
  }
  if (const auto record = DecodeRequestRecord(AsText(data, size)); record.ok()) {
    const std::string written =
        EncodeRequestRecord(record->log_id, record->sender, record->request);
    const auto again = DecodeRequestRecord(written);
    Require(
        again.ok() && EncodeRequestRecord(again->log_id, again->sender, again->request) == written,
        "a request that was read is written back the same");
  }
  if (const auto user = DecodeUserState(AsText(data, size)); user.ok()) {
    std::string bytes;
    EncodeUserState(*user, bytes);
    Require(bytes.size() == size, "a user record that was read is written back as long");
    for (const Edge& edge : user->edges) Require(edge.count > 0, "counts are positive");
  }
  return 0;
}
