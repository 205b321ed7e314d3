// The embeddings of items, and of histories made of them.
#ifndef GROUNDSWELL_MODELS_SEQUENCE_ITEMS_H_
#define GROUNDSWELL_MODELS_SEQUENCE_ITEMS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "models/files/checkpoint_reader.h"

namespace groundswell {

// e(i) = [item_embed_i | cate_embed of the item's category], or item_embed_i alone. Row 0 is what
// is not known. Spans point into the file's bytes.
struct SequenceItems {
  std::span<const float> item_embed;       // rows x item_width
  std::span<const float> cate_embed;       // categories x cate_width
  std::vector<uint32_t> category_of_item;  // rows; empty where there are no categories
  size_t rows = 0;
  size_t item_width = 0;
  size_t cate_width = 0;  // 0: no categories

  size_t width() const { return item_width + cate_width; }
  std::span<const float> ItemPart(uint32_t item) const {
    return item_embed.subspan(size_t{item} * item_width, item_width);
  }
  // REQUIRES: there are categories.
  std::span<const float> CategoryPart(uint32_t item) const {
    return cate_embed.subspan(size_t{category_of_item[item]} * cate_width, cate_width);
  }
  // e(item).
  void Embed(uint32_t item, std::span<float> out) const;
  // out (items x width).
  void EmbedAll(std::span<const uint32_t> items, std::span<float> out) const;
};

enum class Categories { kNone, kPerItem };

// item_embed.weight and, per item, cate_embed.weight and category_of_item.
SequenceItems ReadItems(CheckpointReader& reader, Categories categories);

// How many items of a history are read: those of its newest that the model was trained with.
size_t LengthOf(std::span<const uint32_t> newest_first, size_t max_history);

// The item at a position from 0, the oldest of those that are read.
inline uint32_t ItemAt(std::span<const uint32_t> newest_first, size_t length, size_t position) {
  return newest_first[length - 1 - position];
}

// out (length x width) = the embeddings of the history, the oldest first. Returns the length.
size_t EmbedHistory(const SequenceItems& items, std::span<const uint32_t> newest_first,
                    size_t max_history, std::span<float> out);

// sum = the sum of the first `count` rows of sum.size() numbers.
void SumRows(std::span<const float> rows, size_t count, std::span<float> sum);

// The answer of the kinds that need a history for a user without one.
absl::Status NoHistory();

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SEQUENCE_ITEMS_H_
