#include "server/recommend/list_rules.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

#include "graph/store/rocksdb_log.h"
#include "server/rpc/status_details.h"
#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kNowUs = 1'700'000'000'000'000;

v1::ListRule Pinned(const std::string& name, const std::string& item, int32_t position) {
  v1::ListRule rule;
  rule.set_name(name);
  rule.mutable_pin()->set_item_id(item);
  rule.mutable_pin()->set_position(position);
  return rule;
}

v1::ListRule Boosted(const std::string& name, const std::string& item, double factor) {
  v1::ListRule rule;
  rule.set_name(name);
  rule.mutable_boost()->set_item_id(item);
  rule.mutable_boost()->set_factor(factor);
  return rule;
}

v1::ListRules RulesOf(const std::vector<v1::ListRule>& rules) {
  v1::ListRules message;
  for (const v1::ListRule& rule : rules) *message.add_rules() = rule;
  return message;
}

class ListRulesTest : public testing::Test {
 protected:
  ListRulesTest() {
    catalogue_.Add("mug", "A mug", "mugs");
    catalogue_.Add("bag", "A bag", "bags");
    catalogue_.Add("cup", "A cup", "mugs");
  }

  AppliedRules Apply(const v1::ListRules& rules, const std::vector<std::string>& categories = {},
                     int64_t now_us = kNowUs) {
    const Names names(categories.begin(), categories.end());
    return ApplyListRules(rules, now_us, names, catalogue_, unknown_items_);
  }

  // Anew, if they were open: as a server starts.
  ListRulesCell& Open() {
    log_.reset();
    cell_.reset();
    store_.reset();
    store_ = *GraphStore::Open({.path = directory_.File("db"), .create = true});
    auto cell = ListRulesCell::Open(*store_, metrics_.pipeline(), [] { return kNowUs; });
    EXPECT_TRUE(cell.ok()) << cell.status();
    cell_ = *std::move(cell);
    RocksdbLog::Options options;
    options.on_list_rules = [this](std::string_view rules) { cell_->Set(rules); };
    log_ = *RocksdbLog::Open(*store_, 0, options);
    return *cell_;
  }

  // As a call of this id would.
  absl::Status Set(const v1::ListRules& rules, const std::string& request_id = "") {
    absl::StatusOr<SetListRules> set =
        ToLogEntry(rules, request_id.empty() ? fmt::format("call {}", ++calls_) : request_id);
    if (!set.ok()) return set.status();
    std::promise<absl::Status> status;
    AppendRequest request;
    request.entries.emplace_back(*std::move(set));
    EXPECT_TRUE(log_->Append(std::move(request),
                             [&](const absl::StatusOr<AppendResult>& appended) {
                               status.set_value(SetStatusOf(appended, request_id));
                             })
                    .ok());
    return status.get_future().get();
  }

  Catalogue catalogue_{10};
  size_t unknown_items_ = 0;
  TemporaryDirectory directory_;
  Metrics metrics_{std::vector<std::string>{"purchase"}};
  std::unique_ptr<GraphStore> store_;
  std::unique_ptr<ListRulesCell> cell_;
  std::unique_ptr<RocksdbLog> log_;
  int calls_ = 0;
};

