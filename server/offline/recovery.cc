#include "server/offline/recovery.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "graph/log/record.h"
#include "graph/store/acknowledged_mark.h"
#include "server/offline/directory_swap.h"
#include "server/serving/load_state.h"
#include "server/serving/serving_state.h"
#include "server/serving/shared_log.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

// Keeps everybody from opening a database for writing, by the lock that RocksDB takes, as long as
// it is there. A database on which nobody could take it, such as one that may only be read, has
// none.
class ReadLock {
 public:
  explicit ReadLock(const std::string& directory)
      : file_(::open((fs::path(directory) / "LOCK").c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_ < 0) return;
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    is_refused_ = ::fcntl(file_, F_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES);
  }
  ~ReadLock() {
    if (file_ >= 0) ::close(file_);
  }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;

  // Another process has it open, and writes into it.
  bool is_refused() const { return is_refused_; }

 private:
  const int file_;
  bool is_refused_ = false;
};

// Directories of one disk share their files; of two, the files are copied.
absl::Status CopyDirectory(const std::string& from, const std::string& to,
                           const LoadProgress& progress) {
  const ReadLock lock(from);
  if (lock.is_refused()) {
    return InUse(from,
                 "it changes while it is copied: have that one make a backup (groundswell backup), "
                 "or stop it first");
  }
  std::error_code error;
  fs::create_directories(to, error);
  uint64_t total = 0;
  for (auto file = fs::directory_iterator(from, error); !error && file != fs::directory_iterator();
       file.increment(error)) {
    total += file->is_regular_file(error);
  }
  uint64_t done = 0;
  for (auto file = fs::directory_iterator(from, error); !error && file != fs::directory_iterator();
       file.increment(error)) {
    if (!file->is_regular_file(error) || file->path().filename() == "LOCK") continue;
    fs::copy_file(file->path(), fs::path(to) / file->path().filename(), error);
    if (error) break;  // the next step would forget it
    progress("copying", ++done, total);
  }
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("cannot copy \"{}\" to \"{}\": {}", from, to, error.message()));
}

// The last offset up to which every record of the log is whole.
absl::StatusOr<Offset> WholeUntil(const GraphStore& store, Offset begin, std::string& damage) {
  Offset whole = begin - 1;
  absl::Status read = store.ForEachLogRecord(
      begin, std::numeric_limits<Offset>::max(),
      [&](Offset offset, std::string_view record) -> absl::Status {
        if (offset != whole + 1) {
          return absl::DataLossError(fmt::format("the log has no record at offset {}", whole + 1));
        }
        if (const auto entry = DecodeLogRecord(record); !entry.ok()) {
          return absl::DataLossError(fmt::format("the log's record at offset {} is damaged: {}",
                                                 offset, std::string(entry.status().message())));
        }
        whole = offset;
        return absl::OkStatus();
      });
  if (!read.ok() && !absl::IsDataLoss(read)) return read;
  if (!read.ok()) damage = std::string(read.message());
  return whole;
}

absl::StatusOr<Repair> RepairOpened(GraphStore& store, const std::string& directory) {
  const absl::StatusOr<Generation> generation = Generation::OpenCurrent(store);
  if (!generation.ok()) return generation.status();
  const absl::StatusOr<GraphState> state = generation->ReadState();
  if (!state.ok()) return state.status();
  const absl::StatusOr<Offset> begin = store.LogBegin();
  if (!begin.ok()) return begin.status();
  Repair repair;
  const Offset first = *begin > 0 ? *begin : state->base_offset + 1;
  const absl::StatusOr<Offset> whole = WholeUntil(store, first, repair.damage);
  if (!whole.ok()) return whole.status();
  const absl::StatusOr<Offset> last = store.LastLogOffset();
  if (!last.ok()) return last.status();
  repair.kept_until = *whole;
  const auto mark = AcknowledgedMark::Read(directory);
  const Offset acknowledged = mark.ok() && mark->has_value() ? (*mark)->offset : 0;
  if (!mark.ok() && repair.damage.empty()) repair.damage = std::string(mark.status().message());
  repair.lost_until = std::max({acknowledged, *last, *whole});
  if (repair.lost_until > *whole && repair.damage.empty()) {
    repair.damage =
        fmt::format("the log ends at {}, but {} was acknowledged", *whole, repair.lost_until);
  }
  // What the graph contains is not applied a second time.
  const Offset known = std::max(*whole, state->applied_offset);
  repair.continues_at = known + 1;

  GraphStore::Batch batch(store);
  batch.TruncateLogBehind(*whole);
  if (known > *whole) batch.TruncateLogBefore(known + 1);  // a log has no holes
  absl::Status forgotten = store.ForgetAcknowledgedBehind(known, batch);
  if (!forgotten.ok()) return forgotten;
  if (absl::Status s = store.Commit(batch, /*sync=*/true); !s.ok()) return s;
  return repair;
}

absl::StatusOr<Repair> RepairDirectory(const std::string& directory,
                                       const std::string& name_space) {
  std::string damage;
  {
    const auto strict = GraphStore::Open({.path = directory, .name_space = name_space});
    if (absl::IsUnavailable(strict.status())) return strict.status();
    if (!strict.ok()) damage = std::string(strict.status().message());
  }
  auto store =
      GraphStore::Open({.path = directory, .name_space = name_space, .drops_damaged_end = true});
  if (!store.ok()) return store.status();
  if (absl::Status s = CheckLogIsOwn(**store, "a repair"); !s.ok()) return s;
  absl::StatusOr<Repair> repair = RepairOpened(**store, directory);
  if (repair.ok() && repair->damage.empty()) repair->damage = damage;
  if (!repair.ok() || !repair->damage.empty()) return repair;
  // What the log does not tell: whether the graph's own tables are whole.
  if (const absl::Status tables = (*store)->VerifyFiles(); absl::IsDataLoss(tables)) {
    return absl::DataLossError(
        fmt::format("the log is whole up to offset {}, but a repair cannot mend a table: {}",
                    repair->kept_until, std::string(tables.message())));
  }
  return repair;
}

}  // namespace

