#include "server/pipeline/prepared_items.h"

#include <algorithm>

namespace groundswell {

std::span<const float> PrepareItems(const MacroGraph& graph, const Ranker& ranker,
                                    std::span<const ItemIndex> items, ItemCache& cache,
                                    RankerScratch& scratch, FeatureBuffers& features,
                                    PreparedItemBuffers& buffers) {
  const size_t width = ranker.prepared_width();
  buffers.numbers.clear();
  for (const ItemIndex item : items) buffers.numbers.push_back(ToInt(item));
  buffers.versions.resize(items.size());
  buffers.prepared.resize(items.size() * width);
  buffers.missing.clear();
  // Before the rows are read, so that nothing is kept under a version that it lacks.
  graph.items().ReadVersions(items, buffers.versions);
  cache.Read(buffers.numbers, buffers.versions, buffers.prepared, buffers.missing);
  if (buffers.missing.empty()) return buffers.prepared;

  buffers.missing_items.clear();
  for (const uint32_t at : buffers.missing) buffers.missing_items.push_back(items[at]);
  buffers.made.resize(buffers.missing.size() * width);
  ranker.PrepareItems(GatherItemFeatures(graph, ranker.shape(), buffers.missing_items, features),
                      scratch, buffers.made);
  for (size_t i = 0; i < buffers.missing.size(); ++i) {
    const uint32_t at = buffers.missing[i];
    const auto made = std::span<const float>(buffers.made).subspan(i * width, width);
    std::copy(made.begin(), made.end(), buffers.prepared.begin() + at * width);
    cache.Write(buffers.numbers[at], buffers.versions[at], made);
  }
  return buffers.prepared;
}

}  // namespace groundswell
