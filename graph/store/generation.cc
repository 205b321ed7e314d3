#include "graph/store/generation.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <cstring>

#include "graph/log/record.h"
#include "groundswell/storage/v1/graph_state.pb.h"

namespace groundswell {
namespace {

constexpr std::string_view kStateKey = "state";
constexpr std::string_view kCheckpointKey = "checkpoint";
constexpr size_t kExpiryKeyBytes = 2 * sizeof(uint64_t) + sizeof(uint32_t);

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

storage::v1::GraphState ToMessage(const GraphState& state) {
  storage::v1::GraphState message;
  message.set_snapshot_digest(state.snapshot_digest);
  message.set_base_offset(state.base_offset);
  message.set_applied_offset(state.applied_offset);
  message.set_user_count(state.user_count);
  message.set_live_user_count(state.live_user_count);
  message.set_edge_count(state.edge_count);
  message.set_newest_event_time_us(state.newest_event_time_us);
  message.set_digest_high(state.digest.words().high);
  message.set_digest_low(state.digest.words().low);
  message.set_window_age_us(state.window.age_us);
  message.set_window_interactions(state.window.interactions);
  message.set_window_items(state.window.items);
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
          .digest = StateDigest({.high = message.digest_high(), .low = message.digest_low()}),
          .window = {.age_us = message.window_age_us(),
                     .interactions = message.window_interactions(),
                     .items = message.window_items()},
          .removing = {.users = message.removing().users(),
                       .edges = message.removing().edges(),
                       .weight = message.removing().weight()}};
}

std::optional<StoredItem> ToItem(std::string_view record) {
  storage::v1::CatalogueItem item;
  if (!item.ParseFromArray(record.data(), static_cast<int>(record.size()))) return std::nullopt;
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

// Smallest key behind all that begin with `prefix`.
std::string Behind(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

}  // namespace

Generation::Generation(GraphStore& store, uint32_t number)
    : store_(&store), number_(number), prefix_(store.prefix_) {
  AppendKeyU32(prefix_, number);
}

absl::StatusOr<Generation> Generation::OpenCurrent(GraphStore& store) {
  const absl::StatusOr<uint32_t> number = store.CurrentGeneration();
  if (!number.ok()) return number.status();
  if (*number == 0) {
    return absl::NotFoundError("the database holds no snapshot; import one first");
  }
  return Generation(store, *number);
}

std::string Generation::Key(std::string_view rest) const { return prefix_ + std::string(rest); }

std::string Generation::IndexKey(uint32_t index) const {
  std::string key = prefix_;
  AppendKeyU32(key, index);
  return key;
}

std::string Generation::CheckpointKey(Offset checkpoint) const {
  std::string key = prefix_;
  AppendKeyU64(key, static_cast<uint64_t>(checkpoint));
  return key;
}

std::string Generation::ExpiryKey(Recency last, UserIndex user) const {
  std::string key = prefix_;
  AppendKeyU64(key, static_cast<uint64_t>(last.time_us));
  AppendKeyU64(key, static_cast<uint64_t>(last.offset));
  AppendKeyU32(key, ToInt(user));
  return key;
}

void Generation::PutState(GraphStore::Batch& batch, const GraphState& state) const {
  batch.batch_
      ->Put(store_->columns_[GraphStore::kDefault], Key(kStateKey),
            ToMessage(state).SerializeAsString())
      .PermitUncheckedError();
}

absl::StatusOr<GraphState> Generation::ReadState(const GraphStore::Moment& moment) const {
  rocksdb::ReadOptions options;
  options.snapshot = moment.get();
  std::string value;
  const rocksdb::Status got =
      store_->db_->Get(options, store_->columns_[GraphStore::kDefault], Key(kStateKey), &value);
  if (got.IsNotFound()) {
    return absl::NotFoundError("the database holds no snapshot; import one first");
  }
  if (!got.ok()) return ToStatus(got, "cannot read the graph state");
  storage::v1::GraphState message;
  if (!message.ParseFromString(value)) return absl::DataLossError("the graph state is damaged");
  return ToState(message);
}

void Generation::PutNewUser(GraphStore::Batch& batch, std::string_view user_id,
                            const UserState& user) const {
  batch.batch_
      ->Put(store_->columns_[GraphStore::kUserIds], IndexKey(ToInt(user.index)), ToSlice(user_id))
      .PermitUncheckedError();
  PutUser(batch, user_id, user);
}

void Generation::PutUser(GraphStore::Batch& batch, std::string_view user_id,
                         const UserState& user) const {
  EncodeUserState(user, batch.value_);
  batch.batch_->Put(store_->columns_[GraphStore::kUsers], Key(user_id), batch.value_)
      .PermitUncheckedError();
}

void Generation::DeleteUser(GraphStore::Batch& batch, std::string_view user_id,
                            UserIndex index) const {
  batch.batch_->Delete(store_->columns_[GraphStore::kUsers], Key(user_id)).PermitUncheckedError();
  batch.batch_->Delete(store_->columns_[GraphStore::kUserIds], IndexKey(ToInt(index)))
      .PermitUncheckedError();
}

absl::StatusOr<std::optional<UserState>> Generation::ReadUser(std::string_view user_id) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status got =
      store_->db_->Get({}, store_->columns_[GraphStore::kUsers], Key(user_id), &value);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return ToStatus(got, "cannot read the user");
  absl::StatusOr<UserState> user = DecodeUserState(ToView(value));
  if (!user.ok()) return user.status();
  return std::optional<UserState>(*std::move(user));
}

absl::StatusOr<std::string> Generation::ReadUserId(UserIndex index) const {
  std::string id;
  const rocksdb::Status got =
      store_->db_->Get({}, store_->columns_[GraphStore::kUserIds], IndexKey(ToInt(index)), &id);
  if (got.IsNotFound()) {
    return absl::DataLossError(fmt::format("no id is stored for the user {}", ToInt(index)));
  }
  if (!got.ok()) return ToStatus(got, "cannot read a user's id");
  return id;
}

absl::Status Generation::ForEachUser(
    const std::function<absl::Status(std::string_view, UserState)>& visit,
    const GraphStore::Moment& moment) const {
  rocksdb::ReadOptions options;
  options.snapshot = moment.get();
  std::unique_ptr<rocksdb::Iterator> it(
      store_->db_->NewIterator(options, store_->columns_[GraphStore::kUsers]));
  for (it->Seek(prefix_); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    const std::string_view id = ToView(it->key()).substr(prefix_.size());
    absl::StatusOr<UserState> user = DecodeUserState(ToView(it->value()));
    if (!user.ok()) return user.status();
    if (absl::Status s = visit(id, *std::move(user)); !s.ok()) return s;
  }
  return ToStatus(it->status(), "cannot read the users");
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
  batch.batch_
      ->Put(store_->columns_[GraphStore::kItems], IndexKey(ToInt(item)),
            message.SerializeAsString())
      .PermitUncheckedError();
}

absl::StatusOr<std::vector<StoredItem>> Generation::ReadItems() const {
  std::vector<StoredItem> items;
  std::unique_ptr<rocksdb::Iterator> it(
      store_->db_->NewIterator({}, store_->columns_[GraphStore::kItems]));
  for (it->Seek(prefix_); it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    const bool is_next = ToView(it->key()) == IndexKey(static_cast<uint32_t>(items.size()));
    std::optional<StoredItem> item = is_next ? ToItem(ToView(it->value())) : std::nullopt;
    if (!item.has_value()) {
      return absl::DataLossError(fmt::format("item {} is damaged or missing", items.size()));
    }
    items.push_back(*std::move(item));
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the catalogue"); !s.ok()) return s;
  return items;
}

absl::StatusOr<StoredItem> Generation::ReadItem(ItemIndex item) const {
  std::string record;
  const rocksdb::Status read =
      store_->db_->Get({}, store_->columns_[GraphStore::kItems], IndexKey(ToInt(item)), &record);
  if (!read.ok() && !read.IsNotFound()) return ToStatus(read, "cannot read the catalogue");
  std::optional<StoredItem> stored = read.ok() ? ToItem(record) : std::nullopt;
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
  batch.batch_->Put(store_->columns_[GraphStore::kSnapshotFiles], key, ToSlice(bytes))
      .PermitUncheckedError();
}

absl::StatusOr<std::vector<std::string>> Generation::ListSnapshotFiles() const {
  std::vector<std::string> files;
  std::unique_ptr<rocksdb::Iterator> it(
      store_->db_->NewIterator({}, store_->columns_[GraphStore::kSnapshotFiles]));
  it->Seek(prefix_);
  while (it->Valid() && it->key().starts_with(prefix_)) {
    const std::string_view rest = ToView(it->key()).substr(prefix_.size());
    files.emplace_back(rest.substr(0, rest.find('\0')));
    it->Seek(Key(files.back() + "\x01"));
  }
  if (absl::Status s = ToStatus(it->status(), "cannot list the snapshot"); !s.ok()) return s;
  return files;
}

absl::StatusOr<uint64_t> Generation::SnapshotFileBytes(std::string_view file) const {
  const std::string first = Key(std::string(file) + '\0');
  uint64_t bytes = 0;
  std::unique_ptr<rocksdb::Iterator> it(
      store_->db_->NewIterator({}, store_->columns_[GraphStore::kSnapshotFiles]));
  for (it->Seek(first); it->Valid() && it->key().starts_with(first); it->Next()) {
    bytes += it->value().size();
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the snapshot"); !s.ok()) return s;
  return bytes;
}

absl::Status Generation::ReadSnapshotFile(std::string_view file, std::span<std::byte> out) const {
  const std::string first = Key(std::string(file) + '\0');
  size_t at = 0;
  std::unique_ptr<rocksdb::Iterator> it(
      store_->db_->NewIterator({}, store_->columns_[GraphStore::kSnapshotFiles]));
  for (it->Seek(first); it->Valid() && it->key().starts_with(first); it->Next()) {
    const rocksdb::Slice chunk = it->value();
    if (chunk.size() > out.size() - at) break;
    std::memcpy(out.data() + at, chunk.data(), chunk.size());
    at += chunk.size();
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the snapshot"); !s.ok()) return s;
  if (at != out.size()) {
    return absl::DataLossError(fmt::format(
        "snapshot file \"{}\" holds {} bytes where {} were expected", file, at, out.size()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<CheckpointInfo>> Generation::ReadCheckpoint() const {
  std::string value;
  const rocksdb::Status got =
      store_->db_->Get({}, store_->columns_[GraphStore::kDefault], Key(kCheckpointKey), &value);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return ToStatus(got, "cannot read the checkpoint");
  storage::v1::Checkpoint message;
  if (!message.ParseFromString(value)) return absl::DataLossError("the checkpoint is damaged");
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
  batch.batch_->Put(store_->columns_[GraphStore::kCheckpoints], key, bytes).PermitUncheckedError();
  return key.size() + bytes.size();
}

absl::StatusOr<ItemShard> Generation::ReadCheckpointShard(Offset checkpoint, uint32_t shard) const {
  std::string key = CheckpointKey(checkpoint);
  AppendKeyU32(key, shard);
  rocksdb::PinnableSlice value;
  const rocksdb::Status got =
      store_->db_->Get({}, store_->columns_[GraphStore::kCheckpoints], key, &value);
  if (!got.ok() && !got.IsNotFound()) return ToStatus(got, "cannot read the checkpoint");
  storage::v1::CheckpointShard message;
  const bool parsed =
      got.ok() && message.ParseFromArray(value.data(), static_cast<int>(value.size()));
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
  batch.batch_
      ->Put(store_->columns_[GraphStore::kDefault], Key(kCheckpointKey),
            message.SerializeAsString())
      .PermitUncheckedError();
}

absl::Status Generation::KeepOnlyCheckpoint(Offset checkpoint) const {
  rocksdb::WriteBatch batch;
  for (const auto column : {GraphStore::kCheckpoints, GraphStore::kUsersBefore}) {
    store_->DeleteRange(column, prefix_, CheckpointKey(checkpoint), batch);
    store_->DeleteRange(column, CheckpointKey(checkpoint + 1), Behind(prefix_), batch);
  }
  return ToStatus(store_->db_->Write({}, &batch), "cannot delete an old checkpoint");
}

void Generation::PutUserBefore(GraphStore::Batch& batch, Offset checkpoint,
                               std::string_view user_id, const UserState* user) const {
  batch.value_.clear();
  if (user != nullptr) EncodeUserState(*user, batch.value_);
  batch.batch_
      ->Put(store_->columns_[GraphStore::kUsersBefore],
            CheckpointKey(checkpoint) + std::string(user_id), batch.value_)
      .PermitUncheckedError();
}

absl::Status Generation::ForEachUserBefore(
    Offset checkpoint,
    const std::function<absl::Status(std::string_view, std::optional<UserState>)>& visit) const {
  const std::string prefix = CheckpointKey(checkpoint);
  std::unique_ptr<rocksdb::Iterator> it(
      store_->db_->NewIterator({}, store_->columns_[GraphStore::kUsersBefore]));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    std::optional<UserState> user;
    if (!it->value().empty()) {
      absl::StatusOr<UserState> decoded = DecodeUserState(ToView(it->value()));
      if (!decoded.ok()) return decoded.status();
      user = *std::move(decoded);
    }
    const std::string_view id = ToView(it->key()).substr(prefix.size());
    if (absl::Status s = visit(id, std::move(user)); !s.ok()) return s;
  }
  return ToStatus(it->status(), "cannot read the users of the checkpoint");
}

void Generation::PutExpiry(GraphStore::Batch& batch, const Expiry& expiry) const {
  batch.batch_
      ->Put(store_->columns_[GraphStore::kExpiries], ExpiryKey(expiry.last, expiry.user),
            expiry.user_id)
      .PermitUncheckedError();
}

void Generation::DeleteExpiry(GraphStore::Batch& batch, Recency last, UserIndex user) const {
  batch.batch_->Delete(store_->columns_[GraphStore::kExpiries], ExpiryKey(last, user))
      .PermitUncheckedError();
}

absl::StatusOr<std::vector<Expiry>> Generation::ReadExpiries(int64_t from_us, size_t limit) const {
  std::vector<Expiry> expiries;
  std::unique_ptr<rocksdb::Iterator> it(
      store_->db_->NewIterator({}, store_->columns_[GraphStore::kExpiries]));
  for (it->Seek(ExpiryKey({.time_us = from_us}, UserIndex{0}));
       it->Valid() && it->key().starts_with(prefix_); it->Next()) {
    if (expiries.size() == limit) break;
    const std::string_view rest = ToView(it->key()).substr(prefix_.size());
    if (rest.size() != kExpiryKeyBytes)
      return absl::DataLossError("a key of the window is damaged");
    constexpr size_t kWord = sizeof(uint64_t);
    expiries.push_back(
        {.last = {.time_us = static_cast<int64_t>(KeySuffixU64(rest.substr(0, kWord))),
                  .offset = static_cast<Offset>(KeySuffixU64(rest.substr(0, 2 * kWord)))},
         .user = UserIndex{static_cast<uint32_t>(KeySuffixU64(rest))},
         .user_id = std::string(ToView(it->value()))});
  }
  if (absl::Status s = ToStatus(it->status(), "cannot read the window"); !s.ok()) return s;
  return expiries;
}

}  // namespace groundswell
