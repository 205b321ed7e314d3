// RecommendQuery: what a request asks of the pipeline, checked and in the server's own terms.
#ifndef GROUNDSWELL_SERVER_PIPELINE_QUERY_H_
#define GROUNDSWELL_SERVER_PIPELINE_QUERY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "graph/ids.h"
#include "graph/log/interaction.h"
#include "models/ranker.h"
#include "server/pipeline/applied_rules.h"

namespace groundswell {

struct StageDurations {
  std::chrono::nanoseconds user_state{};
  std::chrono::nanoseconds retrieval{};
  std::chrono::nanoseconds rank{};
  std::chrono::nanoseconds explain{};
  std::chrono::nanoseconds arrange{};

  StageDurations& operator+=(const StageDurations& other) {
    user_state += other.user_state;
    retrieval += other.retrieval;
    rank += other.rank;
    explain += other.explain;
    arrange += other.arrange;
    return *this;
  }
};

// Which items may be answered, in the server's own terms.
struct ItemRules {
  std::vector<ItemIndex> excluded;   // ascending
  std::vector<uint32_t> categories;  // numbers of the catalogue; empty: all
  bool include_seen = false;
  int64_t now_us = 0;  // when it is asked, since 1970: items are answered within their time
};

// How unlike each other the items of a list are to be.
struct Diversity {
  float strength = 0;       // 0 to 1, see Diversify
  size_t category_max = 0;  // items of one category on a page; 0: any number
};

struct RecommendQuery {
  std::string user_id;  // empty: an anonymous session, which is its hypothetical events
  std::vector<Interaction> hypothetical_events;
  ItemRules rules;
  AppliedRules applied_rules;  // the operator's
  Diversity diversity;
  // So many items at least, where they exist; and pages end by it where categories are limited.
  size_t page_size = 20;
  const Ranker* ranker = nullptr;  // nullptr: the snapshot has none; the blend decides without
  bool ranker_alone = false;       // the caller named it: the list is in its order
  std::chrono::steady_clock::time_point deadline;
  uint32_t only_sources = 0;  // SourceBits; 0: the configured ones
  bool skip_ranking = false;
  bool stale = false;        // the caller's own write could not be waited for
  size_t explain_items = 0;  // the first items of the ranked list to explain
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_QUERY_H_
