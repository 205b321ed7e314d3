// What encoders are given of the live graph, which of them are taken, and that LiveVectors asks
// them.
#include "index/vectors/live_encoders.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "graph/state/user_edges.h"
#include "index/vectors/gathered_target.h"
#include "index/vectors/live_vectors.h"
#include "index/vectors/new_item_vectors.h"

namespace groundswell {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Makes the vector (row or -1, number of neighbours), or nothing for a target without neighbours.
class CountingEncoder final : public Encoder {
 public:
  CountingEncoder(std::string name, EncoderSide side, EncoderShape shape)
      : name_(std::move(name)), side_(side), shape_(shape) {}

  std::string_view name() const override { return name_; }
  EncoderSide side() const override { return side_; }
  EncoderShape shape() const override { return shape_; }
  std::unique_ptr<EncoderScratch> NewScratch() const override {
    return std::make_unique<EncoderScratch>();
  }
  void Encode(const EncoderInput& input, EncoderScratch& /*scratch*/, std::span<float> out,
              std::span<bool> known) const override {
    const uint64_t neighbors = input.neighbors.begin[1] - input.neighbors.begin[0];
    known[0] = neighbors > 0;
    out[0] = known[0] ? (input.row[0] == kNoRow ? -1.f : static_cast<float>(input.row[0])) : 0.f;
    out[1] = static_cast<float>(neighbors);
  }

 private:
  const std::string name_;
  const EncoderSide side_;
  const EncoderShape shape_;
};

constexpr EncoderShape kNeighborsOnly{.dim = 2, .target_rows = 2, .neighbors = kAllNeighbors};

std::vector<std::unique_ptr<Encoder>> Encoders(
    std::vector<std::pair<std::string, EncoderShape>> of_users,
    std::vector<std::pair<std::string, EncoderShape>> of_items = {}) {
  std::vector<std::unique_ptr<Encoder>> encoders;
  for (const auto& [name, shape] : of_users) {
    encoders.push_back(std::make_unique<CountingEncoder>(name, EncoderSide::kUser, shape));
  }
  for (const auto& [name, shape] : of_items) {
    encoders.push_back(std::make_unique<CountingEncoder>(name, EncoderSide::kItem, shape));
  }
  return encoders;
}

TEST(ChooseEncodersTest, TheFirstThatCanBeFedIsTakenUnlessOneIsNamed) {
  const auto encoders = Encoders(
      {{"tower", {.dim = 2, .layers = 2}}, {"fold-in", kNeighborsOnly}, {"other", kNeighborsOnly}},
      {{"items", kNeighborsOnly}});
  const LiveEncoders first = *ChooseEncoders(encoders, kFirstEncoder, kFirstEncoder);
  EXPECT_EQ(first.user, encoders[1].get());
  EXPECT_EQ(first.item, encoders[3].get());
  const LiveEncoders named = *ChooseEncoders(encoders, "other", kNoEncoder);
  EXPECT_EQ(named.user, encoders[2].get());
  EXPECT_EQ(named.item, nullptr);
  const LiveEncoders none = *ChooseEncoders({}, kFirstEncoder, kFirstEncoder);
  EXPECT_EQ(none.user, nullptr);
  EXPECT_EQ(none.item, nullptr);
}

TEST(ChooseEncodersTest, AnEncoderThatIsNotThereOrCannotBeFedIsRefusedWithTheMend) {
  const auto encoders =
      Encoders({{"tower", {.dim = 2, .features = 3}}, {"fold-in", kNeighborsOnly}});
  const absl::Status missing = ChooseEncoders(encoders, "towre", kFirstEncoder).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(missing.message()),
              testing::AllOf(HasSubstr("encoder.user names \"towre\""),
                             HasSubstr("\"tower\", \"fold-in\"")));
  EXPECT_THAT(std::string(ChooseEncoders(encoders, "tower", kFirstEncoder).status().message()),
              HasSubstr("features"));
  EXPECT_THAT(std::string(ChooseEncoders(encoders, kFirstEncoder, "fold-in").status().message()),
              HasSubstr("encoder.item names \"fold-in\""));
}

