#include "server/serving/index_upkeep.h"

#include <gmock/gmock.h>

#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;

constexpr size_t kDim = 4;
constexpr size_t kIndexedItems = 50;

// A state that has nothing but an index.
class IndexUpkeepTest : public ::testing::Test {
 protected:
  IndexUpkeepTest() {
    store_ = *GraphStore::Open({.path = directory_.File("db"), .create = true});
    auto state = std::make_unique<ServingState>(Generation(*store_, 1));
    state->embedding_index = *EmbeddingIndex::Build(rows_, kDim,
                                                    {.flat_max_items = kIndexedItems,
                                                     .factory = "IVF200,Flat",
                                                     .changes_max = 10,
                                                     .items_max = 100});
    serving_.Exchange(std::move(state));
    state_ = serving_.Get();
  }

  void Upsert(uint32_t item) {
    EXPECT_TRUE(state_->embedding_index->Upsert(ItemIndex{item}, std::vector<float>(kDim)).ok());
  }
  template <typename Condition>
  static bool Becomes(const Condition& condition) {
    const auto patience = steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (steady_clock::now() > patience) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<GraphStore> store_;
  const std::vector<float> rows_ = std::vector<float>(kIndexedItems * kDim, 1);
  ServingCell serving_;
  std::shared_ptr<ServingState> state_;
  Metrics metrics_{std::vector<std::string>{}};
};

TEST_F(IndexUpkeepTest, ManyChangesMakeANewIndexAndTheMetricsTell) {
  const IndexUpkeep upkeep(serving_, metrics_.served(), std::chrono::milliseconds(1));
  for (uint32_t item = 0; item < 10; ++item) Upsert(item);
  EXPECT_TRUE(Becomes([&] { return state_->embedding_index->status().changed_items == 0; }));
  EXPECT_TRUE(Becomes([&] {
    return metrics_.Render().find("groundswell_index_builds_total{result=\"complete\"} 1") !=
           std::string::npos;
  }));
  const std::string text = metrics_.Render();
  EXPECT_THAT(text, HasSubstr("groundswell_index_build_progress_ratio 1"));
  EXPECT_THAT(text, HasSubstr("groundswell_index_build_duration_seconds_count 1"));
}

TEST_F(IndexUpkeepTest, AnIndexThatCannotBeBuiltIsCountedAndNotTriedAgainAtOnce) {
  const IndexUpkeep upkeep(serving_, metrics_.served(), std::chrono::milliseconds(1));
  for (uint32_t item = kIndexedItems; item < kIndexedItems + 10; ++item)
    Upsert(item);  // 60 items, 200 lists
  const std::string failed = "groundswell_index_builds_total{result=\"failed\"} ";
  EXPECT_TRUE(Becomes([&] { return metrics_.Render().find(failed + "1") != std::string::npos; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_THAT(metrics_.Render(), HasSubstr(failed + "1"));
  EXPECT_EQ(state_->embedding_index->status().changed_items, 10u);
}

}  // namespace
}  // namespace groundswell
