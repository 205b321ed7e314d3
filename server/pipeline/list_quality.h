// ListQuality: how well lists find what is taken next, while the server runs. Wherever the blend
// learns from an interaction, the lists were made just before it: at which place of each was the
// item that was then taken? Over the newest interactions of these, per list,
//
//   hit rate   share of them whose item stood among the first 20
//   NDCG       mean of 1 / log2(1 + place) where it did, 0 where it did not
//
// of the list in the order of the blend ("served") and of each of the lists that it is made of. The
// snapshot's rankers beside the one that votes take turns: one of them orders the same candidates
// that that one was asked about, to be judged and nothing else.
// A list that is not asked each time, or has nothing for some, is judged where it proposed
// anything, beside what the served list found in these same interactions: only that can be
// compared. An item that nobody proposed counts as in no list. In half of the lists what the user
// has seen is let in (blend_learner.h).
#ifndef GROUNDSWELL_SERVER_PIPELINE_LIST_QUALITY_H_
#define GROUNDSWELL_SERVER_PIPELINE_LIST_QUALITY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "blend/features.h"
#include "blend/model.h"
#include "graph/mutex.h"
#include "index/candidate_source.h"

namespace groundswell {

// The list in the order of the blend, and behind it those of kBlendLists, in their order.
inline constexpr size_t kJudgedLists = 1 + kBlendLists.size();

// One interaction: where its item stood in each list.
struct JudgedLists {
  static constexpr size_t kPlaces = 20;

  BlendContext context{};                     // of the list's user, just before it was taken
  std::array<uint8_t, kJudgedLists> place{};  // from 1; 0: not among the first kPlaces
  std::array<bool, kJudgedLists> proposes{};  // whether the list has any item at all

  // The ranker without a vote that was asked, by its number among these, and its place likewise.
  static constexpr uint16_t kNoRanker = std::numeric_limits<uint16_t>::max();
  uint16_t other_ranker = kNoRanker;
  uint8_t other_place = 0;
};

// `rows` are the candidates with these features and the blend's scores of them in the context;
// `taken` is the row of the item that was then taken, if it is among them. `scores` are not read
// without one.
JudgedLists JudgeLists(BlendContext context, const BlendFeatures& features,
                       std::span<const Candidate> rows, std::optional<size_t> taken,
                       std::span<const float> scores);

// Adds that a ranker without a vote gave `rows` these logits; `taken` need not be among them.
void JudgeOtherRanker(size_t ranker, std::span<const Candidate> rows, ItemIndex taken,
                      std::span<const float> logits, JudgedLists& judged);

struct QualityFigures {
  struct OfList {
    size_t interactions = 0;  // in the window, in which it proposed anything; all below is of these
    double hit_rate = 0;
    double ndcg = 0;
    double served_hit_rate = 0;  // of the served list
    // Of the served list's hits the share that this one has among its own first 20 too.
    double of_served_hits = 0;
  };
  using Lists = std::vector<OfList>;  // by ListQuality::NameOf
  Lists lists;                        // of the first, the served one: all in the window
  std::array<Lists, kBlendContexts.size()> of_context;
};

// One writer beside any number of readers; nobody holds the lock for longer than it takes to add up
// or copy a few hundred numbers.
class ListQuality {
 public:
  static constexpr size_t kWindowDefault = 2'000;

  // Over the newest `window` interactions, at least one. 26 bytes each, taken at once.
  explicit ListQuality(size_t window = kWindowDefault, std::vector<std::string> other_rankers = {});

  // "served", then kBlendLists, then "ranker:NAME" for each ranker without a vote.
  std::string NameOf(size_t list) const;

  void Add(const JudgedLists& judged);
  // As if there had been none: the lists are others from here on.
  void Clear();

  QualityFigures Read() const;

 private:
  // What the interactions in the window sum up to; whole numbers, so that what leaves it leaves
  // nothing behind.
  struct OfList {
    std::array<uint32_t, JudgedLists::kPlaces + 1> at_place{};
    uint32_t interactions = 0;
    uint32_t served_hits = 0;
    uint32_t shared_hits = 0;  // its own and the served list's
  };
  struct Counts {
    std::vector<OfList> lists;
    QualityFigures::Lists Figures() const;
    void Add(const Counts& other);
    void Count(const JudgedLists& judged, uint32_t one);

   private:
    void CountList(size_t list, uint8_t place, bool served, uint32_t one);
  };

  Counts NoCounts() const { return {std::vector<OfList>(kJudgedLists + other_rankers_.size())}; }
  Counts& CountsOf(const JudgedLists& judged) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return of_context_[static_cast<size_t>(judged.context)];
  }

  const std::vector<std::string> other_rankers_;
  mutable Mutex mutex_;
  std::vector<JudgedLists> ring_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;  // in the ring: the oldest, once it is full
  size_t size_ ABSL_GUARDED_BY(mutex_) = 0;  // interactions in the ring
  std::array<Counts, kBlendContexts.size()> of_context_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_LIST_QUALITY_H_
