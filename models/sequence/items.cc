#include "models/sequence/items.h"

#include <algorithm>
#include <array>

#include "models/math/elementwise.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

void ReadCategoriesOfItems(CheckpointReader& reader, SequenceItems& items) {
  const auto shape = reader.MatrixShape("cate_embed.weight", kSequenceRowsMax, kSequenceWidthMax);
  items.cate_width = shape[1];
  items.cate_embed = reader.Read("cate_embed.weight", {shape[0], shape[1]});
  items.category_of_item = reader.ReadCategories(items.rows, shape[0]);
}

}  // namespace

void SequenceItems::Embed(uint32_t item, std::span<float> out) const {
  const std::span<const float> first = ItemPart(item);
  std::copy(first.begin(), first.end(), out.begin());
  if (cate_width == 0) return;
  const std::span<const float> second = CategoryPart(item);
  std::copy(second.begin(), second.end(), out.begin() + static_cast<ptrdiff_t>(item_width));
}

void SequenceItems::EmbedAll(std::span<const uint32_t> of, std::span<float> out) const {
  for (size_t i = 0; i < of.size(); ++i) Embed(of[i], out.subspan(i * width(), width()));
}

SequenceItems ReadItems(CheckpointReader& reader, Categories categories) {
  SequenceItems items;
  const auto shape = reader.MatrixShape("item_embed.weight", kSequenceRowsMax, kSequenceWidthMax);
  items.rows = shape[0];
  items.item_width = shape[1];
  items.item_embed = reader.Read("item_embed.weight", {shape[0], shape[1]});
  if (categories == Categories::kPerItem) ReadCategoriesOfItems(reader, items);
  return items;
}

size_t LengthOf(std::span<const uint32_t> newest_first, size_t max_history) {
  return std::min(newest_first.size(), max_history);
}

size_t EmbedHistory(const SequenceItems& items, std::span<const uint32_t> newest_first,
                    size_t max_history, std::span<float> out) {
  const size_t length = LengthOf(newest_first, max_history);
  for (size_t position = 0; position < length; ++position) {
    items.Embed(ItemAt(newest_first, length, position),
                out.subspan(position * items.width(), items.width()));
  }
  return length;
}

void SumRows(std::span<const float> rows, size_t count, std::span<float> sum) {
  std::fill(sum.begin(), sum.end(), 0.0f);
  for (size_t row = 0; row < count; ++row) {
    AddScaled(rows.subspan(row * sum.size(), sum.size()), 1.0f, sum);
  }
}

absl::Status NoHistory() {
  return absl::FailedPreconditionError(
      "the user's history is empty, so there is nothing to rank by");
}

}  // namespace groundswell
