// Page layout: a list as its pages will show it, with pinned items in their places and at most so
// many items of one category on a page.
//
// Pages are filled one after the other. A page takes the pinned items that stand on it, and then
// the next items of the list whose category has room; the others wait for the page after. What is
// still missing comes from the popular items that the list lacks, in their order. So a page is
// short only where no other item exists that may stand there.
#ifndef GROUNDSWELL_SERVER_PIPELINE_PAGE_LAYOUT_H_
#define GROUNDSWELL_SERVER_PIPELINE_PAGE_LAYOUT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "index/candidate_source.h"
#include "index/popular/popularity_source.h"
#include "server/pipeline/applied_rules.h"

namespace groundswell {

struct PageRules {
  static constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();

  size_t page_size = 20;
  size_t category_max = 0;  // items of one category on a page; 0: any number
  size_t items_max = 500;   // of the whole list
  std::span<const Pin> pins;
  // Categories by item; an item outside it, or of `no_category`, is of none and not limited.
  std::span<const uint32_t> category_of_item;
  uint32_t no_category = std::numeric_limits<uint32_t>::max();
  // Categories that the admitted items can have; kUnlimited where some may have none.
  size_t category_count = kUnlimited;
};

struct PageFill {
  // What pins and popular items must be.
  const ItemFilter& filter;
  // Null: pages are not filled.
  const PopularitySource::Order* popular = nullptr;
  std::chrono::steady_clock::time_point deadline;  // the looking ends then
};

// Memory of one call at a time; grown by the first calls, then reused.
struct PageLayoutScratch {
  struct PinnedItem {
    Candidate candidate;
    size_t place = 0;
  };
  std::vector<PinnedItem> pins;         // ascending by place
  std::vector<Candidate> rest;          // of the list, not on a page yet
  std::vector<Candidate> popular_rest;  // met already, and without room until now
  std::vector<Candidate> page;          // what a page takes of these
  absl::flat_hash_set<ItemIndex> listed;
  absl::flat_hash_map<uint32_t, size_t> on_page;  // by category
  absl::flat_hash_map<uint32_t, size_t> waiting;  // of popular_rest, by category
};

struct PageLayoutResult {
  size_t pinned = 0;
  bool cut_short = false;  // a page may be short because the time was over
};

// Lays `items` out. `page_ends` gets where each page ends, ascending; nothing without category_max,
// when pages may end anywhere.
//
// A pin whose item the filter does not admit, or that repeats an earlier one's item, does nothing.
// Two at one place stand side by side, in their order; one behind the end of the list stands at its
// end. A pin that is not in the list has score 0. Pins stand where their categories have no room,
// too, and count there.
PageLayoutResult LayOutPages(const PageRules& rules, const PageFill& fill,
                             PageLayoutScratch& scratch, std::vector<Candidate>& items,
                             std::vector<uint32_t>& page_ends);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_PAGE_LAYOUT_H_
