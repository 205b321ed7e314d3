#include "server/offline/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "graph/log/entry_hash.h"
#include "graph/log/record.h"
#include "graph/store/store.h"
#include "server/offline/directory_swap.h"
#include "server/rpc/api_time.h"
#include "server/serving/served_snapshots.h"
#include "server/serving/shared_log.h"
#include "server/serving/snapshot_staging.h"
#include "server/serving/trained_log.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

// Opens the database that is there; nullptr when there is none. Anything else in the directory is
// refused, so that an import never replaces what it did not make.
absl::StatusOr<std::unique_ptr<GraphStore>> OpenExisting(const ImportOptions& options) {
  if (absl::Status s = CheckReplaceable(options.data_dir); !s.ok()) return s;
  std::error_code error;
  if (!fs::exists(fs::path(options.data_dir) / "CURRENT", error)) {
    return std::unique_ptr<GraphStore>();
  }
  auto store = GraphStore::Open({.path = options.data_dir, .name_space = options.name_space});
  if (absl::IsNotFound(store.status())) {
    return absl::FailedPreconditionError(
        fmt::format("database \"{}\" belongs to another namespace than \"{}\"; choose a directory "
                    "of its own",
                    options.data_dir, options.name_space));
  }
  return store;
}

// `edges`: of the snapshot's graph, whose last entry of its log is `base`. `is_same`: the database
// is of this snapshot already.
absl::Status CheckOffsetsMeet(const GraphStore& old, const GraphState& old_state, Offset base,
                              size_t edges, bool is_same) {
  const absl::StatusOr<Offset> last = old.LastLogOffset();
  if (!last.ok()) return last.status();
  if (*last == 0) return absl::OkStatus();  // nothing was logged
  const absl::StatusOr<Offset> kept = old.LogBegin();
  if (!kept.ok()) return kept.status();
  const Offset begin = *kept > 0 ? *kept : old_state.base_offset + 1;
  if (base + 1 < begin || base > *last) {
    return absl::FailedPreconditionError(fmt::format(
        "the database holds the interactions {} to {} in its log, but the snapshot's graph ends at "
        "{} (manifest graph_offset): the log would not continue it. Import into a new directory, "
        "train on this log{}",
        begin, *last, base,
        base > *last ? "" : ", or activate the snapshot on the running server"));
  }
  // Each edge has an entry of its own in the log that it is from: this one is from elsewhere, and
  // may have what the database logged, unless that was logged behind the very snapshot.
  const bool continues = is_same && begin == base + 1;
  if (edges > static_cast<size_t>(base) && !continues) {
    return absl::FailedPreconditionError(fmt::format(
        "the snapshot's graph has {} edges, more than the log has entries until its graph_offset, "
        "{}: it was trained on files beside this log, whose interactions {} to {} would count "
        "twice. Activate the snapshot on the running server, or import it into a new directory",
        edges, base, begin, *last));
  }
  return absl::OkStatus();
}

// Copies what the old database logged behind `base`, and what belongs to the log.
absl::StatusOr<uint64_t> CarryLog(const GraphStore& old, Offset base, GenerationWriter& writer,
                                  const ImportProgress& progress) {
  uint64_t carried = 0;
  absl::Status status = old.ForEachLogRecord(
      base + 1, std::numeric_limits<Offset>::max(),
      [&](Offset offset, std::string_view record) -> absl::Status {
        const absl::StatusOr<LogEntry> entry = DecodeLogRecord(record);
        if (!entry.ok()) return entry.status();
        ++carried;
        if (absl::Status s = writer.PutLogBytes(offset, record); !s.ok()) return s;
        const std::optional<EventIdHash> event_id = EventIdHashOf(*entry);
        if (!event_id.has_value()) return absl::OkStatus();
        const auto known = old.FindEventId(*event_id);
        if (!known.ok()) return known.status();
        const bool is_kept = known->has_value() && (*known)->offset == offset;
        return is_kept ? writer.PutEventId(*event_id, **known) : absl::OkStatus();
      });
  if (!status.ok()) return status;
  const absl::StatusOr<std::optional<Offset>> event_ids_begin = old.EventIdsBegin();
  if (!event_ids_begin.ok()) return event_ids_begin.status();
  writer.PutEventIdsBegin(event_ids_begin->value_or(0));
  status = old.ForEachTombstone(
      [&](Tombstone::Kind kind, const IdHash& hash, const Tombstone& tombstone) {
        return writer.PutTombstone(kind, hash, tombstone);
      });
  if (!status.ok()) return status;
  const auto producers = old.ReadProducers();
  if (!producers.ok()) return producers.status();
  for (const auto& [id, producer] : *producers) {
    if (absl::Status s = writer.PutProducer(id, producer); !s.ok()) return s;
  }
  progress("log", carried, carried);
  return carried;
}

// What users hid, by user id and in the new snapshot's items. The log from the snapshot's offset on
// says it again; what was hidden before is in no snapshot.
using HiddenItems = absl::flat_hash_map<std::string, std::vector<HiddenItem>>;

