#include "server/serving/empty_database.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "graph/store/generation.h"
#include "models/snapshot/snapshot.h"
#include "server/serving/snapshot_staging.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

enum class Directory { kMissing, kEmpty, kDatabase, kOther };

// What cannot be read is left to the opening, which says why.
Directory LookAt(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return error ? Directory::kDatabase : Directory::kMissing;
  const bool holds_database = fs::exists(fs::path(path) / "CURRENT", error);
  if (holds_database || error) return Directory::kDatabase;
  fs::directory_iterator entry(path, error);
  if (error) return fs::is_directory(path) ? Directory::kDatabase : Directory::kOther;
  for (; entry != fs::directory_iterator(); entry.increment(error)) {
    // A disk of its own has one.
    if (entry->path().filename() != "lost+found") return Directory::kOther;
    if (error) break;
  }
  return Directory::kEmpty;
}

absl::Status WriteEmptyGeneration(GraphStore& store) {
  const StagingProgress progress = [](std::string_view, uint64_t, uint64_t) {};
  const std::function<bool()> cancelled = [] { return false; };
  GenerationWriter writer(store, Generation(store, 1), progress, cancelled);
  return writer.Finish({.snapshot_digest = Snapshot::Empty()->digest(),
                        .window = {.traced = Window::kTraceLengthDefault}},
                       /*serves=*/true);
}

}  // namespace

absl::StatusOr<std::unique_ptr<GraphStore>> OpenToServe(const GraphStore::Options& options) {
  const Directory directory = LookAt(options.path);
  if (directory == Directory::kMissing) {
    return absl::NotFoundError(fmt::format(
        "server.data_dir \"{0}\" does not exist. To begin without a model, make an empty directory "
        "(mkdir {0}); to begin with one, `groundswell-server import --snapshot DIR --data-dir {0}`",
        options.path));
  }
  if (directory == Directory::kOther) {
    return absl::NotFoundError(fmt::format(
        "server.data_dir \"{}\" holds no database, but other files; give the directory of a "
        "database, or an empty one to begin without a model",
        options.path));
  }
  GraphStore::Options opening = options;
  opening.create = directory == Directory::kEmpty;
  auto store = GraphStore::Open(opening);
  if (!store.ok()) return store;
  const absl::Status current = Generation::OpenCurrent(**store).status();
  const absl::StatusOr<Offset> last = (*store)->LastLogOffset();
  if (!last.ok()) return last.status();
  if (current.ok() || !absl::IsNotFound(current) || *last > 0) return store;
  if (absl::Status s = WriteEmptyGeneration(**store); !s.ok()) return s;
  spdlog::info("\"{}\" was empty: a new database without a snapshot", options.path);
  return store;
}

}  // namespace groundswell
