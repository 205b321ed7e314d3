// ItemVectors: the exact embedding of every item that has one, at one moment.
#ifndef GROUNDSWELL_INDEX_VECTORS_ITEM_VECTORS_H_
#define GROUNDSWELL_INDEX_VECTORS_ITEM_VECTORS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/ids.h"

namespace groundswell {

// Immutable; use from any thread. Rows lie in two places: the matrix of the snapshot, which is not
// copied, and the rows of items that came or changed after it.
class ItemVectors {
 public:
  // A vector for an item, or with none the end of its vector.
  using Change = std::pair<ItemIndex, std::span<const float>>;

  // `trained`: items x dim, row-major; item i is row i. It must outlive this object and everything
  // made from it. InvalidArgument when it is no matrix, or not finite (the row is named).
  static absl::StatusOr<ItemVectors> Create(std::span<const float> trained, size_t dim);

  // These vectors with `changes` made, one per item at most; each span has dim() numbers or none.
  // Costs 8 bytes per item, and dim() floats per item that is not as in the snapshot.
  ItemVectors With(std::span<const Change> changes) const;

  size_t dim() const { return dim_; }
  // Items that have a vector.
  size_t size() const { return items_.size(); }
  // They, ascending.
  std::span<const ItemIndex> items() const { return items_; }
  // Whether the items are 0, 1, ... size() - 1 and their rows those of the snapshot.
  bool is_trained_matrix() const { return is_trained_matrix_; }

  // Empty when the item has none. Valid as long as this object.
  std::span<const float> Of(ItemIndex item) const {
    if (ToInt(item) >= row_of_item_.size()) return {};
    // The common case, without waiting for a table that may not be in the cache.
    if (is_trained_matrix_) return trained_.subspan(size_t{ToInt(item)} * dim_, dim_);
    const uint32_t row = row_of_item_[ToInt(item)];
    return row == kNoRow ? std::span<const float>() : Row(row);
  }

  // Bytes beside the snapshot's matrix.
  size_t bytes() const;

 private:
  static constexpr uint32_t kNoRow = UINT32_MAX;

  ItemVectors(std::span<const float> trained, size_t dim) : trained_(trained), dim_(dim) {}
  std::span<const float> Row(uint32_t row) const {
    const size_t begin = size_t{row} * dim_;
    return begin < trained_.size()
               ? trained_.subspan(begin, dim_)
               : std::span<const float>(later_).subspan(begin - trained_.size(), dim_);
  }
  void Put(ItemIndex item, std::span<const float> vector);
  void ListItems();

  std::span<const float> trained_;
  size_t dim_;
  std::vector<float> later_;           // rows behind those of trained_
  std::vector<uint32_t> row_of_item_;  // or kNoRow
  std::vector<ItemIndex> items_;
  bool is_trained_matrix_ = false;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_INDEX_VECTORS_ITEM_VECTORS_H_