absl::StatusOr<HiddenItems> ReadHidden(GraphStore& old, const CheckedSnapshot& checked) {
  const absl::StatusOr<Generation> generation = Generation::OpenCurrent(old);
  if (!generation.ok()) return generation.status();
  const auto items = generation->ReadItems();
  if (!items.ok()) return items.status();
  absl::flat_hash_map<std::string, ItemIndex> index_of;
  for (uint32_t i = 0; i < checked.items.size(); ++i) {
    index_of.emplace(checked.items[i].id, ItemIndex{i});
  }
  HiddenItems hidden;
  absl::Status read = generation->ForEachUser([&](std::string_view user_id, const UserState& user) {
    for (const HiddenItem& one : user.hidden) {
      const StoredItem& item = (*items)[ToInt(one.item)];
      const auto at = index_of.find(item.id);
      if (item.removed || at == index_of.end()) continue;
      hidden[std::string(user_id)].push_back({.item = at->second, .time_us = one.time_us});
    }
    return absl::OkStatus();
  });
  if (!read.ok()) return read;
  for (auto& [user_id, its] : hidden) std::ranges::sort(its, {}, &HiddenItem::item);
  return hidden;
}

// The users of the snapshot with the snapshot's own graph, less who and what was taken out since.
absl::Status WriteUsers(const CheckedSnapshot& checked, const Gone& gone, const Window& window,
                        const HiddenItems& hidden, GenerationWriter& writer,
                        const ImportProgress& progress) {
  std::vector<bool> item_is_gone(checked.items.size());
  for (size_t i = 0; i < checked.items.size() && !gone.items.empty(); ++i) {
    item_is_gone[i] = gone.items.contains(HashId(checked.items[i].id));
  }
  UserState user;
  for (uint32_t u = 0; u < checked.users.size(); ++u) {
    if (!gone.users.empty() && gone.users.contains(HashId(checked.users[u]))) continue;
    user.index = UserIndex{u};
    user.cluster = checked.snapshot->user_clusters()[u];
    user.edges.clear();
    for (uint64_t e = checked.graph.user_begin[u]; e < checked.graph.user_begin[u + 1]; ++e) {
      const SnapshotGraph::Edge& edge = checked.graph.edges[e];
      if (item_is_gone[edge.item]) continue;
      user.edges.push_back({.item = ItemIndex{edge.item},
                            .count = static_cast<uint32_t>(edge.count),
                            .last = {.time_us = edge.last_time_us, .offset = edge.last_offset}});
    }
    MergeBehindTrace(user, window);
    const auto hidden_at = hidden.find(checked.users[u]);
    user.hidden = hidden_at == hidden.end() ? std::vector<HiddenItem>() : hidden_at->second;
    if (absl::Status s = writer.AddUser(checked.users[u], user, window); !s.ok()) return s;
  }
  progress("users", checked.users.size(), checked.users.size());
  return absl::OkStatus();
}

// Pairs of a user and an item.
size_t PairsIn(const SnapshotGraph& graph) {
  size_t pairs = 0;
  for (size_t user = 0; user + 1 < graph.user_begin.size(); ++user) {
    for (size_t e = graph.user_begin[user]; e < graph.user_begin[user + 1]; ++e) {
      pairs += e == graph.user_begin[user] || graph.edges[e].item != graph.edges[e - 1].item;
    }
  }
  return pairs;
}

// What the old database was told while it served, and which snapshots it served.
absl::Status CarrySettings(const ImportOptions& options, const Snapshot& snapshot,
                           const TrainedLog& trained, const GraphStore* old, GraphStore& store) {
  GraphStore::Batch batch(store);
  std::vector<ServedSnapshot> before;
  if (old != nullptr) {
    absl::Status read = old->ForEachSetting(
        [&batch](std::string_view name, std::string_view value) { batch.PutSetting(name, value); });
    if (!read.ok()) return read;
    auto served = ReadServedSnapshots(*old);
    if (!served.ok()) return served.status();
    before = *std::move(served);
  }
  // A time that no interaction is later than would refuse them all.
  const absl::StatusOr<TrainedLog> carried =
      old != nullptr ? ReadTrainedLog(*old) : absl::StatusOr<TrainedLog>(trained);
  if (!carried.ok()) return carried.status();
  if (old == nullptr || carried->until_us > kApiTimeUsMax) PutTrainedLog(trained, batch);
  PutServedSnapshot(
      {.digest = snapshot.digest(),
       .version = snapshot.manifest().FullVersion(),
       .directory = fs::absolute(options.snapshot_directory).lexically_normal().string(),
       .activate_time_us = options.now_us},
      std::move(before), batch);
  return store.Commit(batch, /*sync=*/true);
}