// Users 0 and 1 and items 0 to 2 were trained, in the plane; the rest is new.
class GatheredTargetTest : public testing::Test {
 protected:
  void Take(uint32_t user, uint32_t item, uint32_t count = 1) {
    const Edge edge{
        .item = ItemIndex{item}, .count = count, .last = {.time_us = ++now_s_ * 1'000'000}};
    adjacency_.Change(
        {.user = UserIndex{user}, .item = edge.item, .before = {}, .after = {&edge, 1}});
    if (user >= users_.size()) users_.resize(user + 1);
    users_[user].index = UserIndex{user};
    graph_.Apply(users_[user], edge.item, count, edge.last);
  }
  const EncoderInput& OfUser(const EncoderShape& shape, uint32_t user,
                             std::vector<ItemIndex> joined = {}) {
    joined_ = std::move(joined);
    return target_.OfUser(sources_, shape, users_[user], joined_, *items_);
  }

  const std::vector<float> trained_users_ = {1, 0, 0, 1};
  const std::vector<float> trained_items_ = {2, 0, 0, 2, 3, 3};
  InteractionAdjacency adjacency_{100};
  MacroGraph graph_{{.user_clusters = 1, .item_clusters = 2, .recent_len = 2},
                    std::vector<Cluster>{0, 1, 1, 0, 0, 0},
                    0};
  const std::unique_ptr<EmbeddingIndex> index_ =
      *EmbeddingIndex::Build(trained_items_, 2, {.items_max = 10});
  const std::unique_ptr<EmbeddingIndex::View> items_ =
      std::make_unique<EmbeddingIndex::View>(index_->Now());
  EncoderSources sources_{
      .trained_users = trained_users_, .dim = 2, .adjacency = adjacency_, .graph = &graph_};
  std::vector<UserState> users_;
  std::vector<ItemIndex> joined_;
  GatheredTarget target_;
  int64_t now_s_ = 0;
};

TEST_F(GatheredTargetTest, AUsersItemsComeTheNewestFirstWithAllThatIsRead) {
  Take(1, 0);
  Take(0, 0);
  Take(0, 4, 3);  // new, and without a vector
  Take(0, 2);
  const EncoderShape shape{.dim = 2,
                           .target_rows = 2,
                           .neighbors = kAllNeighbors,
                           .neighbor_rows = 3,
                           .degrees = true,
                           .counts = true,
                           .times = true,
                           .vectors = true,
                           .clusters = 2};
  const EncoderInput& input = OfUser(shape, 0, {ItemIndex{2}});
  EXPECT_EQ(input.targets, 1u);
  EXPECT_THAT(input.row, ElementsAre(0));
  EXPECT_THAT(input.neighbors.begin, ElementsAre(0, 3));
  EXPECT_THAT(input.neighbors.row, ElementsAre(2, kNoRow, 0));
  EXPECT_THAT(input.neighbors.degree, ElementsAre(2, 1, 2));  // of item 2 one who only might
  EXPECT_THAT(input.neighbors.count, ElementsAre(1, 3, 1));
  EXPECT_THAT(input.neighbors.time_s, ElementsAre(4, 3, 2));
  EXPECT_THAT(input.neighbors.vector[0], ElementsAre(3, 3));
  EXPECT_THAT(input.neighbors.vector[1], IsEmpty());
  EXPECT_THAT(input.clusters, ElementsAre(4, 1));
  EXPECT_THAT(
      OfUser({.dim = 2, .target_rows = 2, .neighbors = 1, .counts = true}, 0).neighbors.count,
      ElementsAre(1));
}

TEST_F(GatheredTargetTest, WhatIsNotReadIsNotGathered) {
  Take(1, 0);
  const EncoderInput& input = OfUser({.dim = 2, .clusters = 2}, 1);
  EXPECT_THAT(input.row, ElementsAre(kNoRow));
  EXPECT_THAT(input.neighbors.begin, ElementsAre(0, 0));
  EXPECT_THAT(input.neighbors.degree, IsEmpty());
  EXPECT_THAT(input.clusters, ElementsAre(1, 0));
}

TEST_F(GatheredTargetTest, AnItemsUsersComeTheNewestFirstWithTheirTrainedVectors) {
  Take(1, 4, 20);
  Take(5, 4);
  Take(5, 0);
  Take(5, 1);
  const EncoderInput& input = target_.OfItem(sources_,
                                             {.dim = 2,
                                              .target_rows = 3,
                                              .neighbors = kAllNeighbors,
                                              .neighbor_rows = 2,
                                              .degrees = true,
                                              .counts = true,
                                              .times = true,
                                              .vectors = true},
                                             ItemIndex{4});
  EXPECT_THAT(input.row, ElementsAre(kNoRow));
  EXPECT_THAT(input.neighbors.row, ElementsAre(kNoRow, 1));
  EXPECT_THAT(input.neighbors.degree, ElementsAre(3, 1));
  EXPECT_THAT(input.neighbors.count, ElementsAre(1, 15));  // no more than the adjacency keeps
  EXPECT_THAT(input.neighbors.time_s, ElementsAre(2, 1));
  EXPECT_THAT(input.neighbors.vector[0], IsEmpty());
  EXPECT_THAT(input.neighbors.vector[1], ElementsAre(0, 1));
}

