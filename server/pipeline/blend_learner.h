// BlendLearner: the blend learns from the log while it serves.
//
//   an interaction, just before it is applied -> the candidates of a list for its user -> features
//     -> one step of the model (blend/model.h) on the item that was then taken
//
// The same snapshot, settings and log give the same weights, to the bit, on every machine, however
// the log was cut into batches and wherever the server was restarted. So
//   * the step is taken in the exact state of the entries before it (Fold::Learning), which
//     interactions take one is a function of the log (blend/learning_pace.h), and time is event
//     time;
//   * of the sources only those are asked whose answer is a function of the graph's edges to the
//     bit: next items, history, trending and macro nodes. Left out are the searches and the live
//     vectors (their index and the vectors of new items are made in the background, and inner
//     products round as the machine does), walks (they draw among all of an item's users that are
//     kept in memory, of which an item with very many has another number after a restart) and the
//     popular order (published now and then by the clock). A feature that no candidate has moves
//     no weight: theirs, and the ranker's, stay as they were at the start;
//   * the state is stored with the batch that made it, with the users. In the checkpoint it would
//     be of no use: behind one, users are settled and no entry is folded again.
//
// One limit: next items read the newest 256 users of an item, and of one with more users than
// graph.neighbors_max the memory keeps the newest 7/8 of that many at least. Only if then more than
// 3/8 of these left (were forgotten, took it back) before as many came, a restart finds older ones
// that were not there before it.
//
// In one half of the lists, by a hash of the offset, what the user has seen is let in, in the other
// it is left out, and what the user takes again is learned from in the first half alone. Lists are
// asked for both ways; were repeats learned from only where they can be found, the own past would
// always win, and were they always left out, nobody would learn that it may.
//
// Users of more than kEdgesMax edges teach nothing: a step would cost by their length.
#ifndef GROUNDSWELL_SERVER_PIPELINE_BLEND_LEARNER_H_
#define GROUNDSWELL_SERVER_PIPELINE_BLEND_LEARNER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "blend/learning_pace.h"
#include "blend/model.h"
#include "graph/fold/fold.h"
#include "index/candidate_table.h"
#include "index/walks/history.h"
#include "index/walks/next_items.h"
#include "server/pipeline/blend_order.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/retrieval.h"

namespace groundswell {

// The applier's alone, but for what it publishes to the state's blend_weights.
class BlendLearner {
 public:
  static constexpr size_t kEdgesMax = 10'000;

  // `state` must outlive it, and has everything but its applier and its pipeline. It begins with
  // the weights that the state was loaded with.
  BlendLearner(LiveState& state, const Retrieval::Options& options);

  // What the store holds of it; publishes the weights. DataLoss when the bytes are not a state.
  absl::Status Restore(std::string_view stored);

  // Takes a step if this one is to be learned from.
  void BeforeApplied(const Fold::Arrival& arrival);
  // Forgets what it learned.
  void BeginAnew();
  // What it is now, if it changed since the last call; the weights are published then.
  std::optional<std::string> TakeChanged();

  const BlendModel& model() const { return model_; }

  // Of the applied offset, for any thread: what the store holds, or what it began with where there
  // is nothing that can be read.
  struct Stored {
    BlendModel model;
    std::string bytes;  // as EncodeState
  };
  absl::StatusOr<Stored> ReadStored() const;

  // When paid until (i64), then the model's own (BlendModel::EncodeState), little-endian.
  std::string EncodeState() const;

 private:
  bool IsLearnedFrom(const Fold::Arrival& arrival, bool with_seen);
  void Propose(const Fold::Arrival& arrival, const ItemFilter& filter, bool with_seen);

  LiveState& state_;
  const BlendWeights start_;
  const SourceQuotas quotas_;
  const NextItems next_items_;
  const BlendOrder blend_;
  BlendModel model_{BlendModel::Options{}};
  LearningPace pace_;
  bool changed_ = false;

  // Memory of one step at a time, grown by the first ones.
  RecentItems recent_;
  std::vector<ItemIndex> seen_;
  std::vector<ItemIndex> hidden_;
  NextItems::Scratch of_next_items_;
  HistoryScratch of_history_;
  CandidateTable table_;
  BlendOrder::Scratch blend_scratch_;
  BlendModel::Scratch model_scratch_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_BLEND_LEARNER_H_
