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
//   * what proposes and what is known of the candidates is that of those entries alone
//     (server/pipeline/learning_candidates.h), and the ranker reads the graph and the trained
//     vectors. The popular order is not asked, and a feature that no candidate has moves no weight:
//     its features stay as they were at the start;
//   * the state is stored with the batch that made it, with the users. In the checkpoint it would
//     be of no use: behind one, users are settled and no entry is folded again.
// Searches, vectors and rankers round as the machine does: weights that learned from them are the
// same to the bit on machines of one kind.
//
// Steps are of two kinds, by a hash of the offset. Most have the candidates that the graph alone
// gives in a tenth of the time; one in kWholeOneIn has what a request would have, with the
// embedding, the walks, the live vector and the snapshot's default ranker. So the weights of those
// are what they add to the others, and one that adds nothing loses its vote.
//
// One limit: next items and walks read the newest 256 users of an item, live vectors count 2,048,
// and of one with more users than graph.neighbors_max the memory keeps the newest 7/8 of that many
// at least. Only if then very many of these left (were forgotten, took it back) before as many
// came, a restart finds older ones that were not there before it.
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
#include "index/vectors/embedding_index.h"
#include "models/ranker.h"
#include "server/pipeline/blend_order.h"
#include "server/pipeline/learning_candidates.h"
#include "server/pipeline/list_quality.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/retrieval.h"
#include "server/pipeline/scoring.h"

namespace groundswell {

// The applier's alone, but for what it publishes to the state's blend_weights.
class BlendLearner {
 public:
  static constexpr size_t kEdgesMax = 10'000;
  // Steps with all candidates, while there are few (LearningPace::kYoung) and later.
  static constexpr uint64_t kYoungWholeOneIn = 4;
  static constexpr uint64_t kWholeOneIn = 8;

  // `state` must outlive it, and has everything but its applier and its pipeline. It begins with
  // the weights that the state was loaded with.
  BlendLearner(LiveState& state, const Retrieval::Options& options);

  // What the store holds of it; publishes the weights. DataLoss when the bytes are not a state.
  absl::Status Restore(std::string_view stored);

  // Whether a step on the interaction at the offset has all candidates.
  static bool IsWhole(Offset offset, bool young) {
    return (HashOfOffset(offset) >> 1) % (young ? kYoungWholeOneIn : kWholeOneIn) == 0;
  }

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
  // How many interactions of users in the same context were learned from.
  uint64_t LearnedLike(const Fold::Arrival& arrival, bool with_seen) const;
  ItemFilter FilterFor(const Fold::Arrival& arrival, bool with_seen);
  void FindVector(const UserState& user, int64_t now_us, const EmbeddingIndex::View& trained);
  void AskRanker(const UserState& user, BlendContext context, int64_t now_us);
  absl::StatusOr<Scoring::Scores> ScoreRanked(const Ranker& ranker, const UserState& user,
                                              int64_t now_us);
  void JudgeAnotherRanker(const Fold::Arrival& arrival, JudgedLists& judged);

  LiveState& state_;
  const BlendWeights start_;
  const BlendOrder blend_;
  const Scoring scoring_;
  const Ranker* const ranker_;  // null: the snapshot has none
  const size_t ranked_max_;     // candidates that it scores, at most
  LearningCandidates candidates_;
  BlendModel model_;
  LearningPace pace_;
  bool changed_ = false;

  // Memory of one step at a time, grown by the first ones.
  RecentItems recent_;
  std::vector<ItemIndex> seen_;
  std::vector<ItemIndex> hidden_;
  LiveVectors::Scratch of_vectors_;
  std::vector<float> vector_;
  CandidateTable table_;
  Scoring::Scratch of_ranker_;
  BlendOrder::Scratch blend_scratch_;
  BlendModel::Scratch model_scratch_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_BLEND_LEARNER_H_
