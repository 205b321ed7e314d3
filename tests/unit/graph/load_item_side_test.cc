#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "graph/upkeep/checkpoint.h"
#include "tests/support/live_graph.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

constexpr size_t kItems = 4;

TEST(LoadItemSideTest, EndsInTheMiddleWhenItIsCancelled) {
  const TemporaryDirectory directory;
  MakeStore(directory.File("db"), kItems);
  LiveGraph live(directory.File("db"));
  std::vector<LogEntry> entries;
  for (int user = 0; user < 1'500; ++user) {
    const std::string name = std::to_string(user);
    entries.push_back(MakeInteraction("u" + name, "i0", 1, 100, name));
  }
  live.Apply(std::move(entries));
  MacroGraph graph(live.graph->items().shape(), std::vector<Cluster>(kItems, 0), 0);
  uint64_t users_read = 0;
  const auto loaded = LoadItemSide(
      live.generation, LoadFrom::kUsers, graph,
      [&](std::string_view, uint64_t done, uint64_t) { users_read = done; },
      [&] { return users_read >= 1'000; });
  EXPECT_TRUE(absl::IsCancelled(loaded.status())) << loaded.status();
  EXPECT_EQ(users_read, 1'000u);
}

}  // namespace
}  // namespace groundswell
