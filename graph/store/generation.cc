#include "graph/store/generation.h"

#include <fmt/format.h>
#include <rocksdb/slice.h>

#include <cstring>

#include "graph/log/record.h"
#include "groundswell/storage/v1/graph_state.pb.h"

namespace groundswell {
namespace {

constexpr std::string_view kCurrentKey = "generation";
constexpr std::string_view kStateKey = "state";
constexpr std::string_view kCheckpointKey = "checkpoint";
constexpr std::string_view kLearnedKey = "learned";
// Where every key begins with a generation's number.
constexpr Column kColumns[] = {Column::kUsers,         Column::kUserIds,     Column::kItems,
                               Column::kSnapshotFiles, Column::kCheckpoints, Column::kUsersBefore,
                               Column::kExpiries};
constexpr size_t kExpiryKeyBytes = 2 * sizeof(uint64_t) + sizeof(uint32_t);

template <typename Message>
bool Parse(std::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

storage::v1::GraphState ToMessage(const GraphState& state) {
  storage::v1::GraphState message;
  message.set_snapshot_digest(state.snapshot_digest);
  message.set_base_offset(state.base_offset);
  message.set_applied_offset(state.applied_offset);
  message.set_user_count(state.user_count);
  message.set_live_user_count(state.live_user_count);
  message.set_edge_count(state.edge_count);
  message.set_newest_event_time_us(state.newest_event_time_us);
  if (state.least_delay_us.has_value()) message.set_least_delay_us(*state.least_delay_us);
  message.set_digest_high(state.digest.words().high);
  message.set_digest_low(state.digest.words().low);
  message.set_window_age_us(state.window.age_us);
  message.set_window_interactions(state.window.interactions);
  message.set_window_items(state.window.items);
  message.set_traced_interactions(state.window.traced);
  message.mutable_removing()->set_users(state.removing.users);
  message.mutable_removing()->set_edges(state.removing.edges);
  message.mutable_removing()->set_weight(state.removing.weight);
  return message;
}

GraphState ToState(const storage::v1::GraphState& message) {
  return {.snapshot_digest = message.snapshot_digest(),
          .base_offset = message.base_offset(),
          .applied_offset = message.applied_offset(),
          .user_count = message.user_count(),
          .live_user_count = message.live_user_count(),
          .edge_count = message.edge_count(),
          .newest_event_time_us = message.newest_event_time_us(),
          .least_delay_us =
              message.has_least_delay_us() ? std::optional(message.least_delay_us()) : std::nullopt,
          .digest = StateDigest({.high = message.digest_high(), .low = message.digest_low()}),
          .window = {.age_us = message.window_age_us(),
                     .interactions = message.window_interactions(),
                     .items = message.window_items(),
                     .traced = message.traced_interactions()},
          .removing = {.users = message.removing().users(),
                       .edges = message.removing().edges(),
                       .weight = message.removing().weight()}};
}

std::optional<StoredItem> ToItem(std::string_view record) {
  storage::v1::CatalogueItem item;
  if (!Parse(record, item)) return std::nullopt;
  return StoredItem{.id = item.item_id(),
                    .title = item.title(),
                    .category = item.category(),
                    .created = item.created(),
                    .cluster = item.cluster(),
                    .removed = item.removed(),
                    .embedding = {item.embedding().begin(), item.embedding().end()},
                    .clusters_of = item.clusters_of(),
                    .upserted = item.upserted(),
                    .availability = ReadAvailability(item)};
}

std::string IndexBytes(uint32_t index) {
  std::string bytes;
  AppendKeyU32(bytes, index);
  return bytes;
}

// Smallest key behind all that begin with `prefix`.
std::string Behind(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

}  // namespace

Generation::Generation(GraphStore& store, uint32_t number)
    : database_(&store.database()), number_(number), prefix_(database_->Key()) {
  AppendKeyU32(prefix_, number);
}

absl::StatusOr<Generation> Generation::OpenCurrent(GraphStore& store) {
  const Database& database = store.database();
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found = database.Get(Column::kDefault, database.Key(kCurrentKey),
                                                  "cannot read which generation serves", value);
  if (!found.ok()) return found.status();
  if (!*found) return absl::NotFoundError("the database holds no snapshot; import one first");
  uint32_t number = 0;
  for (const char byte : value.ToStringView()) number = number << 8 | static_cast<uint8_t>(byte);
  return Generation(store, number);
}

void Generation::PutCurrent(GraphStore::Batch& batch) const {
  std::string number;
  AppendKeyU32(number, number_);
  batch.changes().Put(Column::kDefault, database_->Key(kCurrentKey), number);
}

absl::Status Generation::KeepOnlyThis() const {
  const auto prefix_of = [this](uint32_t number) {
    std::string prefix = database_->Key();
    AppendKeyU32(prefix, number);
    return prefix;
  };
  Database::Batch batch(*database_);
  for (const Column column : kColumns) {
    batch.DeleteStored(column, prefix_of(0), prefix_);
    batch.DeleteStored(column, prefix_of(number_ + 1), prefix_of(0xffffffff));
  }
  return database_->Commit(batch, /*sync=*/false, "cannot delete what another snapshot left");
}

std::string Generation::Key(std::string_view rest) const {
  std::string key;
  key.reserve(prefix_.size() + rest.size());
  return key.append(prefix_).append(rest);
}

std::string Generation::IndexKey(uint32_t index) const { return Key(IndexBytes(index)); }

std::string Generation::CheckpointKey(Offset checkpoint) const {
  std::string key = prefix_;
  AppendKeyU64(key, static_cast<uint64_t>(checkpoint));
  return key;
}

// They sort by time.
std::string Generation::ExpiryKey(Recency last, UserIndex user) const {
  std::string key = prefix_;
  AppendKeyU64(key, static_cast<uint64_t>(last.time_us));
  AppendKeyU64(key, static_cast<uint64_t>(last.offset));
  AppendKeyU32(key, ToInt(user));
  return key;
}

void Generation::PutState(GraphStore::Batch& batch, const GraphState& state) const {
  batch.changes().Put(Column::kDefault, Key(kStateKey), ToMessage(state).SerializeAsString());
}

absl::StatusOr<GraphState> Generation::ReadState(const GraphStore::Moment& moment) const {
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found = database_->Get(Column::kDefault, Key(kStateKey),
                                                    "cannot read the graph state", value, moment);
  if (!found.ok()) return found.status();
  if (!*found) return absl::NotFoundError("the database holds no snapshot; import one first");
  storage::v1::GraphState message;
  if (!Parse(value.ToStringView(), message))
    return absl::DataLossError("the graph state is damaged");
  return ToState(message);
}

void Generation::PutLearned(GraphStore::Batch& batch, std::string_view learned) const {
  batch.changes().Put(Column::kDefault, Key(kLearnedKey), learned);
}

void Generation::DeleteLearned(GraphStore::Batch& batch) const {
  batch.changes().Delete(Column::kDefault, Key(kLearnedKey));
}

absl::StatusOr<std::optional<std::string>> Generation::ReadLearned(
    const GraphStore::Moment& moment) const {
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found = database_->Get(Column::kDefault, Key(kLearnedKey),
                                                    "cannot read what was learned", value, moment);
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  return std::optional<std::string>(value.ToStringView());
}

void Generation::PutNewUser(GraphStore::Batch& batch, std::string_view user_id,
                            const UserState& user) const {
  batch.changes().Put(Column::kUserIds, IndexKey(ToInt(user.index)), user_id);
  PutUser(batch, user_id, user);
}

void Generation::PutUser(GraphStore::Batch& batch, std::string_view user_id,
                         const UserState& user) const {
  EncodeUserState(user, batch.changes().scratch());
  batch.changes().Put(Column::kUsers, Key(user_id), batch.changes().scratch());
}

void Generation::DeleteUser(GraphStore::Batch& batch, std::string_view user_id,
                            UserIndex index) const {
  batch.changes().Delete(Column::kUsers, Key(user_id));
  batch.changes().Delete(Column::kUserIds, IndexKey(ToInt(index)));
}

absl::StatusOr<std::optional<UserState>> Generation::ReadUser(std::string_view user_id) const {
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found =
      database_->Get(Column::kUsers, Key(user_id), "cannot read the user", value);
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  absl::StatusOr<UserState> user = DecodeUserState(value.ToStringView());
  if (!user.ok()) return user.status();
  return std::optional<UserState>(*std::move(user));
}

absl::StatusOr<std::string> Generation::ReadUserId(UserIndex index) const {
  rocksdb::PinnableSlice id;
  const absl::StatusOr<bool> found =
      database_->Get(Column::kUserIds, IndexKey(ToInt(index)), "cannot read a user's id", id);
  if (!found.ok()) return found.status();
  if (!*found) {
    return absl::DataLossError(fmt::format("no id is stored for the user {}", ToInt(index)));
  }
  return id.ToString();
}

absl::Status Generation::ForEachUser(
    const std::function<absl::Status(std::string_view, UserState)>& visit,
    const GraphStore::Moment& moment) const {
  auto at = database_->Read(Column::kUsers, prefix_, {}, moment);
  for (; at.Valid(); at.Next()) {
    absl::StatusOr<UserState> user = DecodeUserState(at.value());
    if (!user.ok()) return user.status();
    if (absl::Status s = visit(at.rest(), *std::move(user)); !s.ok()) return s;
  }
  return at.Check("cannot read the users");
}

void Generation::PutItem(GraphStore::Batch& batch, ItemIndex item, const StoredItem& stored) const {
  storage::v1::CatalogueItem message;
  message.set_item_id(stored.id);
  message.set_title(stored.title);
  message.set_category(stored.category);
  message.set_created(stored.created);
  message.set_cluster(stored.cluster);
  message.set_removed(stored.removed);
  message.mutable_embedding()->Add(stored.embedding.begin(), stored.embedding.end());
  if (!stored.embedding.empty()) message.set_clusters_of(stored.clusters_of);
  message.set_upserted(stored.upserted);
  WriteAvailability(stored.availability, message);
  batch.changes().Put(Column::kItems, IndexKey(ToInt(item)), message.SerializeAsString());
}

absl::StatusOr<std::vector<StoredItem>> Generation::ReadItems() const {
  std::vector<StoredItem> items;
  auto at = database_->Read(Column::kItems, prefix_);
  for (; at.Valid(); at.Next()) {
    const bool is_next = at.rest() == IndexBytes(static_cast<uint32_t>(items.size()));
    std::optional<StoredItem> item = is_next ? ToItem(at.value()) : std::nullopt;
    if (!item.has_value()) {
      return absl::DataLossError(fmt::format("item {} is damaged or missing", items.size()));
    }
    items.push_back(*std::move(item));
  }
  if (absl::Status s = at.Check("cannot read the catalogue"); !s.ok()) return s;
  return items;
}

absl::StatusOr<StoredItem> Generation::ReadItem(ItemIndex item) const {
  rocksdb::PinnableSlice record;
  const absl::StatusOr<bool> found =
      database_->Get(Column::kItems, IndexKey(ToInt(item)), "cannot read the catalogue", record);
  if (!found.ok()) return found.status();
  std::optional<StoredItem> stored = *found ? ToItem(record.ToStringView()) : std::nullopt;
  if (!stored.has_value()) {
    return absl::DataLossError(fmt::format("item {} is damaged or missing", ToInt(item)));
  }
  return *std::move(stored);
}

void Generation::PutSnapshotFileChunk(GraphStore::Batch& batch, std::string_view file,
                                      uint32_t chunk, std::string_view bytes) const {
  std::string key = Key(file);
  key.push_back('\0');
  AppendKeyU32(key, chunk);
  batch.changes().Put(Column::kSnapshotFiles, key, bytes);
}

absl::StatusOr<std::vector<std::string>> Generation::ListSnapshotFiles() const {
  std::vector<std::string> files;
  auto at = database_->Read(Column::kSnapshotFiles, prefix_);
  while (at.Valid()) {
    files.emplace_back(at.rest().substr(0, at.rest().find('\0')));
    at.Seek(files.back() + "\x01");  // past the other chunks of the file
  }
  if (absl::Status s = at.Check("cannot list the snapshot"); !s.ok()) return s;
  return files;
}

absl::StatusOr<uint64_t> Generation::SnapshotFileBytes(std::string_view file) const {
  const std::string first = Key(std::string(file) + '\0');
  uint64_t bytes = 0;
  auto at = database_->Read(Column::kSnapshotFiles, first);
  for (; at.Valid(); at.Next()) {
    bytes += at.value().size();
  }
  if (absl::Status s = at.Check("cannot read the snapshot"); !s.ok()) return s;
  return bytes;
}

absl::Status Generation::ReadSnapshotFile(std::string_view file, std::span<std::byte> out) const {
  const std::string first = Key(std::string(file) + '\0');
  size_t filled = 0;
  auto chunk = database_->Read(Column::kSnapshotFiles, first);
  for (; chunk.Valid(); chunk.Next()) {
    const std::string_view bytes = chunk.value();
    if (bytes.size() > out.size() - filled) break;
    std::memcpy(out.data() + filled, bytes.data(), bytes.size());
    filled += bytes.size();
  }
  if (absl::Status s = chunk.Check("cannot read the snapshot"); !s.ok()) return s;
  if (filled != out.size()) {
    return absl::DataLossError(fmt::format(
        "snapshot file \"{}\" holds {} bytes where {} were expected", file, filled, out.size()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<CheckpointInfo>> Generation::ReadCheckpoint() const {
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found =
      database_->Get(Column::kDefault, Key(kCheckpointKey), "cannot read the checkpoint", value);
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  storage::v1::Checkpoint message;
  if (!Parse(value.ToStringView(), message))
    return absl::DataLossError("the checkpoint is damaged");
  return std::optional<CheckpointInfo>({.offset = message.offset(),
                                        .shards = message.shards(),
                                        .items = message.items(),
                                        .user_clusters = message.user_clusters(),
                                        .item_clusters = message.item_clusters(),
                                        .create_time_us = message.create_time_us(),
                                        .bytes = message.bytes()});
}

size_t Generation::PutCheckpointShard(GraphStore::Batch& batch, Offset checkpoint,
                                      const ItemShard& shard) const {
  storage::v1::CheckpointShard message;
  message.mutable_counts()->Add(shard.counts.begin(), shard.counts.end());
  const auto first = static_cast<uint32_t>(shard.number * kItemsPerShard);
  int64_t time_us = 0;
  for (const ItemEdge& edge : shard.edges) {
    message.add_item(ToInt(edge.item) - first);
    message.add_time_us(edge.last.time_us - time_us);
    message.add_offset(edge.last.offset);
    message.add_user(ToInt(edge.user));
    time_us = edge.last.time_us;
  }
  std::string key = CheckpointKey(checkpoint);
  AppendKeyU32(key, shard.number);
  const std::string bytes = message.SerializeAsString();
  batch.changes().Put(Column::kCheckpoints, key, bytes);
  return key.size() + bytes.size();
}

absl::StatusOr<ItemShard> Generation::ReadCheckpointShard(Offset checkpoint, uint32_t shard) const {
  std::string key = CheckpointKey(checkpoint);
  AppendKeyU32(key, shard);
  rocksdb::PinnableSlice value;
  const absl::StatusOr<bool> found =
      database_->Get(Column::kCheckpoints, key, "cannot read the checkpoint", value);
  if (!found.ok()) return found.status();
  storage::v1::CheckpointShard message;
  const bool parsed = *found && Parse(value.ToStringView(), message);
  const int edges = message.item_size();
  if (!parsed || message.time_us_size() != edges || message.offset_size() != edges ||
      message.user_size() != edges) {
    return absl::DataLossError(
        fmt::format("shard {} of the checkpoint at offset {} is damaged", shard, checkpoint));
  }
  ItemShard result{
      .number = shard, .counts = {message.counts().begin(), message.counts().end()}, .edges = {}};
  result.edges.reserve(static_cast<size_t>(edges));
  const auto first = static_cast<uint32_t>(shard * kItemsPerShard);
  int64_t time_us = 0;
  for (int i = 0; i < edges; ++i) {
    time_us += message.time_us(i);
    result.edges.push_back({.item = ItemIndex{first + message.item(i)},
                            .last = {.time_us = time_us, .offset = message.offset(i)},
                            .user = UserIndex{message.user(i)}});
  }
  return result;
}

void Generation::PutCheckpoint(GraphStore::Batch& batch, const CheckpointInfo& info) const {
  storage::v1::Checkpoint message;
  message.set_offset(info.offset);
  message.set_shards(info.shards);
  message.set_items(info.items);
  message.set_user_clusters(info.user_clusters);
  message.set_item_clusters(info.item_clusters);
  message.set_create_time_us(info.create_time_us);
  message.set_bytes(info.bytes);
  batch.changes().Put(Column::kDefault, Key(kCheckpointKey), message.SerializeAsString());
}

absl::Status Generation::KeepOnlyCheckpoint(Offset checkpoint) const {
  Database::Batch batch(*database_);
  for (const Column column : {Column::kCheckpoints, Column::kUsersBefore}) {
    batch.DeleteStored(column, prefix_, CheckpointKey(checkpoint));
    batch.DeleteStored(column, CheckpointKey(checkpoint + 1), Behind(prefix_));
  }
  return database_->Commit(batch, /*sync=*/false, "cannot delete an old checkpoint");
}

void Generation::PutUserBefore(GraphStore::Batch& batch, Offset checkpoint,
                               std::string_view user_id, const UserState* user) const {
  batch.changes().scratch().clear();
  if (user != nullptr) EncodeUserState(*user, batch.changes().scratch());
  batch.changes().Put(Column::kUsersBefore, CheckpointKey(checkpoint) + std::string(user_id),
                      batch.changes().scratch());
}

absl::Status Generation::ForEachUserBefore(
    Offset checkpoint,
    const std::function<absl::Status(std::string_view, std::optional<UserState>)>& visit) const {
  const std::string prefix = CheckpointKey(checkpoint);
  auto at = database_->Read(Column::kUsersBefore, prefix);
  for (; at.Valid(); at.Next()) {
    std::optional<UserState> user;
    if (!at.value().empty()) {
      absl::StatusOr<UserState> decoded = DecodeUserState(at.value());
      if (!decoded.ok()) return decoded.status();
      user = *std::move(decoded);
    }
    if (absl::Status s = visit(at.rest(), std::move(user)); !s.ok()) return s;
  }
  return at.Check("cannot read the users of the checkpoint");
}

void Generation::PutExpiry(GraphStore::Batch& batch, const Expiry& expiry) const {
  batch.changes().Put(Column::kExpiries, ExpiryKey(expiry.last, expiry.user), expiry.user_id);
}

void Generation::DeleteExpiry(GraphStore::Batch& batch, Recency last, UserIndex user) const {
  batch.changes().Delete(Column::kExpiries, ExpiryKey(last, user));
}

absl::StatusOr<std::vector<Expiry>> Generation::ReadExpiries(int64_t from_us, size_t limit) const {
  std::vector<Expiry> expiries;
  const std::string from = ExpiryKey({.time_us = from_us}, UserIndex{0});
  auto at = database_->Read(Column::kExpiries, prefix_, from.substr(prefix_.size()));
  for (; at.Valid() && expiries.size() < limit; at.Next()) {
    const std::string_view rest = at.rest();
    if (rest.size() != kExpiryKeyBytes)
      return absl::DataLossError("a key of the window is damaged");
    constexpr size_t kWord = sizeof(uint64_t);
    expiries.push_back(
        {.last = {.time_us = static_cast<int64_t>(KeySuffixU64(rest.substr(0, kWord))),
                  .offset = static_cast<Offset>(KeySuffixU64(rest.substr(0, 2 * kWord)))},
         .user = UserIndex{static_cast<uint32_t>(KeySuffixU64(rest))},
         .user_id = std::string(at.value())});
  }
  if (absl::Status s = at.Check("cannot read the window"); !s.ok()) return s;
  return expiries;
}

}  // namespace groundswell
