#include "graph/fold/user_cache.h"

#include <functional>
#include <utility>

namespace groundswell {
namespace {

// A slot for every so many bytes: a user of some forty items.
constexpr size_t kBytesPerSlot = 1024;

}  // namespace

UserCache::UserCache(size_t bytes_max)
    : bytes_max_(bytes_max), slots_((bytes_max + kBytesPerSlot - 1) / kBytesPerSlot) {}

UserCache::Slot& UserCache::SlotOf(std::string_view user_id) {
  return slots_[std::hash<std::string_view>()(user_id) % slots_.size()];
}

size_t UserCache::BytesOf(const Slot& slot) {
  return slot.user_id.capacity() + slot.user.edges.capacity() * sizeof(Edge) +
         slot.user.hidden.capacity() * sizeof(HiddenItem);
}

void UserCache::Vacate(Slot& slot) {
  if (slot.user_id.empty()) return;
  bytes_ -= BytesOf(slot);
  slot = Slot();
}

std::optional<UserState> UserCache::Take(std::string_view user_id) {
  if (slots_.empty()) return std::nullopt;
  Slot& slot = SlotOf(user_id);
  if (slot.user_id != user_id) return std::nullopt;
  // The slot stays vacant until Put: a batch that fails never leaves a user in it from before.
  bytes_ -= BytesOf(slot);
  slot.user_id.clear();
  slot.user_id.shrink_to_fit();
  return std::exchange(slot.user, UserState());
}

void UserCache::Put(std::string_view user_id, UserState user) {
  if (slots_.empty()) return;
  Slot& slot = SlotOf(user_id);
  Vacate(slot);
  slot.user_id = user_id;
  slot.user = std::move(user);
  bytes_ += BytesOf(slot);
  // Whoever the hand meets next goes, in the order of slots: that is no worse than chance, and no
  // use has to be remembered for it.
  for (; bytes_ > bytes_max_; hand_ = (hand_ + 1) % slots_.size()) Vacate(slots_[hand_]);
}

}  // namespace groundswell
