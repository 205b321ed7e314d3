#include "graph/state/state_digest.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace groundswell {
namespace {

const std::vector<Edge> kEdges{{ItemIndex{3}, 2, {.time_us = 10, .offset = 1}},
                               {ItemIndex{3}, 1, {.time_us = 20, .offset = 2}}};

TEST(StateDigestTest, TheEmptyGraphIsZero) {
  EXPECT_EQ(StateDigest().ToString(), std::string(32, '0'));
  EXPECT_EQ(StateDigest(), StateDigest(StateDigest::Words{}));
}

// Databases hold it: it may not change from one version to the next.
TEST(StateDigestTest, IsWhatStoredOnesWereMadeAs) {
  StateDigest digest;
  digest.AddUser("ann", 1);
  digest.AddItem("i0", 2);
  digest.AddEdges("ann", "i0", kEdges);
  EXPECT_EQ(digest.ToString(), "f946e8b8724f88e9d4de1319f833e1b4");
}

TEST(StateDigestTest, DoesNotDependOnTheOrder) {
  StateDigest forth;
  forth.AddUser("ann", 0);
  forth.AddUser("bob", 1);
  forth.AddEdges("ann", "i0", kEdges);
  StateDigest back;
  back.AddEdges("ann", "i0", {&kEdges[1], 1});
  back.AddEdges("ann", "i0", {&kEdges[0], 1});
  back.AddUser("bob", 1);
  back.AddUser("ann", 0);
  EXPECT_EQ(forth, back);
}

TEST(StateDigestTest, RemovingTakesBackWhatAddingPutIn) {
  StateDigest digest;
  digest.AddUser("bob", 1);
  const StateDigest before = digest;
  digest.AddUser("ann", 0);
  digest.AddItem("i9", 3);
  digest.AddEdges("ann", "i9", kEdges);
  digest.RemoveItem("i9", 3);
  digest.RemoveEdges("ann", "i9", kEdges);
  digest.RemoveUser("ann", 0);
  EXPECT_EQ(digest, before);
}

TEST(StateDigestTest, EveryPartOfAFactCounts) {
  std::set<std::string> seen;
  const auto add = [&](const auto& change) {
    StateDigest digest;
    change(digest);
    seen.insert(digest.ToString());
  };
  const auto add_edge = [&](const char* user, const char* item, const Edge& edge) {
    add([&](StateDigest& digest) { digest.AddEdges(user, item, {&edge, 1}); });
  };
  add([](StateDigest& digest) { digest.AddUser("ann", 0); });
  add([](StateDigest& digest) { digest.AddUser("ann", 1); });
  add([](StateDigest& digest) { digest.AddUser("bob", 0); });
  add([](StateDigest& digest) { digest.AddItem("ann", 0); });
  add_edge("ann", "bob", {ItemIndex{0}, 1, {.time_us = 5, .offset = 6}});
  add_edge("bob", "ann", {ItemIndex{0}, 1, {.time_us = 5, .offset = 6}});
  add_edge("ann", "bob", {ItemIndex{0}, 2, {.time_us = 5, .offset = 6}});
  add_edge("ann", "bob", {ItemIndex{0}, 1, {.time_us = 6, .offset = 6}});
  add_edge("ann", "bob", {ItemIndex{0}, 1, {.time_us = 5, .offset = 5}});
  EXPECT_EQ(seen.size(), 9u);
  add_edge("ann", "bob", {ItemIndex{7}, 1, {.time_us = 5, .offset = 6}});
  EXPECT_EQ(seen.size(), 9u) << "an index depends on who came first";
}

TEST(StateDigestTest, IsStoredAsTwoWords) {
  StateDigest digest;
  digest.AddUser("ann", 0);
  EXPECT_EQ(StateDigest(digest.words()), digest);
  EXPECT_EQ(StateDigest({.high = 1, .low = 0xab}).ToString(), "000000000000000100000000000000ab");
}

}  // namespace
}  // namespace groundswell
