#include "server/serving/graph_jobs.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <utility>
#include <variant>

#include "graph/upkeep/adjacency_verification.h"
#include "graph/upkeep/redaction.h"
#include "server/rpc/api_time.h"
#include "server/serving/clock_ahead.h"
#include "server/serving/counts_verification.h"

namespace groundswell {
namespace {

constexpr size_t kEntriesPerStep = 1'000;

}  // namespace

GraphJobs::GraphJobs(GraphStore& store, RocksdbLog& log, const ServingCell& serving,
                     DurabilityMetrics& metrics, Options options)
    : store_(store),
      log_(log),
      serving_(serving),
      metrics_(metrics),
      options_(std::move(options)) {}

absl::StatusOr<CheckpointInfo> GraphJobs::Checkpoint(const std::stop_token& stop) {
  const std::shared_ptr<ServingState> state = serving_.Get();
  const auto begin = std::chrono::steady_clock::now();
  auto checkpoint = WriteCheckpoint(store_, state->generation, *state->applier, *state->graph,
                                    options_.now_us(), [&] { return !stop.stop_requested(); });
  if (!checkpoint.ok()) {
    metrics_.CountCheckpoint(/*ok=*/false, {});
    return checkpoint.status();
  }
  metrics_.CountCheckpoint(/*ok=*/true, std::chrono::steady_clock::now() - begin);
  metrics_.SetCheckpointOffset(checkpoint->offset);
  if (absl::Status s = CutLog(checkpoint->offset); !s.ok()) return s;
  return checkpoint;
}

absl::StatusOr<int64_t> GraphJobs::TimeToCutBy() const {
  absl::StatusOr<int64_t> now_us = options_.trusted_us();
  if (!now_us.ok()) return now_us;
  const Applier::Progress progress = serving_.Get()->applier->progress();
  const auto ahead = ClockAhead(progress, *now_us, options_.clock_ahead_max);
  if (!ahead.has_value()) return now_us;
  return absl::UnavailableError(
      fmt::format("the machine's clock says {}, {} s after what the newest interaction lets expect "
                  "(ingest.clock_ahead_max_s)",
                  TimeText(*now_us), ahead->count() / kMicrosPerSecond));
}

// In steps of a thousand entries: the first step whose newest entry is young enough stays.
absl::StatusOr<Offset> GraphJobs::FirstYoungEntry(Offset until, int64_t now_us) const {
  const int64_t oldest_us =
      now_us - std::chrono::microseconds(std::chrono::seconds(options_.retention_s)).count();
  Offset from = log_.begin();
  while (from <= until) {
    const auto entries = log_.Read(from, kEntriesPerStep);
    if (!entries.ok()) return entries.status();
    int64_t newest_us = 0;  // entries without a time go with their neighbours
    for (const auto& [offset, entry] : *entries) {
      const auto* interaction = std::get_if<Interaction>(&entry);
      if (interaction != nullptr) newest_us = std::max(newest_us, interaction->received_time_us);
    }
    if (entries->empty() || newest_us >= oldest_us) break;
    from = entries->back().first + 1;
  }
  return from;
}

absl::Status GraphJobs::CutLog(Offset checkpoint) {
  Offset begin = log_.begin();
  const absl::StatusOr<int64_t> now_us = options_.retention_s > 0 ? TimeToCutBy() : 0;
  if (!now_us.ok()) {
    spdlog::warn("the log is not cut by log.retention_s: {}",
                 std::string(now_us.status().message()));
  } else if (options_.retention_s > 0) {
    const absl::StatusOr<Offset> young = FirstYoungEntry(checkpoint, *now_us);
    if (!young.ok()) return young.status();
    begin = std::max(begin, *young);
  }
  const auto bytes = static_cast<double>(store_.LogBytes());
  const auto limit = static_cast<double>(options_.retention_bytes);
  if (limit > 0 && bytes > limit) {
    const auto entries = static_cast<double>(log_.end() - log_.begin() + 1);
    const auto surplus = static_cast<Offset>(entries * (bytes - limit) / bytes);
    begin = std::max(begin, log_.begin() + surplus);
  }
  return log_.TruncateBefore(std::min(begin, checkpoint + 1));
}

absl::StatusOr<int64_t> GraphJobs::Redact(const std::stop_token& stop) {
  const absl::StatusOr<int64_t> redacted =
      RedactLog(store_, log_.begin(), [&] { return !stop.stop_requested(); });
  if (!redacted.ok()) return redacted.status();
  if (*redacted == 0) return 0;
  metrics_.CountRedacted(static_cast<size_t>(*redacted));
  // The records of users as an older checkpoint knows them go with it.
  if (const auto checkpoint = Checkpoint(stop); !checkpoint.ok()) return checkpoint.status();
  if (absl::Status s = store_.EraseDeleted(); !s.ok()) return s;
  return *redacted;
}

absl::StatusOr<Verification> GraphJobs::Verify() {
  const std::shared_ptr<ServingState> state = serving_.Get();
  AdjacencyVerification adjacency(*state->adjacency, state->generation, *state->applier);
  CountsVerification counts(*state);
  auto verified = VerifyGraph(store_, state->generation, *state->applier, *state->catalogue,
                              *state->graph, {{adjacency.View(), counts.View()}});
  if (verified.ok() && verified->difference_count > 0) {
    spdlog::error("the graph is not what its users' edges say: {} differences, the first: {}",
                  verified->difference_count, verified->differences[0]);
  }
  return verified;
}

absl::Status GraphJobs::Backup(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path wanted = fs::path(directory).lexically_normal();
  if (!wanted.has_filename()) wanted = wanted.parent_path();  // a slash at its end
  const fs::path staged = wanted.string() + Database::kBackupStagingSuffix;
  for (const fs::path& path : {wanted, staged}) {
    const fs::file_type there = fs::symlink_status(path, error).type();
    if (there == fs::file_type::none) {
      return absl::InvalidArgumentError(
          fmt::format("\"{}\" cannot be looked at: {}", path.string(), error.message()));
    }
    if (there != fs::file_type::not_found) {
      return absl::AlreadyExistsError(
          fmt::format("\"{}\" is there already; name a directory that is not there, nor one of "
                      "its name and {}",
                      path.string(), Database::kBackupStagingSuffix));
    }
  }
  const fs::path own = fs::weakly_canonical(store_.path(), error);
  const fs::path relative =
      error ? fs::path() : fs::weakly_canonical(wanted, error).lexically_relative(own);
  if (error || relative.empty() || *relative.begin() != "..") {
    return absl::InvalidArgumentError(
        fmt::format("directory \"{}\" is inside the database's own, which an import or a restore "
                    "replaces; name one beside it",
                    directory));
  }
  if (const fs::path parent = wanted.parent_path(); !fs::is_directory(parent, error)) {
    return absl::FailedPreconditionError(
        fmt::format("cannot write the backup \"{}\": there is no directory \"{}\" on the server; "
                    "make it, or name another one",
                    wanted.string(), parent.string()));
  }
  return store_.Backup(wanted.string());
}

}  // namespace groundswell
