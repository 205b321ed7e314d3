#include "server/serving/snapshot_staging.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "blend/weights_file.h"
#include "server/rpc/api_time.h"

namespace groundswell {
namespace {

constexpr size_t kBatchBytes = size_t{4} << 20;
constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr std::string_view kUsersFile = "users.jsonl";
constexpr std::string_view kItemsFile = "items.jsonl";
constexpr std::string_view kGraphFile = "graph.safetensors";

absl::StatusOr<std::shared_ptr<const FileBytes>> Require(const SnapshotFiles& files,
                                                         std::string_view name) {
  const auto at = files.files.find(std::string(name));
  if (at == files.files.end()) {
    return absl::InvalidArgumentError(
        fmt::format("manifest.json lists no file \"{}\"; a snapshot to serve needs it", name));
  }
  return at->second;
}

absl::Status CheckPast(const CheckedSnapshot& checked, int64_t now_us) {
  const int64_t latest_us = now_us + kEventAheadMaxS * kMicrosPerSecond;
  for (size_t user = 0; user < checked.users.size(); ++user) {
    for (size_t e = checked.graph.user_begin[user]; e < checked.graph.user_begin[user + 1]; ++e) {
      const SnapshotGraph::Edge& edge = checked.graph.edges[e];
      if (edge.last_time_us <= latest_us) continue;
      return absl::InvalidArgumentError(fmt::format(
          "{}: edge {}, of user \"{}\" to item \"{}\": last_time_us {} is {}; must be at most {}, "
          "{} s after this machine's clock: live interactions until then would count as trained. "
          "Is it in microseconds, and is the clock right?",
          kGraphFile, e, checked.users[user], checked.items[edge.item].id, edge.last_time_us,
          TimeText(edge.last_time_us), TimeText(latest_us), kEventAheadMaxS));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CheckedSnapshot> CheckSnapshot(const std::string& directory) {
  CheckedSnapshot checked;
  auto files = ReadSnapshotDirectory(directory);
  if (!files.ok()) return files.status();
  checked.files = *std::move(files);
  auto snapshot = Snapshot::Create(checked.files);
  if (!snapshot.ok()) return snapshot.status();
  checked.snapshot = *std::move(snapshot);
  const Manifest& manifest = checked.snapshot->manifest();
  if (absl::Status s = CheckNothingUnlisted(directory, manifest); !s.ok()) return s;

  auto users_bytes = Require(checked.files, kUsersFile);
  if (!users_bytes.ok()) return users_bytes.status();
  auto users = ParseUsers((*users_bytes)->text());
  if (!users.ok()) return users.status();
  checked.users = *std::move(users);

  auto items_bytes = Require(checked.files, kItemsFile);
  if (!items_bytes.ok()) return items_bytes.status();
  auto items = ParseItems((*items_bytes)->text());
  if (!items.ok()) return items.status();
  checked.items = *std::move(items);

  if (checked.users.size() != manifest.users || checked.items.size() != manifest.items) {
    return absl::InvalidArgumentError(fmt::format(
        "users.jsonl has {} lines and items.jsonl {}; manifest.json says {} users and {} items",
        checked.users.size(), checked.items.size(), manifest.users, manifest.items));
  }
  auto graph_bytes = Require(checked.files, kGraphFile);
  if (!graph_bytes.ok()) return graph_bytes.status();
  auto graph_file = SafetensorsFile::Parse(std::string(kGraphFile), *graph_bytes);
  if (!graph_file.ok()) return graph_file.status();
  auto graph = ParseGraph(manifest, *graph_file);
  if (!graph.ok()) return graph.status();
  checked.graph = *std::move(graph);
  if (absl::Status s = CheckPast(checked, absl::GetCurrentTimeNanos() / 1'000); !s.ok()) return s;
  const auto blend = BlendWeightsOf(checked.files);
  if (!blend.ok()) return blend.status();
  auto examples = CheckExamples(*checked.snapshot, checked.files);
  if (!examples.ok()) return examples.status();
  checked.examples = *std::move(examples);
  return checked;
}

absl::StatusOr<BlendWeights> BlendWeightsOf(const SnapshotFiles& files) {
  const auto at = files.files.find(kBlendWeightsFile);
  if (at == files.files.end()) return BuiltInBlendWeights();
  return ParseBlendWeights(at->second->text());
}

absl::StatusOr<Gone> GoneSince(const GraphStore& store, Offset offset) {
  Gone gone;
  absl::Status read = store.ForEachTombstone(
      [&](Tombstone::Kind kind, const IdHash& hash, const Tombstone& tombstone) {
        if (tombstone.offset <= offset) return absl::OkStatus();
        (kind == Tombstone::Kind::kUser ? gone.users : gone.items).insert(hash);
        return absl::OkStatus();
      });
  if (!read.ok()) return read;
  return gone;
}

GenerationWriter::GenerationWriter(GraphStore& store, Generation generation,
                                   const StagingProgress& progress,
                                   const std::function<bool()>& cancelled)
    : store_(store),
      generation_(std::move(generation)),
      batch_(store),
      progress_(progress),
      cancelled_(cancelled) {}

absl::Status GenerationWriter::WriteFiles(const SnapshotFiles& files) {
  for (const auto& [name, bytes] : files.files) {
    // These become records of their own.
    if (name == kUsersFile || name == kItemsFile || name == kGraphFile) continue;
    const std::string_view text = bytes->text();
    for (size_t at = 0; at < text.size(); at += kChunkBytes) {
      generation_.PutSnapshotFileChunk(batch_, name, static_cast<uint32_t>(at / kChunkBytes),
                                       text.substr(at, kChunkBytes));
      if (absl::Status s = CommitWhenFull(); !s.ok()) return s;
      progress_(name, std::min(at + kChunkBytes, text.size()), text.size());
    }
  }
  return absl::OkStatus();
}

absl::Status GenerationWriter::WriteItems(
    const std::vector<CatalogueItem>& items, const Gone& gone,
    const absl::flat_hash_map<std::string, StoredItem>& upserted) {
  for (const CatalogueItem& item : items) {
    const bool removed = !gone.items.empty() && gone.items.contains(HashId(item.id));
    const auto at = upserted.find(item.id);
    StoredItem stored{.id = item.id, .removed = removed};
    if (!removed && at != upserted.end()) {
      stored.title = at->second.title;
      stored.category = at->second.category;
      stored.upserted = true;
      stored.availability = at->second.availability;
    } else if (!removed) {
      stored.title = item.title;
      stored.category = item.category;
    }
    if (absl::Status s = AddItem(stored); !s.ok()) return s;
  }
  progress_("items", items.size(), items.size());
  return absl::OkStatus();
}

absl::Status GenerationWriter::AddItem(const StoredItem& item) {
  generation_.PutItem(batch_, ItemIndex{static_cast<uint32_t>(item_ids_.size())}, item);
  item_ids_.push_back(item.id);
  if (item.created && !item.removed) digest_.AddItem(item.id, item.cluster);
  return CommitWhenFull();
}

absl::Status GenerationWriter::AddUser(const std::string& user_id, const UserState& user,
                                       const Window& window) {
  generation_.PutNewUser(batch_, user_id, user);
  digest_.AddUser(user_id, user.cluster);
  for (const Edge& edge : user.edges) {
    digest_.AddEdges(user_id, ItemId(edge.item), {&edge, 1});
    newest_time_us_ = std::max(newest_time_us_, edge.last.time_us);
    if (window.age_us > 0) {
      generation_.PutExpiry(batch_, {.last = edge.last, .user = user.index, .user_id = user_id});
    }
  }
  next_user_ = std::max(next_user_, ToInt(user.index) + 1);
  ++users_;
  edges_ += static_cast<int64_t>(user.item_count());
  return CommitWhenFull();
}

absl::Status GenerationWriter::PutLogBytes(Offset offset, std::string_view record) {
  batch_.PutLogBytes(offset, record);
  return CommitWhenFull();
}

absl::Status GenerationWriter::PutEventId(const EventIdHash& hash, const LoggedEventId& logged) {
  batch_.PutEventId(hash, logged);
  return CommitWhenFull();
}

absl::Status GenerationWriter::PutTombstone(Tombstone::Kind kind, const IdHash& hash,
                                            const Tombstone& tombstone) {
  batch_.PutTombstone(kind, hash, tombstone);
  return CommitWhenFull();
}

absl::Status GenerationWriter::PutProducer(std::string_view id, const Producer& producer) {
  batch_.PutProducer(id, producer);
  return CommitWhenFull();
}

absl::Status GenerationWriter::Finish(GraphState state, bool serves) {
  state.user_count = std::max(state.user_count, next_user_);
  state.live_user_count = users_;
  state.edge_count = edges_;
  state.newest_event_time_us = std::max(state.newest_event_time_us, newest_time_us_);
  state.digest = digest_;
  generation_.PutState(batch_, state);
  // An activation that was cut off may have left some under this number.
  generation_.DeleteLearned(batch_);
  if (serves) generation_.PutCurrent(batch_);
  return store_.Commit(batch_, /*sync=*/true);
}

absl::Status GenerationWriter::CommitWhenFull() {
  if (cancelled_()) return absl::CancelledError("interrupted; nothing was changed");
  if (batch_.bytes() < kBatchBytes) return absl::OkStatus();
  absl::Status status = store_.Commit(batch_, /*sync=*/false);
  batch_.Clear();
  return status;
}

}  // namespace groundswell
