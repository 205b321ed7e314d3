#include "server/recommend/item_listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

// Items between two looks at the clock.
constexpr size_t kItemsPerClockLook = 1'024;

char FoldedCase(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

// `folded` has been folded already, and is not empty.
bool ContainsFolded(std::string_view text, std::string_view folded) {
  const auto same = [](char of_text, char of_folded) { return FoldedCase(of_text) == of_folded; };
  return std::search(text.begin(), text.end(), folded.begin(), folded.end(), same) != text.end();
}

}  // namespace

ItemPage FindItems(const Catalogue& catalogue, const ItemListing& listing, size_t begin,
                   std::chrono::steady_clock::time_point deadline) {
  std::string folded = listing.text;
  std::ranges::transform(folded, folded.begin(), FoldedCase);
  const size_t size = catalogue.size();
  const size_t end = begin + std::min(size - std::min(begin, size), kListedItemsLookedAt);
  ItemPage page;
  size_t place = begin;
  for (; place < end && page.items.size() < listing.page_size; ++place) {
    if ((place - begin) % kItemsPerClockLook == kItemsPerClockLook - 1 &&
        std::chrono::steady_clock::now() >= deadline) {
      break;
    }
    const ItemIndex item{static_cast<uint32_t>(place)};
    if (catalogue.IsRemoved(item)) continue;
    if (listing.category.has_value() && catalogue.CategoryNumber(item) != *listing.category) {
      continue;
    }
    if (folded.empty() || ContainsFolded(catalogue.Id(item), folded) ||
        ContainsFolded(catalogue.Title(item), folded)) {
      page.items.push_back(item);
    }
  }
  if (place < size) page.next = place;
  return page;
}

std::vector<size_t> CountItemsOfCategories(const Catalogue& catalogue, size_t begin, size_t count) {
  std::vector<size_t> items(count);
  const std::span<const uint32_t> category_of_item = catalogue.category_of_item();
  for (size_t place = 0; place < category_of_item.size(); ++place) {
    const ItemIndex item{static_cast<uint32_t>(place)};
    const size_t category = CategoryIn(category_of_item, item);
    if (category >= begin && category - begin < count && !catalogue.IsRemoved(item)) {
      ++items[category - begin];
    }
  }
  return items;
}

std::string MakePlaceToken(size_t place, uint64_t listed) {
  return fmt::format("{:x}.{:016x}", place, listed);
}

absl::StatusOr<size_t> CheckPlaceToken(std::string_view token, uint64_t listed) {
  if (token.empty()) return size_t{0};
  uint32_t place = 0;
  uint64_t of = 0;
  const auto read = [](std::string_view digits, auto& value) {
    const auto [until, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return error == std::errc() && until == digits.data() + digits.size();
  };
  const size_t dot = token.find('.');
  const bool ours = dot != std::string_view::npos && read(token.substr(0, dot), place) &&
                    read(token.substr(dot + 1), of) && MakePlaceToken(place, of) == token;
  if (!ours) {
    return InvalidField("page_token", token,
                        "must be the next_page_token of an earlier answer, unchanged, or empty");
  }
  if (of != listed) {
    return PreconditionFailed("PAGE_TOKEN_EXPIRED", "page_token",
                              "it belongs to another request, or to a snapshot that serves no "
                              "more; begin again with the first page");
  }
  return size_t{place};
}

}  // namespace groundswell
