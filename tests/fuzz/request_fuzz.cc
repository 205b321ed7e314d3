// Requests as protobuf bytes, through every check that a request passes, and the configuration
// file.
#include "server/config/config_reading.h"
#include "server/recommend/list_rules.h"
#include "server/recommend/recommend_checks.h"
#include "server/rpc/event_checks.h"
#include "server/rpc/field_checks.h"
#include "tests/fuzz/seed_corpus.h"

namespace groundswell {
namespace {

constexpr int64_t kNowUs = 1'700'000'000'000'000;

const Catalogue& SmallCatalogue() {
  static const Catalogue* const catalogue = [] {
    auto* made = new Catalogue(100);  // lives as long as the process
    made->Add("i1", "Item 1", "mugs");
    made->Add("i2", "Item 2", "bags");
    return made;
  }();
  return *catalogue;
}

const EventTerms& SmallTerms() {
  static const EventTerms terms{.types = {{"purchase", 1}, {"return", -1}}};
  return terms;
}

void TryInteraction(std::string_view bytes) {
  v1::Interaction message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto interaction = CheckInteraction(message, SmallTerms(), SmallCatalogue(), kNowUs);
  if (!interaction.ok()) return;
  Require(interaction->weight != 0, "a weight is never 0");
  Require(interaction->event_time_us >= 0 &&
              interaction->event_time_us <= kNowUs + SmallTerms().ahead_max_us,
          "the time is between 1970 and ten minutes ahead");
  Require(SmallCatalogue().Find(interaction->item_id).has_value(), "the item is known");
  Require(!interaction->user_id.empty() && interaction->user_id.size() <= kIdBytesMax,
          "ids have 1 to 256 bytes");
}

void TryRecommend(std::string_view bytes) {
  v1::RecommendRequest message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto rules = CheckFilter(message.filter(), SmallCatalogue(), /*now_us=*/0);
  if (rules.ok()) Require(rules->categories.size() <= kCategoriesMax, "categories are bounded");
  const auto page_size = CheckPageSize(message.page_size());
  if (page_size.ok()) Require(*page_size >= 1 && *page_size <= 100, "pages have 1 to 100 items");
  const auto diversity = CheckDiversity(message.diversity());
  if (diversity.ok()) {
    Require(diversity->strength >= 0 && diversity->strength <= 1, "a strength is 0 to 1");
  }
  const auto explain_items = CheckExplainItems(message.explain_items());
  if (explain_items.ok()) Require(*explain_items <= 10, "at most 10 items are explained");
  const auto offset = CheckConsistencyToken(message.consistency_token());
  if (offset.ok()) {
    Require(*offset >= 0, "offsets are not negative");
    Require(*CheckConsistencyToken(MakeConsistencyToken(*offset)) == *offset, "tokens round-trip");
  }
  const auto events = CheckHypotheticalEvents(message.hypothetical_events(), message.user_id(),
                                              SmallTerms(), SmallCatalogue(), kNowUs);
  if (events.ok()) {
    Require(events->size() <= kHypotheticalEventsMax, "hypothetical events are bounded");
    for (const Interaction& event : *events) Require(event.weight != 0, "a weight is never 0");
  }
  CheckRequestId(message.request_id()).IgnoreError();
  CheckId("user_id", message.user_id()).IgnoreError();
}

void TryListRules(std::string_view bytes) {
  v1::ListRules message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  if (!CheckListRules(message).ok()) return;
  size_t unknown_items = 0;
  const AppliedRules applied =
      ApplyListRules(message, kNowUs, Names(), SmallCatalogue(), unknown_items);
  Require(applied.pins.size() <= kListRulesMax, "rules are bounded");
  for (const Pin& pin : applied.pins) {
    Require(pin.place < kPinPositionMax && ToInt(pin.item) < SmallCatalogue().size(),
            "pins are items of the catalogue in places of a list");
  }
  const float factor = applied.boosts.Of(ItemIndex{0}, SmallCatalogue().category_of_item());
  Require(factor >= Boosts::kFactorMin && factor <= Boosts::kFactorMax, "factors are bounded");
}

}  // namespace

std::vector<std::string> SeedCorpus() {
  v1::Interaction interaction;
  interaction.set_event_id("e1");
  interaction.set_user_id("u1");
  interaction.set_item_id("i1");
  interaction.set_event_type("purchase");
  interaction.set_weight(2);
  interaction.mutable_event_time()->set_seconds(1'600'000'000);
  v1::RecommendRequest request;
  request.set_user_id("u1");
  request.set_request_id("123e4567-e89b-42d3-a456-426614174000");
  request.set_page_size(10);
  request.set_explain_items(3);
  request.set_consistency_token(MakeConsistencyToken(77));
  request.mutable_filter()->add_categories("mugs");
  request.mutable_filter()->add_excluded_item_ids("i2");
  v1::HypotheticalEvent& event = *request.add_hypothetical_events();
  event.set_item_id("i2");
  event.set_event_type("return");
  request.mutable_diversity()->set_strength(0.5);
  v1::ListRules rules;
  rules.add_rules()->set_name("pin");
  rules.mutable_rules(0)->mutable_pin()->set_item_id("i1");
  rules.mutable_rules(0)->mutable_pin()->set_position(1);
  rules.add_rules()->set_name("boost");
  rules.mutable_rules(1)->mutable_boost()->set_category("mugs");
  rules.mutable_rules(1)->mutable_boost()->set_factor(2);
  return {interaction.SerializeAsString(), request.SerializeAsString(), rules.SerializeAsString(),
          "[server]\ngrpc_address = \"127.0.0.1:0\"\n[event_types]\nview = 1\n"};
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  const std::string_view bytes = AsText(data, size);
  TryInteraction(bytes);
  TryRecommend(bytes);
  TryListRules(bytes);
  Config config;
  ApplyToml(bytes, "fuzz", config).IgnoreError();
  return 0;
}
