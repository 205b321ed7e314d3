#include "index/popular/popularity_source.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace groundswell {

PopularitySource::PopularitySource() : order_(std::make_shared<const Order>()) {}

void PopularitySource::Update(std::span<const float> fading, std::span<const Count> totals) {
  auto order = std::make_shared<Order>();
  order->items.resize(fading.size());
  for (size_t i = 0; i < fading.size(); ++i) order->items[i] = static_cast<ItemIndex>(i);
  const auto key = [fading, totals](ItemIndex item) {
    return std::tuple(-fading[ToInt(item)], -totals[ToInt(item)], item);
  };
  std::ranges::sort(order->items, {}, key);

  order->score_of_item.resize(fading.size(), 0.0f);
  const float highest = fading.empty() ? 0 : fading[ToInt(order->items.front())];
  if (highest > 0) {
    std::ranges::transform(fading, order->score_of_item.begin(),
                           [highest](float value) { return value / highest; });
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

std::vector<Candidate> PopularitySource::Retrieve(const ItemFilter& filter, size_t count) const {
  const std::shared_ptr<const Order> now = order();
  std::vector<Candidate> found;
  found.reserve(std::min(count, now->items.size()));
  for (const ItemIndex item : now->items) {
    if (found.size() >= count) break;
    if (!filter.Admits(item)) continue;
    found.push_back({item, now->score_of_item[ToInt(item)], kFromPopular});
  }
  return found;
}

}  // namespace groundswell
