#include "graph/state/item_state.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace groundswell {
namespace {

constexpr MacroShape kItemStateShape{.user_clusters = 3, .item_clusters = 2, .recent_len = 3};

TEST(ItemStateTest, RowsAreCopiedInTheOrderAskedFor) {
  ItemState items(kItemStateShape, 40);
  const std::vector<Count> one_hop{1, 2, 3};
  const std::vector<Count> two_hop{4, 5};
  const std::vector<UserIndex> newest{UserIndex{8}, UserIndex{6}};
  items.Change(ItemIndex{39}, {.one_hop = one_hop, .two_hop = two_hop, .newest_users = &newest});
  items.AddTwoHop(ItemIndex{39}, 1, 10);

  const std::vector<ItemIndex> asked{ItemIndex{39}, ItemIndex{0}, ItemIndex{39}};
  std::vector<Count> h1(9);
  std::vector<Count> h2(6);
  std::vector<uint32_t> users(9);
  items.ReadRows(asked, h1, h2, users, 99);
  EXPECT_EQ(h1, (std::vector<Count>{1, 2, 3, 0, 0, 0, 1, 2, 3}));
  EXPECT_EQ(h2, (std::vector<Count>{4, 15, 0, 0, 4, 15}));
  EXPECT_EQ(users, (std::vector<uint32_t>{8, 6, 99, 99, 99, 99, 8, 6, 99}));
  EXPECT_EQ(items.Total(ItemIndex{39}), 6);
}

TEST(ItemStateTest, EveryKindOfChangeCountsForItsRowAlone) {
  ItemState items(kItemStateShape, 2);
  const std::vector<ItemIndex> asked{ItemIndex{0}, ItemIndex{1}};
  std::vector<int64_t> versions(2);
  const std::vector<Count> one_hop{1, 0, 0};
  const std::vector<UserIndex> newest{UserIndex{8}, UserIndex{6}, UserIndex{5}};
  items.ReadVersions(asked, versions);
  EXPECT_EQ(versions, (std::vector<int64_t>{0, 0}));
  items.Change(ItemIndex{1}, {.one_hop = one_hop});
  items.Change(ItemIndex{1}, {.newest_users = &newest});
  items.AddTwoHop(ItemIndex{1}, 0, 1);
  items.ReadVersions(asked, versions);
  EXPECT_EQ(versions, (std::vector<int64_t>{0, 3}));
  std::vector<uint32_t> users(3);
  items.ReadRows(std::span(asked).subspan(1), {}, {}, users, 99);
  EXPECT_EQ(users, (std::vector<uint32_t>{8, 6, 5})) << "a full list ends before the version";
}

// The writer keeps H1[0] = H1[1] = H2[0] in every change; a torn row would show two values.
TEST(ItemStateTest, ReadersNeverSeeHalfOfAChange) {
  ItemState items(kItemStateShape, 1);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    const std::vector<Count> one_hop{1, 1, 0};
    const std::vector<Count> two_hop{1, 0};
    for (int i = 0; i < 20'000; ++i) {
      items.Change(ItemIndex{0}, {.one_hop = one_hop, .two_hop = two_hop});
    }
    done = true;
  });
  const std::vector<ItemIndex> asked{ItemIndex{0}};
  std::vector<Count> h1(3);
  std::vector<Count> h2(2);
  while (!done) {
    items.ReadRows(asked, h1, h2, {}, 0);
    ASSERT_EQ(h1[0], h1[1]);
    ASSERT_EQ(h1[0], h2[0]);
  }
  writer.join();
  EXPECT_EQ(items.Total(ItemIndex{0}), 40'000);
}

}  // namespace
}  // namespace groundswell
