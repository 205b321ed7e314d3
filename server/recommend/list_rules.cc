#include "server/recommend/list_rules.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "google/protobuf/util/time_util.h"
#include "graph/log/log_entry.h"
#include "server/rpc/field_checks.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

using google::protobuf::util::TimeUtil;

// Hexadecimal digits of a SHA-256.
constexpr size_t kEtagBytes = 64;

absl::Status CheckTimes(std::string_view field, const v1::ListRule& rule) {
  for (const auto& time : {rule.start_time(), rule.end_time()}) {
    if (time.seconds() < TimeUtil::kTimestampMinSeconds ||
        time.seconds() > TimeUtil::kTimestampMaxSeconds || time.nanos() < 0 ||
        time.nanos() > 999'999'999) {
      return InvalidField(field, fmt::format("{} s, {} ns", time.seconds(), time.nanos()),
                          "must have times of the years 1 to 9999");
    }
  }
  if (rule.has_start_time() && rule.has_end_time() && rule.start_time() >= rule.end_time()) {
    return InvalidField(fmt::format("{}.end_time", field), TimeUtil::ToString(rule.end_time()),
                        "must be later than start_time");
  }
  return absl::OkStatus();
}

absl::Status CheckPin(std::string_view field, const v1::PinItem& pin) {
  if (absl::Status s = CheckId(fmt::format("{}.pin.item_id", field), pin.item_id()); !s.ok()) {
    return s;
  }
  if (pin.position() >= 1 && pin.position() <= kPinPositionMax) return absl::OkStatus();
  return InvalidField(fmt::format("{}.pin.position", field), std::to_string(pin.position()),
                      fmt::format("must be 1 to {}", kPinPositionMax));
}

absl::Status CheckBoost(std::string_view field, const v1::BoostItems& boost) {
  absl::Status target = boost.target_case() == v1::BoostItems::kItemId
                            ? CheckId(fmt::format("{}.boost.item_id", field), boost.item_id())
                            : CheckId(fmt::format("{}.boost.category", field), boost.category());
  if (!target.ok()) return target;
  if (boost.factor() >= kBoostFactorMin && boost.factor() <= kBoostFactorMax) {
    return absl::OkStatus();
  }
  return InvalidField(fmt::format("{}.boost.factor", field), std::to_string(boost.factor()),
                      fmt::format("must be {} to {}", kBoostFactorMin, kBoostFactorMax));
}

absl::Status CheckRule(const std::string& field, const v1::ListRule& rule) {
  if (absl::Status s = CheckId(field + ".name", rule.name()); !s.ok()) return s;
  if (absl::Status s = CheckTimes(field, rule); !s.ok()) return s;
  if (static_cast<size_t>(rule.categories_size()) > kRuleCategoriesMax) {
    return InvalidField(field + ".categories", std::to_string(rule.categories_size()),
                        fmt::format("may be repeated at most {} times", kRuleCategoriesMax));
  }
  for (const std::string& category : rule.categories()) {
    if (absl::Status s = CheckId(field + ".categories", category); !s.ok()) return s;
  }
  switch (rule.action_case()) {
    case v1::ListRule::kPin:
      return CheckPin(field, rule.pin());
    case v1::ListRule::kBoost:
      return CheckBoost(field, rule.boost());
    case v1::ListRule::ACTION_NOT_SET:
      break;
  }
  return InvalidField(field, rule.name(), "must have a pin or a boost");
}

bool Holds(const v1::ListRule& rule, int64_t now_us, const Names& categories) {
  if (rule.has_start_time() && now_us < TimeUtil::TimestampToMicroseconds(rule.start_time())) {
    return false;
  }
  if (rule.has_end_time() && now_us >= TimeUtil::TimestampToMicroseconds(rule.end_time())) {
    return false;
  }
  return rule.categories().empty() ||
         std::ranges::any_of(categories, [&](const std::string& category) {
           return std::ranges::find(rule.categories(), category) != rule.categories().end();
         });
}

template <typename Key>
void Multiply(absl::flat_hash_map<Key, float>& factors, Key key, double factor) {
  factors.try_emplace(key, 1.0f).first->second *= static_cast<float>(factor);
}

// With their etag.
absl::StatusOr<std::shared_ptr<const v1::ListRules>> ReadListRules(std::string_view stored) {
  auto rules = std::make_shared<v1::ListRules>();
  if (!rules->ParseFromArray(stored.data(), static_cast<int>(stored.size()))) {
    return absl::DataLossError("no serialized rules");
  }
  if (absl::Status s = CheckListRules(*rules); !s.ok()) return s;
  rules->set_etag(EtagOfListRules(stored));
  return rules;
}

}  // namespace

