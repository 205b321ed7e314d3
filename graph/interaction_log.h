// InteractionLog: the truth. Everything else in graph/ is a fold of it over a snapshot.
#ifndef GROUNDSWELL_GRAPH_INTERACTION_LOG_H_
#define GROUNDSWELL_GRAPH_INTERACTION_LOG_H_

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/interaction.h"

namespace groundswell {

// What became of one interaction that was handed to Append, in the expected cases.
struct Appended {
  enum class Outcome { kAppended, kDuplicate };
  Outcome outcome = Outcome::kAppended;
  Offset offset = 0;  // of this interaction, or of the earlier one with the same event id
};

// Thread-safe.
class InteractionLog {
 public:
  // Called once per Append, from a thread of the log: one Appended per interaction, in order, when
  // all of them are durable; or an error, and then none of them is in the log. Must not block.
  using Done = std::function<void(absl::StatusOr<std::vector<Appended>>)>;

  virtual ~InteractionLog() = default;

  // Queues the interactions to be written in this order, without others between them.
  // ResourceExhausted, without a call of `done`, when the queue is full; FailedPrecondition after
  // the log was closed.
  virtual absl::Status Append(std::vector<Interaction> interactions, Done done) = 0;

  // Durable interactions from offset `from` on, at most `limit`; empty at the end. A gap or a
  // damaged record is DataLoss, never a skip.
  virtual absl::StatusOr<std::vector<std::pair<Offset, Interaction>>> Read(Offset from,
                                                                           size_t limit) const = 0;

  // Offset of the newest durable interaction.
  virtual Offset end() const = 0;

  // `listener` is called, from a thread of the log, whenever end() has moved. Set before the first
  // Append.
  virtual void OnAppended(std::function<void()> listener) = 0;

  // Interactions waiting to be written.
  virtual size_t queued() const = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_INTERACTION_LOG_H_
