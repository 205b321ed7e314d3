// What a ranker makes of items alone, taken from where it is kept or made anew.
#ifndef GROUNDSWELL_SERVER_PIPELINE_PREPARED_ITEMS_H_
#define GROUNDSWELL_SERVER_PIPELINE_PREPARED_ITEMS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "graph/ids.h"
#include "graph/state/macro_graph.h"
#include "models/item_cache.h"
#include "models/ranker.h"
#include "server/pipeline/features.h"

namespace groundswell {

// Memory of one thread; grows to the largest block and stays.
struct PreparedItemBuffers {
  std::vector<uint32_t> numbers;
  std::vector<int64_t> versions;
  std::vector<uint32_t> missing;  // positions in the block
  std::vector<ItemIndex> missing_items;
  std::vector<float> made;      // of the missing items
  std::vector<float> prepared;  // of the block
};

// The ranker's prepared vectors of `items` (n x prepared_width), in `buffers.prepared`, where they
// hold until its next use. Only those whose row of the graph has changed since they were kept are
// made, of the graph as it is now; how many is in `buffers.missing`. REQUIRES: `cache` is this
// ranker's for this graph; `items` fit into a block of the scratch.
std::span<const float> PrepareItems(const MacroGraph& graph, const Ranker& ranker,
                                    std::span<const ItemIndex> items, ItemCache& cache,
                                    RankerScratch& scratch, FeatureBuffers& features,
                                    PreparedItemBuffers& buffers);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PIPELINE_PREPARED_ITEMS_H_
