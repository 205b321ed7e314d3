// DigestComparison: whether the servers of a shared log have the same graph, which by its fold they
// must. Each tells the others by the log which digest it has at every Applier::kDigestInterval-th
// offset. Who differs from most others has not what was acknowledged, whatever the cause (a damaged
// disk, another processor, other settings, a fault of the program), and is not to be asked.
//
// Thread-safe.
#ifndef GROUNDSWELL_SERVER_SERVING_DIGEST_COMPARISON_H_
#define GROUNDSWELL_SERVER_SERVING_DIGEST_COMPARISON_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "graph/log/interaction_log.h"
#include "graph/mutex.h"
#include "graph/state/state_digest.h"

namespace groundswell {

class DigestComparison {
 public:
  // Of so many offsets, the newest, and of so many servers at each, digests are kept.
  static constexpr size_t kOffsetsMax = 64;
  static constexpr size_t kServersMax = 64;

  // `on_compared` is told of each comparison whether the two are equal; it may not call back.
  explicit DigestComparison(std::function<void(bool)> on_compared);

  // For Applier::Options::on_digest: takes what this server has, and tells the others by `log`.
  // Both must outlive the applier.
  std::function<void(Offset, const std::string&, const StateDigest&)> OnOwn(InteractionLog& log);
  // What this server has at an offset; what the others are to be told.
  SeenDigest TakeOwn(Offset offset, const std::string& snapshot_digest, const std::string& digest)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // What the log tells: of another server, or what this one told it.
  void Take(const SeenDigest& told) ABSL_LOCKS_EXCLUDED(mutex_);

  // Empty unless at the newest offset at which others were compared more of them have another
  // digest than have this server's, itself counted: of two that differ nobody knows who is right.
  std::string DivergedBecause() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Digests are of one snapshot's clusters, and while one is activated a server has two graphs.
  using Place = std::pair<Offset, std::string>;
  struct Seen {
    std::string own;                         // empty: not there yet
    std::map<uint64_t, std::string> others;  // by server
  };

  void Compare(const Place& place, const Seen& seen, const std::string& other) const;
  void KeepNewest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint64_t server_;
  const std::function<void(bool)> on_compared_;
  mutable Mutex mutex_;
  std::map<Place, Seen> seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_DIGEST_COMPARISON_H_
