#include "bench/baseline/item_search.h"

#include <faiss/Index.h>
#include <faiss/IndexIVF.h>
#include <faiss/index_io.h>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace groundswell::baseline {

ItemSearch::ItemSearch(std::unique_ptr<faiss::Index> index) : index_(std::move(index)) {}
ItemSearch::~ItemSearch() = default;

absl::StatusOr<std::unique_ptr<ItemSearch>> ItemSearch::Load(const std::string& path, int nprobe) {
  try {
    std::unique_ptr<faiss::Index> index(faiss::read_index(path.c_str()));
    if (auto* const ivf = dynamic_cast<faiss::IndexIVF*>(index.get())) {
      ivf->nprobe = static_cast<size_t>(nprobe);
    }
    return std::unique_ptr<ItemSearch>(new ItemSearch(std::move(index)));
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", path, e.what()));
  }
}

absl::Status ItemSearch::Nearest(std::span<const float> vector, std::span<const int32_t> seen,
                                 size_t count, std::vector<int64_t>& items) const {
  const auto fetched = static_cast<faiss::Index::idx_t>(
      std::min(count + seen.size(), static_cast<size_t>(index_->ntotal)));
  thread_local std::vector<float> scores;
  thread_local std::vector<faiss::Index::idx_t> ids;
  scores.resize(static_cast<size_t>(fetched));
  ids.resize(static_cast<size_t>(fetched));
  try {
    index_->search(1, vector.data(), fetched, scores.data(), ids.data());
  } catch (const std::exception& e) {
    return absl::InternalError(fmt::format("FAISS: {}", e.what()));
  }
  items.clear();
  for (const faiss::Index::idx_t id : ids) {
    if (id < 0 || items.size() == count) break;  // -1 pads an answer
    if (!std::binary_search(seen.begin(), seen.end(), static_cast<int32_t>(id))) {
      items.push_back(id);
    }
  }
  return absl::OkStatus();
}

}  // namespace groundswell::baseline
