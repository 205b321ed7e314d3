#include "server/import.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "graph/record.h"
#include "graph/store.h"
#include "models/snapshot.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBatchBytes = size_t{4} << 20;
constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr std::string_view kUsersFile = "users.jsonl";
constexpr std::string_view kItemsFile = "items.jsonl";
constexpr std::string_view kGraphFile = "graph.safetensors";

// A snapshot read and checked as a whole.
struct CheckedSnapshot {
  SnapshotFiles files;
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<std::string> users;
  std::vector<CatalogueItem> items;
  SnapshotGraph graph;
};

absl::StatusOr<std::shared_ptr<const FileBytes>> Require(const SnapshotFiles& files,
                                                         std::string_view name) {
  const auto at = files.files.find(std::string(name));
  if (at == files.files.end()) {
    return absl::InvalidArgumentError(
        fmt::format("manifest.json lists no file \"{}\"; a snapshot to serve needs it", name));
  }
  return at->second;
}

absl::StatusOr<CheckedSnapshot> CheckSnapshot(const std::string& directory) {
  CheckedSnapshot checked;
  auto files = ReadSnapshotDirectory(directory);
  if (!files.ok()) return files.status();
  checked.files = *std::move(files);
  auto snapshot = Snapshot::Create(checked.files);
  if (!snapshot.ok()) return snapshot.status();
  checked.snapshot = *std::move(snapshot);
  const Manifest& manifest = checked.snapshot->manifest();

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
  return checked;
}

// The database that is being built.
class Staging {
 public:
  Staging(GraphStore& store, const ImportProgress& progress, const std::function<bool()>& cancelled)
      : store_(store), batch_(store), progress_(progress), cancelled_(cancelled) {}

  absl::Status WriteFiles(const SnapshotFiles& files) {
    for (const auto& [name, bytes] : files.files) {
      // These become records of their own.
      if (name == kUsersFile || name == kItemsFile || name == kGraphFile) continue;
      const std::string_view text = bytes->text();
      for (size_t at = 0; at < text.size(); at += kChunkBytes) {
        batch_.PutSnapshotFileChunk(name, static_cast<uint32_t>(at / kChunkBytes),
                                    text.substr(at, kChunkBytes));
        if (absl::Status s = CommitWhenFull(); !s.ok()) return s;
        progress_(name, std::min(at + kChunkBytes, text.size()), text.size());
      }
    }
    return absl::OkStatus();
  }

  absl::Status WriteItems(const std::vector<CatalogueItem>& items) {
    for (uint32_t i = 0; i < items.size(); ++i) {
      batch_.PutItem(ItemIndex{i}, items[i].id, items[i].title, items[i].category);
      if (absl::Status s = CommitWhenFull(); !s.ok()) return s;
    }
    progress_("items", items.size(), items.size());
    return absl::OkStatus();
  }

  absl::Status WriteUsers(const CheckedSnapshot& checked) {
    UserState user;
    for (uint32_t u = 0; u < checked.users.size(); ++u) {
      user.index = UserIndex{u};
      user.cluster = checked.snapshot->user_clusters()[u];
      user.edges.clear();
      for (uint64_t e = checked.graph.user_begin[u]; e < checked.graph.user_begin[u + 1]; ++e) {
        const SnapshotGraph::Edge& edge = checked.graph.edges[e];
        user.edges.push_back({.item = ItemIndex{edge.item},
                              .count = static_cast<uint32_t>(edge.count),
                              .last = {.time_us = edge.last_time_us, .offset = edge.last_offset}});
        newest_time_us_ = std::max(newest_time_us_, edge.last_time_us);
      }
      batch_.PutUser(checked.users[u], user);
      if (absl::Status s = CommitWhenFull(); !s.ok()) return s;
    }
    progress_("users", checked.users.size(), checked.users.size());
    return absl::OkStatus();
  }

  // Copies what the old database logged behind `base`.
  absl::StatusOr<uint64_t> CarryLog(const GraphStore& old, Offset base) {
    uint64_t carried = 0;
    const absl::Status status =
        old.ForEachLogRecord([&](Offset offset, std::string_view record) -> absl::Status {
          if (offset <= base) return absl::OkStatus();
          const absl::StatusOr<Interaction> interaction = DecodeLogRecord(record);
          if (!interaction.ok()) return interaction.status();
          batch_.PutLogBytes(offset, record);
          const absl::StatusOr<std::optional<Offset>> known =
              old.FindEventId(interaction->event_id);
          if (!known.ok()) return known.status();
          if (*known == offset) batch_.PutEventId(interaction->event_id, offset);
          ++carried;
          return CommitWhenFull();
        });
    if (!status.ok()) return status;
    progress_("log", carried, carried);
    return carried;
  }

  absl::Status Finish(const CheckedSnapshot& checked) {
    const auto base = static_cast<Offset>(checked.snapshot->manifest().graph_offset);
    batch_.PutState({.snapshot_digest = checked.snapshot->digest(),
                     .base_offset = base,
                     .applied_offset = base,
                     .user_count = static_cast<uint32_t>(checked.users.size()),
                     .edge_count = static_cast<int64_t>(checked.graph.edges.size()),
                     .newest_event_time_us = newest_time_us_});
    return store_.Commit(batch_, /*sync=*/true);
  }

 private:
  absl::Status CommitWhenFull() {
    if (cancelled_()) return absl::CancelledError("import was interrupted; nothing was changed");
    if (batch_.bytes() < kBatchBytes) return absl::OkStatus();
    absl::Status status = store_.Commit(batch_, /*sync=*/false);
    batch_.Clear();
    return status;
  }

