#include "graph/log/log_entry.h"

namespace groundswell {
namespace {

bool IsSame(const Interaction& a, const Interaction& b) {
  return a.user_id == b.user_id && a.item_id == b.item_id && a.event_type == b.event_type &&
         a.weight == b.weight && a.event_time_us == b.event_time_us;
}

bool IsSame(const ForgetUser& a, const ForgetUser& b) { return a.user_hash == b.user_hash; }

bool IsSame(const RemoveItem& a, const RemoveItem& b) { return a.item_hash == b.item_hash; }

bool IsSame(const UpsertItem& a, const UpsertItem& b) {
  return a.item_id == b.item_id && a.title == b.title && a.category == b.category &&
         a.embedding == b.embedding && a.availability == b.availability;
}

bool IsSame(const ActivateSnapshot& a, const ActivateSnapshot& b) {
  return a.snapshot_digest == b.snapshot_digest;
}

bool IsSame(const ResetBlend&, const ResetBlend&) { return true; }

bool IsSame(const Redacted&, const Redacted&) { return true; }

}  // namespace

bool IsSameAgain(const LogEntry& logged, const LogEntry& again) {
  if (std::holds_alternative<Redacted>(logged)) return true;
  return std::visit(
      [&again](const auto& one) {
        const auto* other = std::get_if<std::decay_t<decltype(one)>>(&again);
        return other != nullptr && IsSame(one, *other);
      },
      logged);
}

}  // namespace groundswell
