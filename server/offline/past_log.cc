#include "server/offline/past_log.h"

#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

namespace groundswell {
namespace {

using Indices = absl::flat_hash_map<std::string, uint32_t>;

// The index of `id`, which gets the next one if it has none.
uint32_t IndexOf(const std::string& id, Indices& indices) {
  return indices.try_emplace(id, static_cast<uint32_t>(indices.size())).first->second;
}

}  // namespace

absl::StatusOr<PastLog> ReadPastLog(const std::string& path, const SnapshotFiles& files,
                                    const EventWeights& weights, bool creates_items) {
  auto user_ids = ParseUsers(files.files.at("users.jsonl")->text());
  if (!user_ids.ok()) return user_ids.status();
  auto known_items = ParseItems(files.files.at("items.jsonl")->text());
  if (!known_items.ok()) return known_items.status();
  Indices users;
  for (std::string& id : *user_ids) users.emplace(std::move(id), users.size());
  Indices items;
  for (CatalogueItem& item : *known_items) items.emplace(std::move(item.id), items.size());

  PastLog log;
  absl::Status read = ReadEventCsv(path, weights, [&](const PastEvent& event) {
    if (!creates_items && !items.contains(event.item_id)) {
      ++log.left_out;
      return absl::OkStatus();
    }
    log.events.push_back({.user = UserIndex{IndexOf(event.user_id, users)},
                          .item = ItemIndex{IndexOf(event.item_id, items)},
                          .time_s = event.time_s,
                          .weight = event.weight});
    return absl::OkStatus();
  });
  if (!read.ok()) return read;
  log.item_count = items.size();
  return log;
}

}  // namespace groundswell
