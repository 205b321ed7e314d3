#include "server/serving/served_snapshots.h"

#include <fmt/format.h>

#include <algorithm>

#include "groundswell/storage/v1/graph_state.pb.h"
#include "models/files/manifest.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

constexpr std::string_view kServedSnapshotsSetting = "served_snapshots";

}  // namespace

absl::StatusOr<std::vector<ServedSnapshot>> ReadServedSnapshots(const GraphStore& store) {
  const absl::StatusOr<std::string> stored = store.ReadSetting(kServedSnapshotsSetting);
  if (!stored.ok()) return stored.status();
  storage::v1::ServedSnapshots message;
  if (!message.ParseFromString(*stored)) {
    return absl::DataLossError("the list of served snapshots is not what was written");
  }
  std::vector<ServedSnapshot> snapshots;
  for (const auto& served : message.served()) {
    snapshots.push_back({.digest = served.digest(),
                         .version = served.version(),
                         .directory = served.directory(),
                         .activate_time_us = served.activate_time_us()});
  }
  return snapshots;
}

void PutServedSnapshot(const ServedSnapshot& served, std::vector<ServedSnapshot> before,
                       GraphStore::Batch& batch) {
  std::erase_if(before, [&](const ServedSnapshot& other) { return other.digest == served.digest; });
  before.insert(before.begin(), served);
  before.resize(std::min(before.size(), kServedSnapshotsMax));
  storage::v1::ServedSnapshots message;
  for (const ServedSnapshot& snapshot : before) {
    auto& entry = *message.add_served();
    entry.set_digest(snapshot.digest);
    entry.set_version(snapshot.version);
    entry.set_directory(snapshot.directory);
    entry.set_activate_time_us(snapshot.activate_time_us);
  }
  batch.PutSetting(kServedSnapshotsSetting, message.SerializeAsString());
}

bool IsStillThere(const ServedSnapshot& served) {
  const absl::StatusOr<std::string> digest = DigestOfSnapshotDirectory(served.directory);
  return digest.ok() && *digest == served.digest;
}

absl::StatusOr<ServedSnapshot> ServedBefore(const std::string& digest, const GraphStore& store) {
  const auto snapshots = ReadServedSnapshots(store);
  if (!snapshots.ok()) return snapshots.status();
  for (const ServedSnapshot& served : *snapshots) {
    if (served.digest == digest) continue;
    if (IsStillThere(served)) return served;
    return PreconditionFailed(
        "SNAPSHOT_GONE", served.version,
        fmt::format("\"{}\" does not hold {} any more; put it back, or activate another one",
                    served.directory, served.version));
  }
  return PreconditionFailed("NO_SNAPSHOT_BEFORE", digest,
                            "no other snapshot served before; activate one");
}

}  // namespace groundswell
