// RankedList: the answer of the pipeline, whole; requests show pages of it.
#ifndef GROUNDSWELL_SERVER_PIPELINE_RANKED_LIST_H_
#define GROUNDSWELL_SERVER_PIPELINE_RANKED_LIST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "graph/ids.h"
#include "graph/state/catalogue.h"
#include "index/candidate_source.h"
#include "models/explanations.h"
#include "server/process/metrics.h"

namespace groundswell {

// By item cluster: the categories of its items with the most interactions, at most three.
using ItemClusterCategories = std::vector<std::vector<std::string>>;

// What an answer left out to be in time, each step once. It does not allocate.
using Degradations = absl::InlinedVector<DegradedStep, static_cast<size_t>(DegradedStep::kCount)>;

// A term of the blend's score of an item.
struct BlendTermOfItem {
  size_t feature = 0;  // BlendFeatureName
  float contribution = 0;
  bool operator==(const BlendTermOfItem&) const = default;
};

// One answer, whole: what every page of it says.
struct RankedList {
  std::vector<Candidate> items;  // best first
  // Positions that no page goes beyond, ascending; empty: pages end anywhere. A page that begins
  // between two of them ends at the next one at the latest.
  std::vector<uint32_t> page_ends;
  // Of the first items, past items by their ItemIndex; absent unless asked for.
  std::optional<Explanations> explanations;
  // Of the first items, the largest first; none unless asked for, and in the order of the blend.
  std::vector<std::vector<BlendTermOfItem>> blend_terms;
  // Whose items they are, also once another snapshot serves.
  std::shared_ptr<const Catalogue> catalogue;
  // What its item clusters are called; may be null without explanations.
  std::shared_ptr<const ItemClusterCategories> item_cluster_categories;
  std::string snapshot_version;
  std::string ranker;  // empty: ranking was skipped
  Offset applied_offset = 0;
  int64_t newest_event_time_us = 0;
  int64_t asked_time_us = 0;         // the request's time, where a ranker ordered the list
  Degradations degradations;         // as they happened
  std::optional<Fallback> fallback;  // why no ranker ordered it, where one was asked to
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_RANKED_LIST_H_
