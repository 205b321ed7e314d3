// BlendOrder: a request's candidates in the order of the blend (blend/), out of what the sources
// say of them and what the live graph knows.
//
//   proposals + live graph -> features -> scores -> the best, of which a ranker scores the first
//                                     + the ranker's features -> scores -> the list
//
// Time is event time, and now is the newest that was applied: the same graph gives the same list,
// whatever a clock says.
#ifndef GROUNDSWELL_SERVER_PIPELINE_BLEND_ORDER_H_
#define GROUNDSWELL_SERVER_PIPELINE_BLEND_ORDER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "blend/features.h"
#include "blend/model.h"
#include "graph/state/user_state.h"
#include "index/candidate_source.h"
#include "index/candidate_table.h"
#include "index/item_table.h"
#include "index/score_key.h"
#include "index/walks/next_items.h"
#include "server/pipeline/live_state.h"
#include "server/pipeline/ranked_list.h"

namespace groundswell {

// Immutable and thread-safe; each thread has its own scratch.
class BlendOrder {
 public:
  // Who asks.
  struct Asker {
    const UserState* user = nullptr;  // null: nobody knows them
    std::span<const float> vector;    // as it is now; empty: nothing is known
    // Of the items, to which the vector belongs; null: as they are now.
    const EmbeddingIndex::View* items = nullptr;
    std::span<const ItemIndex> newest;  // items, newest first
    // What came after them, of every item; null: not known.
    const ItemTable<NextItems::Strengths>* after_newest = nullptr;
    int64_t newest_item_us = 0;  // when the first of them was taken
    int64_t now_us = 0;
    bool with_seen = false;  // what the user had is among the candidates
  };
  // What a user took of one category.
  struct OfCategory {
    float count = 0;
    int64_t newest_us = 0;
  };
  // Memory of one request at a time, grown by the first ones, then reused. It holds what is known
  // of the candidates until the next Choose.
  struct Scratch {
    BlendWeights weights;  // by which they were chosen: better ones may have come since
    BlendFeatures features;
    BlendContext context{};
    std::vector<ItemIndex> chosen;
    std::vector<float> scores;  // of the chosen items
    std::vector<uint32_t> rows;
    std::vector<uint64_t> keys;
    std::vector<KeyedRow> keyed;
    std::vector<Candidate> ranked;    // those that a ranker scores, in the order of the items
    std::vector<uint32_t> ranked_at;  // where among the items they are
    std::vector<uint16_t> ranker_place;
    std::vector<float> ranker_score;
    std::array<std::vector<float>, kBlendScales.size()> share;
    std::vector<float> own_count;
    std::vector<float> own_age;
    std::vector<float> own_category_count;
    std::vector<float> own_category_age;
    std::vector<float> mean_age;
    std::vector<float> live_product;
    std::array<std::vector<float>, kBlendNewestItems> after;
    std::vector<OfCategory> of_category;  // by category; all 0 between requests
    std::vector<uint32_t> categories;     // that are not
  };

  // A user with fewer items is new, in a visit or not.
  static constexpr size_t kNewUserItems = 3;

  // `state` must outlive it.
  explicit BlendOrder(const LiveState& state) : state_(state) {}

  // The `count` best rows of the table, in its order, each with its score, to `items`; ties are by
  // item. They are in scratch.features and scratch.scores from then on.
  void Choose(CandidateTable& table, const Asker& asker, size_t count, Scratch& scratch,
              std::vector<Candidate>& items) const;

  // The score of every row that Choose chose among, as score keys (index/score_key.h), best first.
  // REQUIRES: `rows` are the table's, and the scratch is as Choose left it.
  static std::vector<uint64_t> ScoredRows(std::span<const Candidate> rows, const Scratch& scratch);

  // The features of all rows of the table, in its order, to `scratch.features`: what Choose scores.
  void Extract(CandidateTable& table, const Asker& asker, Scratch& scratch) const;

  // The `count` best of the items by `scores`, which the ranker does not have a vote in yet; ties
  // by item. They are what it scores: in scratch.ranked and scratch.ranked_at from then on.
  static void ChooseRanked(std::span<const Candidate> items, std::span<const float> scores,
                           size_t count, Scratch& scratch);

  // Adds to scratch.scores what a ranker makes of scratch.ranked, of the items as Choose left them.
  // An item that it did not score is in its list no more than in that of a source that did not
  // propose it.
  void AddRanker(std::span<const Candidate> items, std::span<const float> logits,
                 Scratch& scratch) const;

  // Of these the ranker's features alone, to `scratch.features`: what AddRanker adds.
  // REQUIRES: `items` are the rows of scratch.features.
  void ExtractRanker(std::span<const Candidate> items, std::span<const float> logits,
                     Scratch& scratch) const;

  // The terms of an item's score that are not 0, the largest (whatever its sign) first; none for an
  // item that was not chosen.
  std::vector<BlendTermOfItem> Explain(ItemIndex item, const Scratch& scratch) const;

 private:
  void FindOwn(std::span<const Candidate> rows, const Asker& asker, Scratch& scratch) const;
  void FindOwnOfCategories(std::span<const Candidate> rows, const Asker& asker,
                           Scratch& scratch) const;
  void FindOfItems(std::span<const Candidate> rows, const Asker& asker, Scratch& scratch) const;

  const LiveState& state_;
};

// The context that somebody asks in.
BlendContext ContextOf(const BlendOrder::Asker& asker);
// That of a user, without what an asker is made of.
BlendContext ContextOf(const UserState& user, int64_t now_us, bool with_seen);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_BLEND_ORDER_H_
