#include "server/recommend/ranked_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/escaping.h"
#include "server/rpc/status_details.h"

namespace groundswell {
namespace {

constexpr char kTokenVersion = 1;
constexpr size_t kTokenBytes = 1 + 16 + 4 + 4;

void AppendBigEndian(uint64_t value, size_t bytes, std::string& out) {
  for (size_t i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t ReadBigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

// FNV-1a. Tells a damaged token from one whose list is gone; no defence, as tokens are no secret.
uint32_t CheckSum(std::string_view bytes) {
  uint32_t sum = 2'166'136'261u;
  for (const char byte : bytes) sum = (sum ^ static_cast<uint8_t>(byte)) * 16'777'619u;
  return sum;
}

uint64_t SystemRandom() {
  thread_local std::random_device device;
  return uint64_t{device()} << 32 | device();
}

RankedLists::Options WithDefaults(RankedLists::Options options) {
  if (!options.random) options.random = SystemRandom;
  return options;
}

}  // namespace

RankedLists::RankedLists(Options options) : options_(WithDefaults(std::move(options))) {}

Page RankedLists::Begin(RankedList list, uint64_t query_hash, size_t page_size) {
  if (list.items.size() > options_.items_max) list.items.resize(options_.items_max);
  const ListId id = {options_.random(), options_.random()};
  auto shared = std::make_shared<const RankedList>(std::move(list));
  Page page = MakePage(id, shared, 0, page_size);
  if (page.next_page_token.empty()) return page;

  std::list<Entry> added;
  added.push_back({id, query_hash, options_.clock(), std::move(shared)});
  std::list<Entry> dropped;
  const MutexLock lock(mutex_);
  by_id_[id] = added.begin();
  by_use_.splice(by_use_.begin(), added);
  DropOld(dropped);
  return page;
}

absl::StatusOr<Page> RankedLists::Resume(std::string_view token, uint64_t query_hash,
                                         size_t page_size) {
  const absl::StatusOr<Position> position = DecodeToken(token);
  if (!position.ok()) return position.status();

  std::shared_ptr<const RankedList> list;
  std::list<Entry> dropped;
  {
    const MutexLock lock(mutex_);
    DropOld(dropped);
    const auto found = by_id_.find(position->id);
    if (found == by_id_.end()) {
      return PreconditionFailed("PAGE_TOKEN_EXPIRED", "page_token",
                                "the list of this token is gone; ask for its first page again");
    }
    Entry& entry = *found->second;
    if (entry.query_hash != query_hash || position->begin >= entry.list->items.size()) {
      return InvalidField("page_token", token,
                          "belongs to another request; every other field must be as it was in the "
                          "request that began the list");
    }
    entry.last_used = options_.clock();
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    list = entry.list;
  }
  return MakePage(position->id, std::move(list), position->begin, page_size);
}

void RankedLists::Drop(std::string_view token) {
  const absl::StatusOr<Position> position = DecodeToken(token);
  if (!position.ok()) return;
  std::list<Entry> dropped;
  const MutexLock lock(mutex_);
  const auto found = by_id_.find(position->id);
  if (found == by_id_.end()) return;
  dropped.splice(dropped.begin(), by_use_, found->second);
  by_id_.erase(found);
}

size_t RankedLists::size() const {
  const MutexLock lock(mutex_);
  return by_use_.size();
}

std::string RankedLists::EncodeToken(const Position& position) {
  std::string bytes(1, kTokenVersion);
  AppendBigEndian(position.id[0], 8, bytes);
  AppendBigEndian(position.id[1], 8, bytes);
  AppendBigEndian(position.begin, 4, bytes);
  AppendBigEndian(CheckSum(bytes), 4, bytes);
  return absl::WebSafeBase64Escape(bytes);
}

absl::StatusOr<RankedLists::Position> RankedLists::DecodeToken(std::string_view token) {
  std::string bytes;
  // Encoded again and compared, because the decoder forgives padding, white space and stray bits.
  const bool ours = token.size() < 2 * kTokenBytes &&
                    absl::WebSafeBase64Unescape({token.data(), token.size()}, &bytes) &&
                    bytes.size() == kTokenBytes && bytes[0] == kTokenVersion &&
                    ReadBigEndian(std::string_view(bytes).substr(21)) ==
                        CheckSum(std::string_view(bytes).substr(0, 21)) &&
                    absl::WebSafeBase64Escape(bytes) == token;
  if (!ours) {
    return InvalidField("page_token", token,
                        "must be the next_page_token of an earlier answer, unchanged, or empty");
  }
  const std::string_view view = bytes;
  return Position{{ReadBigEndian(view.substr(1, 8)), ReadBigEndian(view.substr(9, 8))},
                  static_cast<uint32_t>(ReadBigEndian(view.substr(17, 4)))};
}

Page RankedLists::MakePage(const ListId& id, std::shared_ptr<const RankedList> list, size_t begin,
                           size_t page_size) {
  Page page;
  page.recommendation_id = fmt::format("{:016x}{:016x}", id[0], id[1]);
  const size_t size = list->items.size();
  page.begin = begin;
  page.end = begin + std::min(page_size, size - begin);
  const auto end = std::ranges::upper_bound(list->page_ends, begin);
  if (end != list->page_ends.end()) page.end = std::min<size_t>(page.end, *end);
  page.list = std::move(list);
  if (page.end < size) page.next_page_token = EncodeToken({id, static_cast<uint32_t>(page.end)});
  return page;
}

void RankedLists::DropOld(std::list<Entry>& dropped) {
  const auto oldest = options_.clock() - options_.ttl;
  while (!by_use_.empty() &&
         (by_use_.size() > options_.lists_max || by_use_.back().last_used <= oldest)) {
    by_id_.erase(by_use_.back().id);
    dropped.splice(dropped.begin(), by_use_, std::prev(by_use_.end()));
  }
}

}  // namespace groundswell
