// Pages of the catalogue: which items have something in their id or title, and the tokens by which
// callers go on.
//
// Items keep their places while a catalogue lives, so a place is all that a token has to say: no
// page is kept. A token is hexadecimal digits: place, ".", hash of what is listed and of the
// snapshot. It is opaque, not secret, and no authorisation.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_ITEM_LISTING_H_
#define GROUNDSWELL_SERVER_RECOMMEND_ITEM_LISTING_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/ids.h"
#include "graph/state/catalogue.h"

namespace groundswell {

struct ItemListing {
  std::string text;                  // in id or title, letters of ASCII in either case; empty: all
  std::optional<uint32_t> category;  // number of the catalogue
  size_t page_size = 20;
};

struct ItemPage {
  std::vector<ItemIndex> items;
  std::optional<size_t> next;  // where the page behind it begins; nullopt: it is the last
};

// Items that one page looks at, at most; it is short when that was not enough.
inline constexpr size_t kListedItemsLookedAt = 20'000;

// From the item at `begin` on, in the order of the catalogue, without removed ones. It ends at the
// deadline with what it has, but looks at some items in any case.
ItemPage FindItems(const Catalogue& catalogue, const ItemListing& listing, size_t begin,
                   std::chrono::steady_clock::time_point deadline);

// Items that were not removed, by number of the category; `count` of them, from `begin` on.
std::vector<size_t> CountItemsOfCategories(const Catalogue& catalogue, size_t begin, size_t count);

// `listed` stands for all that must be the same on all pages, the snapshot included.
std::string MakePlaceToken(size_t place, uint64_t listed);
// 0 for an empty token. InvalidArgument where it is none of ours, FailedPrecondition
// (PAGE_TOKEN_EXPIRED) where it belongs to something else.
absl::StatusOr<size_t> CheckPlaceToken(std::string_view token, uint64_t listed);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_ITEM_LISTING_H_
