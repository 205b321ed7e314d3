// WorkInProgress: what this process is working at for callers: unary calls from request to answer,
// and batches of streams, but neither requests under way nor answers that wait to be fetched.
#ifndef GROUNDSWELL_SERVER_RPC_WORK_IN_PROGRESS_H_
#define GROUNDSWELL_SERVER_RPC_WORK_IN_PROGRESS_H_

#include <atomic>
#include <cstdint>
#include <utility>

namespace groundswell {

// Thread-safe.
class WorkInProgress {
 public:
  static WorkInProgress& OfProcess() {
    static constinit WorkInProgress work;
    return work;
  }

  // One piece of the process's, for as long as the object lives.
  class Piece {
   public:
    Piece() { OfProcess().state_.fetch_add(kBegun + 1, std::memory_order_relaxed); }
    Piece(Piece&& other) noexcept : counts_(std::exchange(other.counts_, false)) {}
    Piece& operator=(Piece&&) = delete;
    ~Piece() {
      if (counts_) OfProcess().state_.fetch_sub(1, std::memory_order_relaxed);
    }

   private:
    bool counts_ = true;
  };

  bool IsAny() const { return state_.load(std::memory_order_relaxed) % kBegun != 0; }
  // Changes with whatever begins or ends.
  uint64_t state() const { return state_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kBegun = uint64_t{1} << 32;

  std::atomic<uint64_t> state_{0};  // how much is in progress, and times kBegun how much began
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RPC_WORK_IN_PROGRESS_H_
