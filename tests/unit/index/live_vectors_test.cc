#include "index/vectors/live_vectors.h"

#include <gmock/gmock.h>

#include <cmath>
#include <vector>

#include "graph/state/user_edges.h"
#include "index/vectors/new_item_vectors.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::FloatEq;
using testing::FloatNear;
using testing::Pointwise;

// Two trained users and three trained items in the plane; users and items from there on are new.
class LiveVectorsTest : public testing::Test {
 protected:
  LiveVectorsTest() {
    for (uint32_t item = 0; item < 3; ++item) Take(0, item);
  }

  void Take(uint32_t user, uint32_t item) {
    const Edge edge{.item = ItemIndex{item}, .count = 1, .last = {.time_us = ++now_ * 1'000'000}};
    Change({.user = UserIndex{user}, .item = edge.item, .before = {}, .after = {&edge, 1}});
  }
  void TakeBack(uint32_t user, uint32_t item, int64_t time_s) {
    const Edge edge{.item = ItemIndex{item}, .count = 1, .last = {.time_us = time_s * 1'000'000}};
    Change({.user = UserIndex{user}, .item = edge.item, .before = {&edge, 1}, .after = {}});
  }
  void Change(const EdgeChange& change) {
    adjacency_.Change(change);
    new_items_.Change(change);
  }
  std::vector<float> OfUser(uint32_t user, std::vector<ItemIndex> newest, bool expected = true,
                            std::vector<ItemIndex> joined = {}, bool is_in_visit = false) {
    std::vector<float> out(2, 9.0f);
    UserState state{.index = UserIndex{user}, .edges = {}};
    int64_t age_s = 0;
    for (const ItemIndex item : newest) {
      AddToEdges(state, item, 1, {.time_us = (1'000 - ++age_s) * 1'000'000}, EdgeDetail::kPerItem);
    }
    const LiveVectors::User asked{
        .state = state, .newest = newest, .joined = joined, .is_in_visit = is_in_visit};
    LiveVectors::Scratch scratch = vectors_.NewScratch();
    const VectorOrigin origin = vectors_.OfUser(asked, index_->Now(), scratch, out);
    EXPECT_EQ(origin, expected ? VectorOrigin::kRule : VectorOrigin::kNone);
    return out;
  }
  std::vector<float> InVisit(uint32_t user, std::vector<ItemIndex> newest, bool expected = true) {
    return OfUser(user, std::move(newest), expected, {}, /*is_in_visit=*/true);
  }
  std::vector<float> VectorOf(uint32_t item) {
    const EmbeddingIndex::View view = index_->Now();
    const auto vector = view.VectorOf(ItemIndex{item});
    return {vector.begin(), vector.end()};
  }

  const std::vector<float> trained_users_ = {1, 0, 0, 1};
  const std::vector<float> trained_items_ = {2, 0, 0, 2, 3, 3};
  InteractionAdjacency adjacency_{100};
  const std::unique_ptr<EmbeddingIndex> index_ =
      *EmbeddingIndex::Build(trained_items_, 2, {.items_max = 10});
  LiveVectors vectors_{{.users = trained_users_, .items = trained_items_, .dim = 2}, adjacency_};
  NewItemVectors new_items_{vectors_, adjacency_, *index_, 3};
  int64_t now_ = 0;
};

TEST_F(LiveVectorsTest, ATrainedUserMovesTowardsWhatHeTakes) {
  EXPECT_THAT(OfUser(1, {}), ElementsAre(0, 1));
  // One item of two users by now: 1 / sqrt(1 * 2).
  Take(1, 0);
  EXPECT_THAT(OfUser(1, {ItemIndex{0}}), ElementsAre(FloatEq(2 / std::sqrt(2.f)), FloatEq(1)));
}

TEST_F(LiveVectorsTest, ANewUserHasAVectorFromTheFirstItemOn) {
  EXPECT_THAT(OfUser(7, {}, false), ElementsAre(0, 0));
  Take(7, 1);
  EXPECT_THAT(OfUser(7, {ItemIndex{1}}), ElementsAre(0, FloatEq(2 / std::sqrt(2.f))));
}

TEST_F(LiveVectorsTest, AUserWhoOnlyMightTakeAnItemHasTheVectorOfOneWhoDoes) {
  const std::vector<float> supposed = OfUser(7, {ItemIndex{1}}, true, {ItemIndex{1}});
  EXPECT_NE(supposed, OfUser(7, {ItemIndex{1}}));
  Take(7, 1);
  EXPECT_EQ(supposed, OfUser(7, {ItemIndex{1}}));
}

TEST_F(LiveVectorsTest, ItemsWithoutAVectorContributeNothing) {
  Take(7, 5);
  EXPECT_THAT(OfUser(7, {ItemIndex{5}}, false), ElementsAre(0, 0));
}

TEST_F(LiveVectorsTest, InAVisitWhatWasTakenLastCountsMost) {
  const float fade = std::exp2(-1 / 3.f);
  // Item 5 has no vector, and takes no place.
  EXPECT_THAT(InVisit(1, {ItemIndex{2}, ItemIndex{5}, ItemIndex{0}, ItemIndex{1}}),
              ElementsAre(FloatEq(3 + 2 * fade), FloatEq(3 + 2 * fade * fade)));
  EXPECT_THAT(InVisit(7, {ItemIndex{0}}), ElementsAre(2, 0));
}

TEST_F(LiveVectorsTest, InAVisitWithoutItemsThatHaveVectorsTheTrainedOneIsAllThereIs) {
  EXPECT_THAT(InVisit(1, {ItemIndex{5}}), ElementsAre(0, 1));
  EXPECT_THAT(InVisit(1, {}), ElementsAre(0, 1));
  EXPECT_THAT(InVisit(7, {ItemIndex{5}}, false), ElementsAre(0, 0));
}

// Trained items have the lengths 2, 2 and 3 sqrt(2).
TEST_F(LiveVectorsTest, ANewItemIsFoundNearItsFirstUsers) {
  EXPECT_TRUE(VectorOf(4).empty());
  Take(1, 4);
  EXPECT_EQ(new_items_.Refresh().by_rule, 1u);
  EXPECT_THAT(VectorOf(4), ElementsAre(0, 2));  // as user 1 was trained, who took nothing else
  const auto found = index_->Retrieve({.vector = trained_items_, .filter = {}, .count = 1});
  EXPECT_FALSE(found.ok()) << "a vector of another width";
}

TEST_F(LiveVectorsTest, ANewItemIsAsLongAsTrainedItemsHoweverFewItsUsers) {
  Take(7, 0);
  Take(7, 4);
  EXPECT_EQ(new_items_.Refresh().by_rule, 1u);
  EXPECT_THAT(VectorOf(4), ElementsAre(2, 0));
  // Of the other user it has the direction (0, 1), of as much account as the first one's.
  Take(8, 1);
  Take(8, 4);
  EXPECT_EQ(new_items_.Refresh().by_rule, 1u);
  EXPECT_THAT(VectorOf(4), Pointwise(FloatNear(1e-6f), {std::sqrt(2.f), std::sqrt(2.f)}));
}

TEST_F(LiveVectorsTest, ANewItemIsLikeWhatItsUsersTookLastBesideIt) {
  const float fade = std::exp2(-1 / 3.f);
  Take(7, 1);
  Take(7, 4);
  Take(7, 0);
  EXPECT_EQ(new_items_.Refresh().by_rule, 1u);
  const float length = std::sqrt(1 + fade * fade);
  EXPECT_THAT(VectorOf(4), Pointwise(FloatNear(1e-6f), {2 / length, 2 * fade / length}));
}

TEST_F(LiveVectorsTest, UsersWhoSayTheOppositeSayNothing) {
  const float opposite[] = {-2, 1e-6f};  // but for what rounding leaves
  ASSERT_TRUE(index_->Upsert(ItemIndex{6}, opposite).ok());
  new_items_.Given(ItemIndex{6});
  Take(7, 0);
  Take(8, 6);
  Take(7, 4);
  Take(8, 4);
  EXPECT_EQ(new_items_.Refresh().by_rule, 0u);
  EXPECT_TRUE(VectorOf(4).empty());
}

TEST_F(LiveVectorsTest, AVectorIsMadeAgainWhenTheUsersDouble) {
  std::vector<size_t> made;
  for (uint32_t user = 20; user < 36; ++user) {
    Take(user, 0);
    Take(user, 4);
    if (new_items_.Refresh().by_rule > 0) made.push_back(user - 19);
  }
  EXPECT_THAT(made, ElementsAre(1, 2, 4, 8, 16));
}

TEST_F(LiveVectorsTest, NothingOfAForgottenUserStays) {
  Take(1, 4);
  const int64_t first = now_;
  Take(0, 4);
  const int64_t second = now_;
  new_items_.Refresh();
  TakeBack(1, 4, first);
  EXPECT_EQ(new_items_.Refresh().by_rule, 1u);
  const std::vector<float> without = VectorOf(4);
  ASSERT_EQ(without.size(), 2u);
  TakeBack(0, 4, second);
  EXPECT_EQ(new_items_.Refresh().by_rule, 0u);
  EXPECT_TRUE(VectorOf(4).empty());
  Take(0, 4);
  new_items_.Refresh();
  EXPECT_THAT(VectorOf(4), Pointwise(FloatNear(1e-6f), without));
}

TEST_F(LiveVectorsTest, NothingOfAForgottenUserStaysWhenAnotherCame) {
  Take(1, 4);
  const int64_t first = now_;
  new_items_.Refresh();
  Take(0, 4);
  TakeBack(1, 4, first);
  EXPECT_EQ(new_items_.Refresh().by_rule, 1u);
  // That of (3, 3) + fade (0, 2) + fade^2 (2, 0): user 0 took items 0, 1 and 2.
  const float fade = std::exp2(-1 / 3.f);
  const float x = 3 + 2 * fade * fade, y = 3 + 2 * fade, length = std::hypot(x, y);
  EXPECT_THAT(VectorOf(4), Pointwise(FloatNear(1e-6f), {2 * x / length, 2 * y / length}));
}

TEST_F(LiveVectorsTest, NothingOfAForgottenUserComesBackByAnotherNewItem) {
  Take(8, 1);
  int64_t first = 0;
  for (const uint32_t item : {0, 4, 5}) {
    Take(7, item);
    first = first == 0 ? now_ : first;
  }
  for (const uint32_t item : {4, 5}) Take(8, item);
  EXPECT_EQ(new_items_.Refresh().by_rule, 2u);
  EXPECT_GT(VectorOf(4)[0], 0) << "user 7 took item 0";
  for (const uint32_t item : {0, 4, 5}) TakeBack(7, item, first++);
  EXPECT_EQ(new_items_.Refresh().by_rule, 2u);
  for (const uint32_t item : {4, 5}) EXPECT_THAT(VectorOf(item), ElementsAre(0, 2));
}

TEST_F(LiveVectorsTest, TrainedAndGivenVectorsAreKept) {
  const float given[] = {5, 5};
  ASSERT_TRUE(index_->Upsert(ItemIndex{6}, given).ok());
  new_items_.Given(ItemIndex{6});
  for (const uint32_t item : {0, 6}) Take(1, item);
  EXPECT_EQ(new_items_.Refresh().by_rule, 0u);
  EXPECT_THAT(VectorOf(0), ElementsAre(2, 0));
  EXPECT_THAT(VectorOf(6), ElementsAre(5, 5));
}

}  // namespace
}  // namespace groundswell
