// UserCache: the users that were folded last, decoded, so that their next interaction costs no
// read.
#ifndef GROUNDSWELL_GRAPH_FOLD_USER_CACHE_H_
#define GROUNDSWELL_GRAPH_FOLD_USER_CACHE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/state/user_state.h"

namespace groundswell {

// Every user id has one slot, which it shares with others: the newest stays. So there is no list to
// keep in order, and what a crowd of one-time users pushes out is what shares their slots. Memory
// is bounded by `bytes_max`, whatever the users' sizes. One thread's alone.
class UserCache {
 public:
  // 0: keeps nothing.
  explicit UserCache(size_t bytes_max);

  // The user leaves the cache: who changes it puts it back once the change is on disk, and whoever
  // fails before that leaves no stale one behind.
  std::optional<UserState> Take(std::string_view user_id);
  void Put(std::string_view user_id, UserState user);

  // What the kept users take beside the slots.
  size_t bytes() const { return bytes_; }

 private:
  struct Slot {
    std::string user_id;  // empty: vacant
    UserState user;
  };

  Slot& SlotOf(std::string_view user_id);
  static size_t BytesOf(const Slot& slot);
  void Vacate(Slot& slot);

  const size_t bytes_max_;
  std::vector<Slot> slots_;
  size_t bytes_ = 0;
  size_t hand_ = 0;  // the next slot to vacate when the memory is used up
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_FOLD_USER_CACHE_H_