absl::Status CheckListRules(const v1::ListRules& rules) {
  if (static_cast<size_t>(rules.rules_size()) > kListRulesMax) {
    return InvalidField("rules.rules", std::to_string(rules.rules_size()),
                        fmt::format("may be repeated at most {} times", kListRulesMax));
  }
  absl::flat_hash_set<std::string> names;
  for (int i = 0; i < rules.rules_size(); ++i) {
    const std::string field = fmt::format("rules.rules[{}]", i);
    if (absl::Status s = CheckRule(field, rules.rules(i)); !s.ok()) return s;
    if (!names.insert(rules.rules(i).name()).second) {
      return InvalidField(field + ".name", rules.rules(i).name(), "must be unique");
    }
  }
  return absl::OkStatus();
}

AppliedRules ApplyListRules(const v1::ListRules& rules, int64_t now_us, const Names& categories,
                            const Catalogue& catalogue, size_t& unknown_items) {
  AppliedRules applied;
  unknown_items = 0;
  for (const v1::ListRule& rule : rules.rules()) {
    if (!Holds(rule, now_us, categories)) continue;
    if (rule.has_boost() && rule.boost().target_case() == v1::BoostItems::kCategory) {
      const std::optional<uint32_t> category = catalogue.FindCategory(rule.boost().category());
      if (category.has_value()) {
        Multiply(applied.boosts.of_category, *category, rule.boost().factor());
      }
      continue;
    }
    const std::optional<ItemIndex> item =
        catalogue.Find(rule.has_pin() ? rule.pin().item_id() : rule.boost().item_id());
    if (!item.has_value()) {
      ++unknown_items;
    } else if (rule.has_pin()) {
      applied.pins.push_back(
          {.item = *item, .place = static_cast<size_t>(rule.pin().position() - 1)});
    } else {
      Multiply(applied.boosts.of_item, *item, rule.boost().factor());
    }
  }
  return applied;
}

absl::StatusOr<SetListRules> ToLogEntry(v1::ListRules rules, std::string event_id) {
  if (absl::Status s = CheckListRules(rules); !s.ok()) return s;
  SetListRules set{.event_id = std::move(event_id)};
  // One that is longer is none, and so is its beginning.
  set.etag_before = rules.etag().substr(0, kEtagBytes + 1);
  rules.clear_etag();
  set.rules = rules.SerializeAsString();
  set.etag = EtagOfListRules(set.rules);
  return set;
}

absl::Status SetStatusOf(const absl::StatusOr<AppendResult>& appended,
                         std::string_view request_id) {
  if (!appended.ok()) return LogError(appended.status());
  const auto& [outcome, offset] = appended->entries[0];
  switch (outcome) {
    case Appended::Outcome::kAppended:
    case Appended::Outcome::kDuplicate:
      return absl::OkStatus();
    case Appended::Outcome::kConflict:
      return EventIdReused("request_id", request_id, offset);
    case Appended::Outcome::kEtagMismatch:
      break;
  }
  return WithReason(absl::AbortedError("the rules are not those of this etag any more; get them, "
                                       "and set them again with what is to change"),
                    "ETAG_MISMATCH");
}

absl::StatusOr<std::unique_ptr<ListRulesCell>> ListRulesCell::Open(
    const GraphStore& store, PipelineMetrics& metrics, std::function<int64_t()> now_us) {
  const absl::StatusOr<std::string> stored = store.ReadSetting(kListRulesSetting);
  if (!stored.ok()) return stored.status();
  auto rules = ReadListRules(*stored);
  if (!rules.ok()) {
    return absl::DataLossError("the list rules in the database are not what was written");
  }
  return std::unique_ptr<ListRulesCell>(
      new ListRulesCell(*std::move(rules), metrics, std::move(now_us)));
}

std::shared_ptr<const v1::ListRules> ListRulesCell::Get() const {
  const MutexLock lock(mutex_);
  return rules_;
}

void ListRulesCell::Set(std::string_view stored) {
  auto rules = ReadListRules(stored);
  if (!rules.ok()) {
    spdlog::error(
        "the log has list rules which this version does not take for such: {}; those "
        "before hold here, and a next start fails",
        std::string(rules.status().message()));
    return;
  }
  // The old ones go without the lock, with `rules`.
  const MutexLock lock(mutex_);
  rules_.swap(*rules);
}

AppliedRules ListRulesCell::Apply(const Names& categories, const Catalogue& catalogue) const {
  const std::shared_ptr<const v1::ListRules> rules = Get();
  if (rules->rules().empty()) return {};
  size_t unknown_items = 0;
  AppliedRules applied = ApplyListRules(*rules, now_us_(), categories, catalogue, unknown_items);
  metrics_.CountUnknownRuleItems(unknown_items);
  return applied;
}

}  // namespace groundswell
