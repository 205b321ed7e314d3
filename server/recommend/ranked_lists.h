// RankedLists: the lists that page tokens point into.
//
// A list is ranked once and kept, so that its pages never repeat or skip an item while the graph
// moves on underneath. The store is bounded: the list used longest ago makes room, and a list not
// used for `ttl` is dropped; its tokens then fail with PAGE_TOKEN_EXPIRED.
//
// A token is URL-safe base64 of: version (1 byte, 1), list id (16), position (4), check sum (4),
// all big-endian. It is opaque, not secret, and no authorisation.
#ifndef GROUNDSWELL_SERVER_RECOMMEND_RANKED_LISTS_H_
#define GROUNDSWELL_SERVER_RECOMMEND_RANKED_LISTS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "graph/mutex.h"
#include "index/candidate_source.h"
#include "server/pipeline/ranked_list.h"

namespace groundswell {

struct Page {
  // 32 hexadecimal digits; the same on all pages of a list.
  std::string recommendation_id;
  std::shared_ptr<const RankedList> list;
  size_t begin = 0;  // the page is list->items[begin, end)
  size_t end = 0;
  std::string next_page_token;  // empty: the last page

  std::span<const Candidate> items() const {
    return std::span<const Candidate>(list->items).subspan(begin, end - begin);
  }
};

// Thread-safe.
class RankedLists {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  struct Options {
    size_t lists_max = 10'000;
    size_t items_max = 500;  // longer lists are cut
    std::chrono::seconds ttl{600};
    Clock clock = std::chrono::steady_clock::now;
    std::function<uint64_t()> random;  // 64 unpredictable bits; empty: the system's
  };

  explicit RankedLists(Options options);

  // The first page of `list`. The list is kept only when there is more than one page. `query_hash`
  // stands for every field that must not change between pages. REQUIRES: page_size > 0.
  Page Begin(RankedList list, uint64_t query_hash, size_t page_size);

  // The page behind `token`. InvalidArgument on page_token when it is not one of ours or belongs to
  // another query; FailedPrecondition, reason PAGE_TOKEN_EXPIRED, when the list is gone.
  // REQUIRES: page_size > 0.
  absl::StatusOr<Page> Resume(std::string_view token, uint64_t query_hash, size_t page_size);

  // Lets go of the list behind `token`: its pages are then PAGE_TOKEN_EXPIRED. Nothing happens when
  // there is none.
  void Drop(std::string_view token) ABSL_LOCKS_EXCLUDED(mutex_);

  // Lists held now.
  size_t size() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using ListId = std::array<uint64_t, 2>;
  struct Entry {
    ListId id{};
    uint64_t query_hash = 0;
    std::chrono::steady_clock::time_point last_used;
    std::shared_ptr<const RankedList> list;
  };
  struct Position {
    ListId id{};
    uint32_t begin = 0;
  };

  static std::string EncodeToken(const Position& position);
  static absl::StatusOr<Position> DecodeToken(std::string_view token);
  static Page MakePage(const ListId& id, std::shared_ptr<const RankedList> list, size_t begin,
                       size_t page_size);
  // Moves what has to go into `dropped`, for the caller to free without the lock.
  void DropOld(std::list<Entry>& dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  std::list<Entry> by_use_ ABSL_GUARDED_BY(mutex_);  // latest used first
  absl::flat_hash_map<ListId, std::list<Entry>::iterator> by_id_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_RECOMMEND_RANKED_LISTS_H_