absl::StatusOr<DatabaseVerification> VerifyDatabase(const std::string& data_dir,
                                                    const std::string& name_space,
                                                    const LoadProgress& progress) {
  auto store = GraphStore::Open({.path = data_dir, .name_space = name_space});
  if (!store.ok()) return store.status();
  progress("files", 0, 0);
  if (absl::Status s = (*store)->VerifyFiles(); !s.ok()) return s;
  const absl::StatusOr<Generation> generation = Generation::OpenCurrent(**store);
  if (!generation.ok()) return generation.status();
  auto state = LoadServingState(*generation, {}, progress);
  if (!state.ok()) return state.status();
  auto log = RocksdbLog::Open(**store, (*state)->graph_state.base_offset, {});
  if (!log.ok()) return log.status();
  DatabaseVerification verified{.snapshot_version = (*state)->snapshot->manifest().FullVersion()};
  progress("log", 0, 0);
  const auto log_verified = VerifyLog(**store, (*log)->begin(), (*log)->end());
  if (!log_verified.ok()) return log_verified.status();
  verified.log = *log_verified;
  progress("counters", 0, 0);
  auto graph =
      VerifyLoadedGraph(*generation, (*state)->graph_state, *(*state)->catalogue, *(*state)->graph);
  if (!graph.ok()) return graph.status();
  verified.graph = *std::move(graph);
  return verified;
}

absl::Status RestoreBackup(const RestoreOptions& options, const LoadProgress& progress) {
  std::error_code error;
  if (!fs::exists(fs::path(options.backup) / "CURRENT", error)) {
    return absl::NotFoundError(fmt::format("\"{}\" is not a backup of a database", options.backup));
  }
  const absl::StatusOr<std::string> data_dir = ResolveDatabasePath(options.data_dir);
  if (!data_dir.ok()) return data_dir.status();
  if (absl::Status s = CheckReplaceable(*data_dir); !s.ok()) return s;
  if (absl::Status s = CheckMovable(*data_dir); !s.ok()) return s;
  if (fs::equivalent(options.backup, *data_dir, error)) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is the backup itself; restore into another directory", *data_dir));
  }
  // From now until the backup is in its place: what a server acknowledged meanwhile would be lost.
  std::optional<FileLock> replaced;
  if (fs::exists(fs::path(*data_dir) / "CURRENT", error)) {
    if (!options.replaces) {
      return absl::FailedPreconditionError(
          fmt::format("\"{}\" holds a database, with interactions that the backup may not have; "
                      "restore into another directory, or give --replace to delete it",
                      options.data_dir));
    }
    absl::StatusOr<FileLock> lock = LockDatabase(*data_dir);
    if (!lock.ok()) return lock.status();
    replaced.emplace(*std::move(lock));
  }
  const absl::StatusOr<std::string> staged = MakeStagingDirectory(*data_dir, ".restoring");
  if (!staged.ok()) return staged.status();
  absl::Status status = CopyDirectory(options.backup, *staged, progress);
  if (status.ok()) {
    auto store = GraphStore::Open({.path = *staged, .name_space = options.name_space});
    status = store.status();
    if (status.ok()) status = (*store)->VerifyFiles();
    if (status.ok()) status = Generation::OpenCurrent(**store).status();
  }
  if (status.ok()) {
    status = SwapDirectories(*staged, *data_dir, replaced.has_value() ? &*replaced : nullptr);
  }
  absl::Status removed = RemoveStagingDirectory(*staged);  // the old one, or what an error left
  return status.ok() ? removed : status;
}

absl::StatusOr<Repair> RepairDatabase(const std::string& data_dir, const std::string& name_space,
                                      bool accept_loss) {
  if (accept_loss) {
    absl::StatusOr<Repair> repair = RepairDirectory(data_dir, name_space);
    if (!repair.ok()) return repair.status();
    auto mark = AcknowledgedMark::Open(data_dir);
    if (!mark.ok()) return mark.status();
    // Twice: both slots.
    for (int i = 0; i < 2; ++i) (*mark)->Write({.offset = repair->continues_at - 1});
    return repair;
  }
  const absl::StatusOr<std::string> resolved = ResolveDatabasePath(data_dir);
  if (!resolved.ok()) return resolved.status();
  std::error_code error;
  if (!fs::exists(fs::path(*resolved) / "CURRENT", error)) {
    return absl::NotFoundError(fmt::format("\"{}\" holds no database", data_dir));
  }
  const absl::StatusOr<std::string> examined = MakeStagingDirectory(*resolved, ".examined");
  if (!examined.ok()) return examined.status();
  absl::Status copied =
      CopyDirectory(*resolved, *examined, [](std::string_view, uint64_t, uint64_t) {});
  absl::StatusOr<Repair> repair =
      copied.ok() ? RepairDirectory(*examined, name_space) : absl::StatusOr<Repair>(copied);
  absl::Status removed = RemoveStagingDirectory(*examined);
  if (repair.ok() && !removed.ok()) return removed;
  return repair;
}

}  // namespace groundswell
