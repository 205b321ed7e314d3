// TorchRanker: a TorchScript module of bench/torch, all candidates of a request as one batch, on
// the calling thread alone.
#ifndef GROUNDSWELL_BENCH_BASELINE_TORCH_RANKER_H_
#define GROUNDSWELL_BENCH_BASELINE_TORCH_RANKER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/baseline/feature_store.h"

namespace groundswell::baseline {

// What this thread's work in libtorch and BLAS takes from here on: one thread. Every thread that
// calls Score does so once before.
void UseOneThread();

// Thread-safe.
class TorchRanker {
 public:
  enum class Form { kSaved, kFrozen, kOptimised };

  // `kind`: "macgnn" or "surge". `recent_len`: how many of the newest items and users it reads.
  static absl::StatusOr<std::unique_ptr<TorchRanker>> Load(const std::string& path,
                                                           const std::string& kind,
                                                           size_t recent_len, Form form);
  virtual ~TorchRanker() = default;

  // Whether Score reads `records`; they may be empty otherwise.
  virtual bool reads_item_records() const = 0;

  // One logit per item. FailedPrecondition when the model has none for the user.
  virtual absl::Status Score(const UserRecord& user, std::span<const int64_t> items,
                             const ItemRecords& records, std::vector<float>& logits) const = 0;
};

}  // namespace groundswell::baseline

#endif  // GROUNDSWELL_BENCH_BASELINE_TORCH_RANKER_H_
