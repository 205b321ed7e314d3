#include "index/vectors/item_vectors.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "models/embedding_range.h"

namespace groundswell {

absl::StatusOr<ItemVectors> ItemVectors::Create(std::span<const float> trained, size_t dim) {
  if (dim == 0 || trained.size() % dim != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("item embeddings: ", trained.size(), " numbers are no rows of length ", dim));
  }
  const auto bad = std::ranges::find_if_not(trained, IsEmbeddingNumber);
  if (bad != trained.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "item embeddings: row ", static_cast<size_t>(bad - trained.begin()) / dim, " holds ", *bad,
        "; every number must be between -", kEmbeddingNumberMax, " and ", kEmbeddingNumberMax));
  }
  ItemVectors vectors(trained, dim);
  vectors.row_of_item_.resize(trained.size() / dim);
  std::iota(vectors.row_of_item_.begin(), vectors.row_of_item_.end(), 0);
  vectors.ListItems();
  return vectors;
}

ItemVectors ItemVectors::With(std::span<const Change> changes) const {
  ItemVectors changed(trained_, dim_);
  changed.row_of_item_ = row_of_item_;
  for (const auto& [item, vector] : changes) {
    if (ToInt(item) >= changed.row_of_item_.size()) {
      changed.row_of_item_.resize(size_t{ToInt(item)} + 1, kNoRow);
    }
    changed.row_of_item_[ToInt(item)] = kNoRow;
  }
  // Rows that no item has any more are left behind.
  const size_t trained_rows = trained_.size() / dim_;
  for (const ItemIndex item : items_) {
    const uint32_t row = changed.row_of_item_[ToInt(item)];
    if (row != kNoRow && row >= trained_rows) changed.Put(item, Row(row));
  }
  for (const auto& [item, vector] : changes) {
    if (!vector.empty()) changed.Put(item, vector);
  }
  changed.ListItems();
  return changed;
}

void ItemVectors::Put(ItemIndex item, std::span<const float> vector) {
  row_of_item_[ToInt(item)] = static_cast<uint32_t>((trained_.size() + later_.size()) / dim_);
  later_.insert(later_.end(), vector.begin(), vector.end());
}

void ItemVectors::ListItems() {
  for (size_t i = 0; i < row_of_item_.size(); ++i) {
    if (row_of_item_[i] != kNoRow) items_.push_back(static_cast<ItemIndex>(i));
  }
  is_trained_matrix_ = later_.empty() && size() * dim_ == trained_.size();
}

size_t ItemVectors::bytes() const {
  return later_.capacity() * sizeof(float) + row_of_item_.capacity() * sizeof(uint32_t) +
         items_.capacity() * sizeof(ItemIndex);
}

}  // namespace groundswell