absl::StatusOr<uint64_t> Build(const std::string& staged, const ImportOptions& options,
                               const CheckedSnapshot& checked, GraphStore* old,
                               const ImportProgress& progress,
                               const std::function<bool()>& cancelled) {
  auto store = GraphStore::Open({.path = staged, .name_space = options.name_space, .create = true});
  if (!store.ok()) return store.status();
  const auto base = static_cast<Offset>(checked.snapshot->manifest().graph_offset);
  Gone gone;
  HiddenItems hidden;
  if (old != nullptr) {
    absl::StatusOr<Gone> found = GoneSince(*old, base);
    if (!found.ok()) return found.status();
    gone = *std::move(found);
    absl::StatusOr<HiddenItems> read = ReadHidden(*old, checked);
    if (!read.ok()) return read.status();
    hidden = *std::move(read);
  }
  GenerationWriter writer(**store, Generation(**store, 1), progress, cancelled);
  if (absl::Status s = writer.WriteFiles(checked.files); !s.ok()) return s;
  if (absl::Status s = writer.WriteItems(checked.items, gone, {}); !s.ok()) return s;
  absl::Status users = WriteUsers(checked, gone, options.window, hidden, writer, progress);
  if (!users.ok()) return users;
  uint64_t carried = 0;
  if (old != nullptr) {
    const absl::StatusOr<uint64_t> copied = CarryLog(*old, base, writer, progress);
    if (!copied.ok()) return copied.status();
    carried = *copied;
  }
  TrainedLog trained{.offset = base};
  for (const SnapshotGraph::Edge& edge : checked.graph.edges) {
    trained.until_us = std::max(trained.until_us, edge.last_time_us);
  }
  absl::Status settings = CarrySettings(options, *checked.snapshot, trained, old, **store);
  if (!settings.ok()) return settings;
  absl::Status finished = writer.Finish({.snapshot_digest = checked.snapshot->digest(),
                                         .base_offset = base,
                                         .applied_offset = base,
                                         .user_count = static_cast<uint32_t>(checked.users.size()),
                                         .window = options.window},
                                        /*serves=*/true);
  if (!finished.ok()) return finished;
  return carried;
}

// RocksDB writes another CURRENT whenever a database is opened.
std::string ReadCurrent(const std::string& data_dir) {
  std::ifstream file(fs::path(data_dir) / "CURRENT");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Closes the old database, if there is one, and puts the new one in its place, unless somebody had
// it open between the two.
absl::Status PutInPlace(const std::string& staged, const std::string& data_dir,
                        std::unique_ptr<GraphStore> old) {
  if (old == nullptr) return SwapDirectories(staged, data_dir, nullptr);
  const std::string current = ReadCurrent(data_dir);
  old.reset();  // RocksDB must not find the new database under its own path
  const absl::StatusOr<FileLock> lock = LockDatabase(data_dir);
  if (!lock.ok()) return lock.status();
  if (ReadCurrent(data_dir) != current) {
    return absl::UnavailableError(
        fmt::format("database \"{}\" was opened by another process meanwhile, and may have taken "
                    "interactions; run the import again",
                    data_dir));
  }
  return SwapDirectories(staged, data_dir, &*lock);
}

}  // namespace

absl::StatusOr<ImportReport> Import(const ImportOptions& given, const ImportProgress& progress,
                                    const std::function<bool()>& cancelled) {
  ImportOptions options = given;
  absl::StatusOr<std::string> data_dir = ResolveDatabasePath(given.data_dir);
  if (!data_dir.ok()) return data_dir.status();
  options.data_dir = *std::move(data_dir);
  const absl::StatusOr<CheckedSnapshot> checked = CheckSnapshot(options.snapshot_directory);
  if (!checked.ok()) return checked.status();
  const Manifest& manifest = checked->snapshot->manifest();
  ImportReport report{.snapshot_version = manifest.FullVersion(),
                      .users = manifest.users,
                      .items = manifest.items,
                      .edges = PairsIn(checked->graph),
                      .examples = checked->examples};

  absl::StatusOr<std::unique_ptr<GraphStore>> old = OpenExisting(options);
  if (!old.ok()) return old.status();
  if (*old != nullptr) {
    if (absl::Status s = CheckLogIsOwn(**old, "an import"); !s.ok()) return s;
    const absl::StatusOr<Generation> generation = Generation::OpenCurrent(**old);
    if (!generation.ok()) return generation.status();
    const absl::StatusOr<GraphState> state = generation->ReadState();
    if (!state.ok()) return state.status();
    const bool is_same = state->snapshot_digest == checked->snapshot->digest();
    if (is_same && state->window == options.window) {
      report.already_there = true;
      return report;
    }
    const auto base = static_cast<Offset>(manifest.graph_offset);
    if (absl::Status s =
            CheckOffsetsMeet(**old, *state, base, checked->graph.edges.size(), is_same);
        !s.ok())
      return s;
  }
  if (absl::Status s = CheckMovable(options.data_dir); !s.ok()) return s;

  const absl::StatusOr<std::string> staged = MakeStagingDirectory(options.data_dir, ".importing");
  if (!staged.ok()) return staged.status();
  const absl::StatusOr<uint64_t> carried =
      Build(*staged, options, *checked, old->get(), progress, cancelled);
  absl::Status status = carried.status();
  if (status.ok()) status = PutInPlace(*staged, options.data_dir, *std::move(old));
  // What is under the staging name now is the old database, or what an error left.
  absl::Status removed = RemoveStagingDirectory(*staged);
  if (status.ok()) status = std::move(removed);
  if (!status.ok()) return status;
  report.carried_interactions = *carried;
  return report;
}

}  // namespace groundswell
