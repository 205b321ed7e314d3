// ItemSearch: the items nearest to a vector by inner product, from a FAISS index that
// bench/baseline/prepare.py wrote.
#ifndef GROUNDSWELL_BENCH_BASELINE_ITEM_SEARCH_H_
#define GROUNDSWELL_BENCH_BASELINE_ITEM_SEARCH_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace faiss {
struct Index;
}

namespace groundswell::baseline {

// Thread-safe. A search stays on the calling thread.
class ItemSearch {
 public:
  static absl::StatusOr<std::unique_ptr<ItemSearch>> Load(const std::string& path, int nprobe);
  ~ItemSearch();

  // The `count` nearest items without those in `seen` (ascending), best first.
  absl::Status Nearest(std::span<const float> vector, std::span<const int32_t> seen, size_t count,
                       std::vector<int64_t>& items) const;

 private:
  explicit ItemSearch(std::unique_ptr<faiss::Index> index);

  const std::unique_ptr<faiss::Index> index_;
};

}  // namespace groundswell::baseline

#endif  // GROUNDSWELL_BENCH_BASELINE_ITEM_SEARCH_H_
