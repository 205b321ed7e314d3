#include "index/popularity_source.h"

#include <algorithm>
#include <utility>

namespace groundswell {

PopularitySource::PopularitySource() : order_(std::make_shared<const Order>()) {}

void PopularitySource::Update(std::span<const Count> count_per_item) {
  auto order = std::make_shared<Order>();
  order->items.resize(count_per_item.size());
  for (size_t i = 0; i < count_per_item.size(); ++i) {
    order->items[i] = static_cast<ItemIndex>(i);
  }
  // Compares (count, item) outright, so that equal counts are in one order only.
  std::ranges::sort(order->items, [count_per_item](ItemIndex a, ItemIndex b) {
    const Count count_a = count_per_item[ToInt(a)];
    const Count count_b = count_per_item[ToInt(b)];
    return count_a != count_b ? count_a > count_b : a < b;
  });

  order->score_of_item.resize(count_per_item.size());
  if (!count_per_item.empty()) {
    const Count highest = std::max<Count>(1, count_per_item[ToInt(order->items.front())]);
    std::ranges::transform(count_per_item, order->score_of_item.begin(), [highest](Count count) {
      return static_cast<float>(static_cast<double>(std::max<Count>(0, count)) /
                                static_cast<double>(highest));
    });
  }

  std::shared_ptr<const Order> retired = std::move(order);
  {
    const MutexLock lock(mutex_);
    order_.swap(retired);
  }  // the old order is freed here, or by its last reader
}

std::shared_ptr<const PopularitySource::Order> PopularitySource::order() const {
  const MutexLock lock(mutex_);
  return order_;
}

absl::StatusOr<std::vector<Candidate>> PopularitySource::Retrieve(
    const CandidateQuery& query) const {
  const std::shared_ptr<const Order> now = order();
  std::vector<Candidate> found;
  found.reserve(std::min(query.count, now->items.size()));
  for (const ItemIndex item : now->items) {
    if (found.size() >= query.count) break;
    if (!query.filter.Admits(item)) continue;
    found.push_back({item, now->score_of_item[ToInt(item)], kFromPopular});
  }
  return found;
}

}  // namespace groundswell