TEST_F(ListRulesTest, MistakesAreRefusedByRuleAndField) {
  v1::ListRule no_action;
  no_action.set_name("x");
  v1::ListRule ends_first = Pinned("x", "mug", 1);
  ends_first.mutable_start_time()->set_seconds(2);
  ends_first.mutable_end_time()->set_seconds(2);
  v1::ListRule too_late = Pinned("x", "mug", 1);
  too_late.mutable_end_time()->set_seconds(int64_t{1} << 60);
  v1::ListRule categories = Pinned("x", "mug", 1);
  for (size_t i = 0; i <= kRuleCategoriesMax; ++i) categories.add_categories("c");
  v1::ListRule no_target = Boosted("x", "mug", 2);
  no_target.mutable_boost()->clear_target();
  const std::vector<std::pair<v1::ListRule, std::string>> wrong = {
      {Pinned("", "mug", 1), "rules.rules[1].name"},
      {Pinned("first", "mug", 1), "must be unique"},
      {Pinned("x", "", 1), "rules.rules[1].pin.item_id"},
      {Pinned("x", "mug", 0), "rules.rules[1].pin.position"},
      {Pinned("x", "mug", 501), "must be 1 to 500"},
      {Boosted("x", "", 1), "rules.rules[1].boost.item_id"},
      {Boosted("x", "mug", 0.09), "must be 0.1 to 10"},
      {Boosted("x", "mug", 10.1), "rules.rules[1].boost.factor"},
      {Boosted("x", "mug", std::numeric_limits<double>::quiet_NaN()), "boost.factor"},
      {no_target, "rules.rules[1].boost.category"},
      {no_action, "must have a pin or a boost"},
      {ends_first, "rules.rules[1].end_time"},
      {too_late, "years 1 to 9999"},
      {categories, "rules.rules[1].categories"}};
  for (const auto& [rule, part] : wrong) {
    const absl::Status status = CheckListRules(RulesOf({Pinned("first", "mug", 1), rule}));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << part;
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
  v1::ListRules many;
  for (size_t i = 0; i < kListRulesMax; ++i) {
    *many.add_rules() = Boosted(std::to_string(i), "mug", 0.1);
  }
  EXPECT_TRUE(CheckListRules(many).ok());
  *many.add_rules() = Pinned("one too many", "mug", 1);
  EXPECT_FALSE(CheckListRules(many).ok());
}

TEST_F(ListRulesTest, ARuleHoldsFromItsStartUntilBeforeItsEnd) {
  v1::ListRule rule = Pinned("week", "mug", 3);
  rule.mutable_start_time()->set_seconds(100);
  rule.mutable_end_time()->set_seconds(200);
  for (const auto& [second, holds] :
       std::map<int64_t, bool>{{99, false}, {100, true}, {199, true}, {200, false}}) {
    EXPECT_EQ(Apply(RulesOf({rule}), {}, second * 1'000'000).pins.size(), holds ? 1u : 0u)
        << second;
  }
}

TEST_F(ListRulesTest, ARuleForCategoriesHoldsWhereOneOfThemIsAskedFor) {
  v1::ListRule rule = Pinned("in mugs", "mug", 3);
  rule.add_categories("mugs");
  rule.add_categories("cups");
  EXPECT_EQ(Apply(RulesOf({rule})).pins.size(), 0u);
  EXPECT_EQ(Apply(RulesOf({rule}), {"bags"}).pins.size(), 0u);
  const AppliedRules applied = Apply(RulesOf({rule}), {"bags", "cups"});
  ASSERT_EQ(applied.pins.size(), 1u);
  EXPECT_EQ(applied.pins[0].item, ItemIndex{0});
  EXPECT_EQ(applied.pins[0].place, 2u);
}

TEST_F(ListRulesTest, BoostsOfAnItemMultiply) {
  v1::ListRule mugs = Boosted("mugs", "", 4);
  mugs.mutable_boost()->set_category("mugs");
  v1::ListRule nothing = Boosted("no such category", "", 4);
  nothing.mutable_boost()->set_category("lamps");
  const AppliedRules applied =
      Apply(RulesOf({mugs, nothing, Boosted("mug", "mug", 0.5), Boosted("again", "mug", 3),
                     Boosted("much", "cup", 10), Boosted("more", "cup", 10)}));
  const auto categories = catalogue_.category_of_item();
  EXPECT_FLOAT_EQ(applied.boosts.Of(ItemIndex{0}, categories), 6);
  EXPECT_FLOAT_EQ(applied.boosts.Of(ItemIndex{1}, categories), 1);
  EXPECT_FLOAT_EQ(applied.boosts.Of(ItemIndex{2}, categories), Boosts::kFactorMax);
}

TEST_F(ListRulesTest, ItemsOutsideTheCatalogueAreLeftOutAndCounted) {
  const v1::ListRules rules =
      RulesOf({Pinned("a", "lamp", 1), Boosted("b", "lamp", 2), Pinned("c", "bag", 1)});
  EXPECT_EQ(Apply(rules).pins.size(), 1u);
  EXPECT_EQ(unknown_items_, 2u);
  const ListRulesCell& cell = Open();
  ASSERT_TRUE(Set(rules).ok());
  cell.Apply({}, catalogue_);
  EXPECT_THAT(metrics_.Render(), HasSubstr("groundswell_list_rules_unknown_items_total 2"));
}

TEST_F(ListRulesTest, RulesAreReplacedOnlyWithoutAnEtagOrWithTheirOwn) {
  const ListRulesCell& cell = Open();
  const std::string none = cell.Get()->etag();
  EXPECT_FALSE(none.empty());
  v1::ListRules rules = RulesOf({Pinned("a", "mug", 1)});
  rules.set_etag(none);
  const absl::Status set = Set(rules);
  ASSERT_TRUE(set.ok()) << set;
  EXPECT_NE(cell.Get()->etag(), none);

  EXPECT_TRUE(Set(rules).ok()) << "the same once more changes nothing";
  rules.mutable_rules(0)->set_name("b");
  for (const std::string& etag :
       {none, std::string("x"), cell.Get()->etag() + "x", std::string(64, 'x') + "\u00e9"}) {
    rules.set_etag(etag);
    const absl::Status late = Set(rules);
    EXPECT_EQ(late.code(), absl::StatusCode::kAborted);
    EXPECT_EQ(ReasonOf(late), "ETAG_MISMATCH");
  }
  EXPECT_TRUE(log_->Read(1, 100).ok()) << "whatever a caller gave as an etag";
  rules.clear_etag();
  rules.add_rules();
  EXPECT_EQ(Set(rules).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(cell.Get()->rules_size(), 1) << "nothing of it holds";
  EXPECT_EQ(cell.Get()->rules(0).name(), "a");
  ASSERT_TRUE(Set({}).ok());
  EXPECT_EQ(cell.Get()->etag(), none) << "the same rules have the same etag";
}

TEST_F(ListRulesTest, ACallThatIsSentAgainUnderItsIdHasItsFirstAnswer) {
  const ListRulesCell& cell = Open();
  v1::ListRules first = RulesOf({Pinned("a", "mug", 1)});
  first.set_etag(cell.Get()->etag());
  ASSERT_TRUE(Set(first, "first").ok());
  v1::ListRules late = RulesOf({Pinned("b", "mug", 1)});
  late.set_etag(first.etag());
  EXPECT_EQ(ReasonOf(Set(late, "late")), "ETAG_MISMATCH");
  ASSERT_TRUE(Set({}).ok());
  EXPECT_EQ(ReasonOf(Set(late, "late")), "ETAG_MISMATCH");
  EXPECT_TRUE(Set(first, "first").ok());
  EXPECT_EQ(ReasonOf(Set(RulesOf({}), "first")), "EVENT_ID_REUSED");
  EXPECT_EQ(cell.Get()->rules_size(), 0) << "those of others, set since, hold";
}

TEST_F(ListRulesTest, TheyAreStoredAndReadBackAndDamageIsFound) {
  Open();
  ASSERT_TRUE(Set(RulesOf({Pinned("a", "mug", 1)})).ok());
  const std::string etag = cell_->Get()->etag();
  const auto read = Open().Get();
  EXPECT_EQ(read->etag(), etag);
  EXPECT_EQ(read->rules(0).pin().item_id(), "mug");
  GraphStore::Batch batch(*store_);
  batch.PutSetting(kListRulesSetting, "\xff");
  ASSERT_TRUE(store_->Commit(batch, /*sync=*/false).ok());
  EXPECT_EQ(
      ListRulesCell::Open(*store_, metrics_.pipeline(), [] { return kNowUs; }).status().code(),
      absl::StatusCode::kDataLoss);
  cell_->Set("\xff");
  EXPECT_EQ(cell_->Get()->etag(), etag) << "what is none replaces none";
}

// Servers wrote them there before the log had an entry of it.
TEST_F(ListRulesTest, RulesOfAnOlderDatabaseHoldAndAreReplacedByTheirEtag) {
  Open();
  v1::ListRules rules = RulesOf({Pinned("a", "mug", 1)});
  GraphStore::Batch batch(*store_);
  batch.PutSetting("list_rules", rules.SerializeAsString());
  ASSERT_TRUE(store_->Commit(batch, /*sync=*/false).ok());
  const ListRulesCell& cell = Open();
  ASSERT_EQ(cell.Get()->rules_size(), 1);
  rules.set_etag(cell.Get()->etag());
  rules.mutable_rules(0)->set_name("b");
  EXPECT_TRUE(Set(rules).ok());
  EXPECT_EQ(cell.Get()->rules(0).name(), "b");
}

// As long as they may be, they are an answer that every client of gRPC takes.
TEST_F(ListRulesTest, TheLongestRulesAreBelowTheSizeOfAnAnswer) {
  v1::ListRules longest;
  for (size_t i = 0; i < kListRulesMax; ++i) {
    v1::ListRule& rule = *longest.add_rules();
    rule = Pinned(std::to_string(i), std::string(256, 'i'), kPinPositionMax);
    rule.set_name(std::string(250, 'n') + std::to_string(i));
    for (size_t c = 0; c < kRuleCategoriesMax; ++c) rule.add_categories(std::string(256, 'c'));
    rule.mutable_start_time()->set_seconds(1'700'000'000);
    rule.mutable_end_time()->set_seconds(1'800'000'000);
  }
  const ListRulesCell& cell = Open();
  const absl::Status set = Set(longest);
  ASSERT_TRUE(set.ok()) << set;
  EXPECT_LT(cell.Get()->ByteSizeLong(), size_t{4} << 20);
}

TEST_F(ListRulesTest, ReadersSeeOneWholeSetWhileItIsReplaced) {
  const ListRulesCell& cell = Open();
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) {
      const AppliedRules applied = cell.Apply({}, catalogue_);
      EXPECT_TRUE(applied.pins.empty() || applied.pins.size() == 2u);
    }
  });
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(
        Set(i % 2 == 0 ? RulesOf({Pinned("a", "mug", 1), Pinned("b", "bag", 2)}) : v1::ListRules())
            .ok());
  }
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace groundswell
