// List rules: items that an operator pins or boosts in the lists of a namespace.
//
// A set of rules is immutable and replaced as a whole. A request takes the one that is there when
// it begins, and sees no other. What replaces it is an entry of the log, which decides between two
// that come at once, and stores it beside the entries, so that neither a restart nor another
// snapshot changes it: rules name items and categories by their ids, which each request looks up in
// the catalogue that answers it.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_LIST_RULES_H_
#define GROUNDSWELL_SERVER_RECOMMEND_LIST_RULES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "graph/log/interaction_log.h"
#include "graph/mutex.h"
#include "graph/state/catalogue.h"
#include "graph/store/store.h"
#include "groundswell/v1/admin.pb.h"
#include "server/pipeline/applied_rules.h"
#include "server/process/metrics.h"
#include "server/rpc/field_checks.h"

namespace groundswell {

inline constexpr size_t kListRulesMax = 200;
inline constexpr size_t kRuleCategoriesMax = kCategoriesMax;  // as in a filter
inline constexpr int32_t kPinPositionMax = 500;
inline constexpr double kBoostFactorMin = 0.1;
inline constexpr double kBoostFactorMax = 10;

// InvalidArgument names the rule, the field and what would be right. Whether an item or a category
// is in the catalogue is not asked: it may come.
absl::Status CheckListRules(const v1::ListRules& rules);

// What replaces the rules by these, if they are still those of `rules.etag()` or that is empty:
// an entry of the log under `event_id`. Errors of CheckListRules.
absl::StatusOr<SetListRules> ToLogEntry(v1::ListRules rules, std::string event_id);

// What the log made of it; `request_id`: its event id, as the caller gave it. Aborted
// (ETAG_MISMATCH) when others were set since, unless these are the same already; AlreadyExists for
// an id of something else.
absl::Status SetStatusOf(const absl::StatusOr<AppendResult>& appended, std::string_view request_id);

using Names = google::protobuf::RepeatedPtrField<std::string>;

// Those of `rules` that hold at `now_us` for a request with these categories in its filter.
// `unknown_items` gets how many of them name an item that is not in the catalogue.
AppliedRules ApplyListRules(const v1::ListRules& rules, int64_t now_us, const Names& categories,
                            const Catalogue& catalogue, size_t& unknown_items);

// The rules of one namespace. Thread-safe.
class ListRulesCell {
 public:
  // Reads what is stored; DataLoss when that are no rules. `metrics` must outlive it.
  static absl::StatusOr<std::unique_ptr<ListRulesCell>> Open(const GraphStore& store,
                                                             PipelineMetrics& metrics,
                                                             std::function<int64_t()> now_us);

  // With their etag.
  std::shared_ptr<const v1::ListRules> Get() const ABSL_LOCKS_EXCLUDED(mutex_);

  // From here on those hold that the log has stored (SetListRules::rules). Such as this version
  // takes for none are told of in the program's log, and those before go on to hold here.
  void Set(std::string_view stored) ABSL_LOCKS_EXCLUDED(mutex_);

  // ApplyListRules of the rules there are, now; unknown items are counted.
  AppliedRules Apply(const Names& categories, const Catalogue& catalogue) const;

 private:
  ListRulesCell(std::shared_ptr<const v1::ListRules> rules, PipelineMetrics& metrics,
                std::function<int64_t()> now_us)
      : metrics_(metrics), now_us_(std::move(now_us)), rules_(std::move(rules)) {}

  PipelineMetrics& metrics_;
  const std::function<int64_t()> now_us_;
  mutable Mutex mutex_;  // leaf
  std::shared_ptr<const v1::ListRules> rules_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_LIST_RULES_H_