TEST_F(GatheredTargetTest, NoMoreIsReadThanARequestHasTimeForAndNoDegreeVariesWithTheMemory) {
  UserState heavy{.index = UserIndex{1}, .edges = {}};
  for (uint32_t item = 0; item < 3'000; ++item) {
    heavy.edges.push_back({.item = ItemIndex{item}, .count = 1, .last = {.time_us = item}});
  }
  const EncoderShape shape{
      .dim = 2, .neighbors = kAllNeighbors, .neighbor_rows = 3'000, .degrees = true};
  const EncoderInput& input = target_.OfUser(sources_, shape, heavy, {}, *items_);
  ASSERT_THAT(input.neighbors.begin, ElementsAre(0, kGatheredMax));
  EXPECT_EQ(input.neighbors.row.front(), 2'999u);

  InteractionAdjacency adjacency(4'096);
  for (uint32_t user = 0; user < 3'000; ++user) {
    const Edge edge{.item = ItemIndex{0}, .count = 1, .last = {.time_us = user * 1'000'000}};
    adjacency.Change(
        {.user = UserIndex{user}, .item = edge.item, .before = {}, .after = {&edge, 1}});
  }
  const EncoderSources sources{.trained_users = trained_users_, .dim = 2, .adjacency = adjacency};
  const UserState one{.index = UserIndex{1}, .edges = {heavy.edges[0]}};
  EXPECT_THAT(target_.OfUser(sources, shape, one, {}, *items_).neighbors.degree,
              ElementsAre(kDegreeMax));
  EXPECT_THAT(target_.OfItem(sources, shape, ItemIndex{0}).neighbors.begin,
              ElementsAre(0, kGatheredMax));
}

TEST_F(GatheredTargetTest, LiveVectorsAreTheEncodersAndTheRulesWhereItKnowsNothing) {
  const auto encoders = Encoders({{"users", kNeighborsOnly}}, {{"items", kNeighborsOnly}});
  const LiveVectors vectors({.users = trained_users_, .items = trained_items_, .dim = 2},
                            adjacency_, *ChooseEncoders(encoders, kFirstEncoder, kFirstEncoder));
  LiveVectors::Scratch scratch = vectors.NewScratch();
  std::vector<float> out(2);
  Take(1, 0);
  Take(1, 2);
  const std::vector<ItemIndex> newest = {ItemIndex{2}, ItemIndex{0}};
  EXPECT_EQ(vectors.OfUser({.state = users_[1], .newest = newest}, *items_, scratch, out),
            VectorOrigin::kEncoder);
  EXPECT_THAT(out, ElementsAre(1, 2));
  EXPECT_EQ(vectors.OfUser({.state = users_[1], .newest = newest, .by_rule = true}, *items_,
                           scratch, out),
            VectorOrigin::kRule);
  const UserState trained_alone{.index = UserIndex{1}, .edges = {}};
  EXPECT_EQ(vectors.OfUser({.state = trained_alone, .newest = {}}, *items_, scratch, out),
            VectorOrigin::kRule);
  EXPECT_THAT(out, ElementsAre(0, 1));
  const UserState nobody{.index = UserIndex{9}, .edges = {}};
  EXPECT_EQ(vectors.OfUser({.state = nobody, .newest = {}}, *items_, scratch, out),
            VectorOrigin::kNone);

  NewItemVectors new_items(vectors, adjacency_, *index_, 3);
  for (const uint32_t item : {4, 5}) new_items.Consider(ItemIndex{item});
  Take(1, 4);
  const NewItemVectors::Refreshed made = new_items.Refresh();
  EXPECT_EQ(made.by_encoder, 1u);
  EXPECT_EQ(made.by_rule, 0u);
  EXPECT_EQ(made.without, 1u);
  EXPECT_THAT(index_->Now().VectorOf(ItemIndex{4}), ElementsAre(-1, 1));
}

}  // namespace
}  // namespace groundswell