  GraphStore& store_;
  GraphStore::Batch batch_;
  const ImportProgress& progress_;
  const std::function<bool()>& cancelled_;
  int64_t newest_time_us_ = 0;
};

// Opens the database that is there; nullptr when there is none. Anything else in the directory is
// refused, so that an import never replaces what it did not make.
absl::StatusOr<std::unique_ptr<GraphStore>> OpenExisting(const ImportOptions& options) {
  std::error_code error;
  const bool is_database = fs::exists(fs::path(options.data_dir) / "CURRENT", error);
  if (!is_database) {
    const bool exists = fs::exists(options.data_dir, error);
    if (exists &&
        (!fs::is_directory(options.data_dir, error) || !fs::is_empty(options.data_dir, error))) {
      return absl::FailedPreconditionError(
          fmt::format("data directory \"{}\" holds something that is not a Groundswell database; "
                      "choose an empty or new directory",
                      options.data_dir));
    }
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

absl::Status CheckOffsetsMeet(const GraphStore& old, const GraphState& old_state, Offset base) {
  const absl::StatusOr<Offset> last = old.LastLogOffset();
  if (!last.ok()) return last.status();
  if (*last == 0) return absl::OkStatus();  // nothing was logged
  if (base < old_state.base_offset || base > *last) {
    return absl::FailedPreconditionError(fmt::format(
        "the database has logged the interactions {} to {}, but the snapshot's graph ends at {} "
        "(manifest graph_offset): the log would not continue it. Import into a new directory, or "
        "train on this log",
        old_state.base_offset + 1, *last, base));
  }
  return absl::OkStatus();
}

absl::Status SystemError(std::string_view doing, const std::string& path) {
  return absl::UnavailableError(fmt::format("cannot {} \"{}\": {}", doing, path, strerror(errno)));
}

// Puts the finished database in the place of the old one in one step.
absl::Status SwapIn(const std::string& staged, const std::string& data_dir) {
  const bool replaces = fs::exists(fs::path(data_dir) / "CURRENT");
  const unsigned flags = replaces ? RENAME_EXCHANGE : 0;
  if (::renameat2(AT_FDCWD, staged.c_str(), AT_FDCWD, data_dir.c_str(), flags) != 0) {
    return SystemError("move the imported database to", data_dir);
  }
  fs::path parent = fs::path(data_dir).parent_path();
  if (parent.empty()) parent = ".";
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return SystemError("open", parent);
  const int synced = ::fsync(directory);
  ::close(directory);
  return synced == 0 ? absl::OkStatus() : SystemError("sync", parent);
}

absl::StatusOr<uint64_t> Build(const std::string& staged, const ImportOptions& options,
                               const CheckedSnapshot& checked, const GraphStore* old,
                               const ImportProgress& progress,
                               const std::function<bool()>& cancelled) {
  auto store = GraphStore::Open({.path = staged, .name_space = options.name_space, .create = true});
  if (!store.ok()) return store.status();
  Staging staging(**store, progress, cancelled);
  if (absl::Status s = staging.WriteFiles(checked.files); !s.ok()) return s;
  if (absl::Status s = staging.WriteItems(checked.items); !s.ok()) return s;
  if (absl::Status s = staging.WriteUsers(checked); !s.ok()) return s;
  uint64_t carried = 0;
  if (old != nullptr) {
    const auto base = static_cast<Offset>(checked.snapshot->manifest().graph_offset);
    const absl::StatusOr<uint64_t> copied = staging.CarryLog(*old, base);
    if (!copied.ok()) return copied.status();
    carried = *copied;
  }
  if (absl::Status s = staging.Finish(checked); !s.ok()) return s;
  return carried;
}

}  // namespace

absl::StatusOr<ImportReport> Import(const ImportOptions& options, const ImportProgress& progress,
                                    const std::function<bool()>& cancelled) {
  std::string data_dir = options.data_dir;
  while (data_dir.size() > 1 && data_dir.back() == '/') data_dir.pop_back();
  const absl::StatusOr<CheckedSnapshot> checked = CheckSnapshot(options.snapshot_directory);
  if (!checked.ok()) return checked.status();
  const Manifest& manifest = checked->snapshot->manifest();
  ImportReport report{.snapshot_version = manifest.FullVersion(),
                      .users = manifest.users,
                      .items = manifest.items,
                      .edges = checked->graph.edges.size()};

  absl::StatusOr<std::unique_ptr<GraphStore>> old = OpenExisting(options);
  if (!old.ok()) return old.status();
  if (*old != nullptr) {
    const absl::StatusOr<GraphState> state = (*old)->ReadState();
    if (!state.ok()) return state.status();
    if (state->snapshot_digest == checked->snapshot->digest()) {
      report.already_there = true;
      return report;
    }
    const auto base = static_cast<Offset>(manifest.graph_offset);
    if (absl::Status s = CheckOffsetsMeet(**old, *state, base); !s.ok()) return s;
  }

  const std::string staged = data_dir + ".importing";
  std::error_code error;
  fs::remove_all(staged, error);  // of an import that was cut off
  fs::create_directories(fs::path(staged), error);
  if (error) {
    return absl::UnavailableError(fmt::format("cannot create \"{}\": {}", staged, error.message()));
  }
  const absl::StatusOr<uint64_t> carried =
      Build(staged, options, *checked, old->get(), progress, cancelled);
  absl::Status status = carried.status();
  old->reset();  // RocksDB must not find the new database under its own path
  if (status.ok()) status = SwapIn(staged, data_dir);
  // What is under the staging name now is the old database, or what an error left.
  fs::remove_all(staged, error);
  if (!status.ok()) return status;
  report.carried_interactions = *carried;
  return report;
}

}  // namespace groundswell
