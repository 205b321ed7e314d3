#include "server/pipeline/page_layout.h"

#include <algorithm>
#include <utility>

#include "graph/state/catalogue.h"

namespace groundswell {
namespace {

// Popular items between two looks at the clock.
constexpr size_t kItemsPerLook = 1'024;

class Layout {
 public:
  Layout(const PageRules& rules, const PageFill& fill, PageLayoutScratch& scratch)
      : rules_(rules), fill_(fill), scratch_(scratch) {
    if (rules.category_max == 0) {
      page_size_ = rules.items_max;  // one page
    } else {
      page_size_ = rules.page_size;
      waiting_max_ = rules.category_max * (rules.items_max / rules.page_size + 1);
    }
  }

  PageLayoutResult Run(std::vector<Candidate>& items, std::vector<uint32_t>& page_ends) {
    Begin(items);
    items.clear();
    page_ends.clear();
    while (items.size() < rules_.items_max &&
           (!scratch_.rest.empty() || next_pin_ < scratch_.pins.size())) {
      WritePage(items);
      if (rules_.category_max > 0) page_ends.push_back(static_cast<uint32_t>(items.size()));
    }
    return {.pinned = next_pin_, .cut_short = cut_short_};
  }

 private:
  // Sorts the items into pins and the rest.
  void Begin(const std::vector<Candidate>& items) {
    scratch_.pins.clear();
    scratch_.rest.clear();
    scratch_.popular_rest.clear();
    scratch_.listed.clear();
    scratch_.waiting.clear();
    for (const Pin& pin : rules_.pins) {
      if (!fill_.filter.Admits(pin.item) || !scratch_.listed.insert(pin.item).second) continue;
      scratch_.pins.push_back({{.item = pin.item, .sources = kFromPinned}, pin.place});
    }
    for (const Candidate& candidate : items) {
      if (scratch_.listed.insert(candidate.item).second) {
        scratch_.rest.push_back(candidate);
        continue;
      }
      const auto pinned = std::ranges::find(scratch_.pins, candidate.item,
                                            [](const auto& pin) { return pin.candidate.item; });
      pinned->candidate.score = candidate.score;
      pinned->candidate.sources |= candidate.sources;
    }
    std::ranges::stable_sort(scratch_.pins, {}, &PageLayoutScratch::PinnedItem::place);
  }

  void WritePage(std::vector<Candidate>& items) {
    const size_t end = std::min(items.size() + page_size_, rules_.items_max);
    const size_t room = end - items.size();
    const bool pins_only = scratch_.rest.empty();
    size_t pins_end = next_pin_;
    while (pins_end < scratch_.pins.size() && pins_end - next_pin_ < room &&
           (pins_only || scratch_.pins[pins_end].place < end)) {
      ++pins_end;
    }
    scratch_.page.clear();
    scratch_.on_page.clear();
    full_categories_ = 0;
    // Before anything else takes the room of their categories: pins stay where they were put.
    for (size_t pin = next_pin_; pin < pins_end; ++pin) Count(scratch_.pins[pin].candidate.item);
    TakeFitting(scratch_.rest, room - (pins_end - next_pin_));
    while (scratch_.rest.empty() && pins_end < scratch_.pins.size() &&
           scratch_.page.size() + (pins_end - next_pin_) < room) {
      Count(scratch_.pins[pins_end++].candidate.item);  // behind the end of the list
    }
    const size_t wanted = room - (pins_end - next_pin_);
    if (rules_.category_max > 0 && fill_.popular != nullptr && !pins_only) {
      TakeFitting(scratch_.popular_rest, wanted);
      TakePopular(wanted);
    }
    auto next = scratch_.page.begin();
    while (next != scratch_.page.end() || next_pin_ < pins_end) {
      const bool is_pinned =
          next_pin_ < pins_end &&
          (next == scratch_.page.end() || scratch_.pins[next_pin_].place <= items.size());
      items.push_back(is_pinned ? scratch_.pins[next_pin_++].candidate : *next++);
    }
  }

  // From the front of `from` onto the page, what has room there; the others stay in their order.
  void TakeFitting(std::vector<Candidate>& from, size_t wanted) {
    size_t kept = 0;
    size_t at = 0;
    for (; at < from.size() && scratch_.page.size() < wanted; ++at) {
      if (HasRoom(from[at].item)) {
        Count(from[at].item);
        scratch_.page.push_back(from[at]);
      } else {
        from[kept++] = from[at];
      }
    }
    from.erase(from.begin() + static_cast<ptrdiff_t>(kept),
               from.begin() + static_cast<ptrdiff_t>(at));
  }

  // Goes on in the popular items where the page before left off. What has no room waits, as many of
  // a category as all pages can take.
  void TakePopular(size_t wanted) {
    const std::vector<ItemIndex>& popular = fill_.popular->items;
    for (; next_popular_ < popular.size() && scratch_.page.size() < wanted; ++next_popular_) {
      if (full_categories_ >= rules_.category_count || cut_short_) return;
      if (next_popular_ % kItemsPerLook == 0 &&
          std::chrono::steady_clock::now() >= fill_.deadline) {
        cut_short_ = true;
        return;
      }
      const ItemIndex item = popular[next_popular_];
      if (scratch_.listed.contains(item) || !fill_.filter.Admits(item)) continue;
      const Candidate candidate{.item = item, .sources = kFromPopular};
      if (HasRoom(item)) {
        Count(item);
        scratch_.page.push_back(candidate);
      } else if (scratch_.waiting[CategoryOf(item)]++ < waiting_max_) {
        scratch_.popular_rest.push_back(candidate);
      }
    }
  }

  uint32_t CategoryOf(ItemIndex item) const {
    return ToInt(item) < rules_.category_of_item.size() ? CategoryIn(rules_.category_of_item, item)
                                                        : rules_.no_category;
  }

  bool HasRoom(ItemIndex item) const {
    if (rules_.category_max == 0 || CategoryOf(item) == rules_.no_category) return true;
    const auto at = scratch_.on_page.find(CategoryOf(item));
    return at == scratch_.on_page.end() || at->second < rules_.category_max;
  }

  void Count(ItemIndex item) {
    if (rules_.category_max == 0 || CategoryOf(item) == rules_.no_category) return;
    if (++scratch_.on_page[CategoryOf(item)] == rules_.category_max) ++full_categories_;
  }

  const PageRules& rules_;
  const PageFill& fill_;
  PageLayoutScratch& scratch_;
  size_t page_size_ = 0;
  size_t waiting_max_ = 0;
  size_t next_pin_ = 0;
  size_t next_popular_ = 0;
  size_t full_categories_ = 0;  // of the page
  bool cut_short_ = false;
};

}  // namespace

PageLayoutResult LayOutPages(const PageRules& rules, const PageFill& fill,
                             PageLayoutScratch& scratch, std::vector<Candidate>& items,
                             std::vector<uint32_t>& page_ends) {
  return Layout(rules, fill, scratch).Run(items, page_ends);
}

}  // namespace groundswell
