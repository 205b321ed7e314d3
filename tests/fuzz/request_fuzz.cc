// Requests as they come off the wire: bytes that parse as a message are either refused with an
// error that can be sent, or turned into what the server may act on.
#include <algorithm>

#include "absl/strings/match.h"
#include "google/protobuf/struct.pb.h"
#include "google/rpc/error_details.pb.h"
#include "server/request_checks.h"
#include "tests/fuzz/target.h"

namespace groundswell {
namespace {

constexpr int64_t kNowUs = 1'709'208'000'000'000;
constexpr int64_t kDayUs = 86'400'000'000;

const Catalogue& TestCatalogue() {
  static const Catalogue* const catalogue = [] {
    auto* made = new Catalogue;
    made->Add("i0", "Mug", "mugs");
    made->Add("i1", "Bag", "bags");
    made->Add("caf\xc3\xa9", "", "");
    return made;
  }();
  return *catalogue;
}

const std::map<std::string, int64_t>& EventTypes() {
  static const auto* const types =
      new std::map<std::string, int64_t>{{"purchase", 1}, {"return", -1}};
  return *types;
}

// Protobuf itself says whether a text may stand in a message: parsing refuses what is not UTF-8.
bool IsUtf8(std::string_view text) {
  google::protobuf::Value value;
  value.set_string_value(std::string(text));
  google::protobuf::Value parsed;
  return parsed.ParseFromString(value.SerializeAsString());
}

void CheckRefusal(const absl::Status& status) {
  Require(absl::IsInvalidArgument(status) || absl::IsNotFound(status),
          "a bad request is InvalidArgument or NotFound");
  Require(!status.message().empty() && status.message().size() <= 4'096 && IsUtf8(status.message()),
          "an error's message can be sent");
  status.ForEachPayload([](absl::string_view url, const absl::Cord& payload) {
    const std::string bytes(payload);
    if (absl::EndsWith(url, "google.rpc.BadRequest")) {
      google::rpc::BadRequest detail;
      Require(detail.ParseFromString(bytes) && detail.field_violations_size() > 0 &&
                  !detail.field_violations(0).field().empty(),
              "an error names the field");
    } else if (absl::EndsWith(url, "google.rpc.ErrorInfo")) {
      google::rpc::ErrorInfo detail;
      Require(detail.ParseFromString(bytes) && !detail.reason().empty(), "an error has a reason");
    }
  });
}

bool IsId(std::string_view id) {
  return !id.empty() && id.size() <= kIdBytesMax && std::none_of(id.begin(), id.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

void TryInteraction(const v1::Interaction& message) {
  const auto interaction = CheckInteraction(message, EventTypes(), TestCatalogue(), kNowUs);
  if (!interaction.ok()) return CheckRefusal(interaction.status());
  Require(IsId(interaction->event_id) && IsId(interaction->user_id) && IsId(interaction->item_id),
          "what is logged has ids");
  Require(TestCatalogue().Find(interaction->item_id).has_value(), "the item is in the catalogue");
  Require(EventTypes().contains(interaction->event_type), "the type is configured");
  Require(interaction->weight != 0 && std::abs(interaction->weight) <= kWeightMax,
          "the weight is within its limits");
  // The limit is in whole seconds.
  Require(
      interaction->event_time_us >= 0 && interaction->event_time_us < kNowUs + kDayUs + 1'000'000,
      "the time is between 1970 and tomorrow");
  Require(interaction->received_time_us == kNowUs, "the server's clock is kept");
}

void TryFilter(const v1::ItemFilter& filter) {
  const auto rules = CheckFilter(filter, TestCatalogue());
  if (!rules.ok()) return CheckRefusal(rules.status());
  Require(rules->excluded.size() <= kExcludedItemsMax && rules->categories.size() <= kCategoriesMax,
          "a filter is within its limits");
  Require(std::is_sorted(rules->excluded.begin(), rules->excluded.end()), "excluded items ascend");
  for (const ItemIndex item : rules->excluded) {
    Require(ToInt(item) < TestCatalogue().size(), "an excluded item is in the catalogue");
  }
  const auto known = TestCatalogue().category_of_item();
  for (const uint32_t category : rules->categories) {
    Require(std::find(known.begin(), known.end(), category) != known.end(),
            "a category is in the catalogue");
  }
  Require(rules->include_seen == filter.include_seen(), "include_seen is kept");
}

void TryToken(std::string_view token) {
  const auto offset = CheckConsistencyToken(token);
  if (!offset.ok()) return CheckRefusal(offset.status());
  const auto again = CheckConsistencyToken(MakeConsistencyToken(*offset));
  Require(*offset >= 0 && again.ok() && *again == *offset, "a token made again is the same offset");
}

void TryRecommend(const v1::RecommendRequest& message) {
  if (const absl::Status s = CheckRequestId(message.request_id()); !s.ok()) {
    CheckRefusal(s);
  } else {
    Require(message.request_id().empty() || message.request_id().size() == 36,
            "a request id is a UUID");
  }
  if (const absl::Status s = CheckId("user_id", message.user_id()); !s.ok()) CheckRefusal(s);
  Require(CheckId("user_id", message.user_id()).ok() == IsId(message.user_id()),
          "exactly the ids are taken");
  if (const absl::Status s = CheckNamespace(message.namespace_(), "default"); !s.ok()) {
    CheckRefusal(s);
  }
  const auto page_size = CheckPageSize(message.page_size());
  Require(page_size.ok() == (message.page_size() >= 0), "exactly negative page sizes are refused");
  Require(!page_size.ok() || (*page_size >= 1 && *page_size <= size_t{kPageSizeMax}),
          "a page has a size within its limits");
  TryToken(message.consistency_token());
  TryFilter(message.filter());
}

v1::Interaction GoodInteraction() {
  v1::Interaction message;
  message.set_event_id("e-1");
  message.set_user_id("ann");
  message.set_item_id("i1");
  message.set_event_type("purchase");
  message.set_weight(-2);
  message.mutable_event_time()->set_seconds(kNowUs / 1'000'000);
  message.mutable_event_time()->set_nanos(999'999'999);
  return message;
}

v1::RecommendRequest GoodRecommend() {
  v1::RecommendRequest message;
  message.set_namespace_("default");
  message.set_request_id("123e4567-e89b-42d3-a456-426614174000");
  message.set_user_id("ann");
  message.set_page_size(7);
  message.mutable_filter()->add_categories("mugs");
  message.mutable_filter()->add_excluded_item_ids("i1");
  message.mutable_filter()->add_excluded_item_ids("i0");
  message.mutable_filter()->set_include_seen(true);
  message.set_consistency_token(MakeConsistencyToken(12'345));
  return message;
}

}  // namespace

// An input's first byte says which message the rest is.
std::vector<std::string> SeedCorpus() {
  v1::Interaction returned = GoodInteraction();
  returned.set_event_type("return");
  returned.clear_weight();
  v1::Interaction long_id = GoodInteraction();
  long_id.set_user_id(std::string(30, 'x') + std::string("\xc3\xa9") + std::string(300, 'y'));
  v1::RecommendRequest unknown = GoodRecommend();
  unknown.mutable_filter()->add_categories("caf\xc3\xa9");
  return {"i" + GoodInteraction().SerializeAsString(), "i" + returned.SerializeAsString(),
          "i" + long_id.SerializeAsString(), "r" + GoodRecommend().SerializeAsString(),
          "r" + unknown.SerializeAsString()};
}

}  // namespace groundswell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace groundswell;
  // Protobuf reports every text that is not UTF-8 on the log.
  [[maybe_unused]] static google::protobuf::LogSilencer* const silencer =
      new google::protobuf::LogSilencer;
  if (size == 0) return 0;
  const std::string bytes(TextOf(data + 1, size - 1));
  if (data[0] == 'i') {
    v1::Interaction message;
    if (message.ParseFromString(bytes)) TryInteraction(message);
  } else {
    v1::RecommendRequest message;
    if (message.ParseFromString(bytes)) TryRecommend(message);
  }
  return 0;
}
