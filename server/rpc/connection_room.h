// ConnectionRoom: whether new connections find a descriptor, told by those that did not.
//
// Thread-safe.
#ifndef GROUNDSWELL_SERVER_RPC_CONNECTION_ROOM_H_
#define GROUNDSWELL_SERVER_RPC_CONNECTION_ROOM_H_

#include <atomic>
#include <chrono>

namespace groundswell {

class ConnectionRoom {
 public:
  using Clock = std::chrono::steady_clock;
  // How long one that was turned away speaks for those to come.
  static constexpr std::chrono::seconds kSpeaksFor{1};

  void TurnedAway(Clock::time_point now) { turned_away_at_ = now.time_since_epoch().count(); }
  bool IsThere(Clock::time_point now) const {
    const Clock::duration at(turned_away_at_.load());
    return at == Clock::duration::zero() || now.time_since_epoch() - at >= kSpeaksFor;
  }

 private:
  std::atomic<Clock::rep> turned_away_at_{0};  // 0: none was
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_CONNECTION_ROOM_H_
