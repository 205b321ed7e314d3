// What is kept of items gives the same bits as scoring them anew, whatever happens to the graph.
#include "server/pipeline/prepared_items.h"

#include <gtest/gtest.h>

#include <random>

#include "models/snapshot/registry.h"
#include "tests/support/macgnn_fixture.h"

namespace groundswell {
namespace {

constexpr uint32_t kPreparedItems = 30;  // more than the model knows: the rest have row 0
constexpr uint32_t kUsers = 9;

struct Served {
  const char* attention;
  const char* precision;
};

class PreparedItemsTest : public testing::TestWithParam<Served> {
 protected:
  PreparedItemsTest() {
    const SafetensorsFile file = MakeMacgnnFile(SmallMacgnnTensors());
    auto ranker = MakeRanker({.name = "macgnn",
                              .kind = "macgnn",
                              .file = "macgnn.safetensors",
                              .options = {{"attention", GetParam().attention},
                                          {"tau", "1.9"},
                                          {"recent_len", "3"},
                                          {"precision", GetParam().precision}}},
                             file);
    EXPECT_TRUE(ranker.ok()) << ranker.status();
    ranker_ = *std::move(ranker);
    scratch_ = ranker_->NewScratch(kPreparedItems);
    std::vector<Cluster> clusters;
    for (uint32_t item = 0; item < kPreparedItems; ++item) {
      clusters.push_back(static_cast<Cluster>(item % 5));
      items_.push_back(ItemIndex{item});
    }
    graph_ = std::make_unique<MacroGraph>(
        MacroShape{.user_clusters = 3, .item_clusters = 5, .recent_len = 3}, clusters);
    for (uint32_t user = 0; user < kUsers; ++user) {
      users_.push_back({.index = UserIndex{user}, .cluster = static_cast<Cluster>(user % 3)});
    }
  }

  void Interact(uint32_t user, uint32_t item) {
    ++offset_;
    graph_->Apply(users_[user], ItemIndex{item}, 1, {.time_us = offset_, .offset = offset_});
  }

  // Logits by what is kept; `made` is how many items had to be prepared.
  std::vector<float> Kept(uint32_t user, ItemCache& cache, size_t& made) {
    const UserFeatures features =
        GatherUserFeatures(*graph_, ranker_->shape(), users_[user], 0, features_);
    EXPECT_TRUE(ranker_->PrepareUser(features, *scratch_).ok());
    std::vector<float> logits(kPreparedItems);
    const auto prepared =
        PrepareItems(*graph_, *ranker_, items_, cache, *scratch_, features_, buffers_);
    made = buffers_.missing.size();
    ranker_->ScorePrepared(prepared, *scratch_, logits);
    return logits;
  }

  std::vector<float> Anew(uint32_t user) {
    const UserFeatures features =
        GatherUserFeatures(*graph_, ranker_->shape(), users_[user], 0, features_);
    EXPECT_TRUE(ranker_->PrepareUser(features, *scratch_).ok());
    std::vector<float> logits(kPreparedItems);
    ranker_->ScoreItems(GatherItemFeatures(*graph_, ranker_->shape(), items_, features_), *scratch_,
                        logits);
    return logits;
  }

  std::unique_ptr<Ranker> ranker_;
  std::unique_ptr<RankerScratch> scratch_;
  std::unique_ptr<MacroGraph> graph_;
  std::vector<UserState> users_;
  std::vector<ItemIndex> items_;
  FeatureBuffers features_;
  PreparedItemBuffers buffers_;
  Offset offset_ = 0;
};

TEST_P(PreparedItemsTest, WhatIsKeptScoresToTheBitAsWhatIsMadeAnew) {
  ItemCache whole(kPreparedItems, ranker_->prepared_width(), 1 << 20);
  ItemCache small(kPreparedItems, ranker_->prepared_width(), 1'000);
  std::mt19937_64 random(5);
  for (int i = 0; i < 300; ++i) {
    Interact(static_cast<uint32_t>(random() % kUsers),
             static_cast<uint32_t>(random() % kPreparedItems));
    const auto user = static_cast<uint32_t>(random() % kUsers);
    size_t made = 0;
    const std::vector<float> expected = Anew(user);
    ASSERT_EQ(Kept(user, whole, made), expected) << "after interaction " << i;
    ASSERT_EQ(Kept(user, small, made), expected) << "after interaction " << i;
    ASSERT_GT(made, 0u) << "of items that share a slot, one is made";
  }
}

TEST_P(PreparedItemsTest, OnlyItemsWhoseRowChangedAreMade) {
  ItemCache cache(kPreparedItems, ranker_->prepared_width(), 1 << 20);
  size_t made = 0;
  Kept(0, cache, made);
  EXPECT_EQ(made, kPreparedItems);
  Kept(1, cache, made);
  EXPECT_EQ(made, 0u) << "whoever the user is";
  Interact(2, 11);
  Kept(0, cache, made);
  EXPECT_EQ(made, 1u);
  Interact(2, 12);  // item 11's two-hop neighbour now
  Kept(0, cache, made);
  EXPECT_EQ(made, 2u);
  Interact(3, 20);
  Kept(0, cache, made);
  EXPECT_EQ(made, 1u);
}

INSTANTIATE_TEST_SUITE_P(Attentions, PreparedItemsTest,
                         testing::Values(Served{"none", "f32"}, Served{"neighbours", "f32"},
                                         Served{"none", "bf16"}, Served{"neighbours", "bf16"}),
                         [](const auto& named) {
                           return std::string(named.param.attention) + "_" + named.param.precision;
                         });

}  // namespace
}  // namespace groundswell
