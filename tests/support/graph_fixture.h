// A small store with a catalogue and no users: what the log and the applier are tested on.
#ifndef GROUNDSWELL_TESTS_SUPPORT_GRAPH_FIXTURE_H_
#define GROUNDSWELL_TESTS_SUPPORT_GRAPH_FIXTURE_H_

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "graph/state/macro_graph.h"
#include "graph/store/generation.h"
#include "graph/store/store.h"

namespace groundswell {

// Items "i0", "i1", ... whose cluster is their number modulo `item_clusters`.
std::vector<Cluster> ClustersOf(size_t items, uint32_t item_clusters);

// Makes a database with `items` items at `path`, as an import would leave it, and closes it.
void MakeStore(const std::string& path, size_t items, const Window& window = {},
               rocksdb::Env* env = nullptr);

// Opens what MakeStore made.
std::unique_ptr<GraphStore> OpenStore(const std::string& path);

// Small enough that events a few ticks apart leave it; of age, of interactions and of items, any of
// them or none.
Window RandomWindow(std::mt19937_64& random, int64_t tick_us);

// A purchase of weight `weight`; the event id is unique per call unless given.
Interaction MakeInteraction(const std::string& user, const std::string& item, Count weight = 1,
                            int64_t time_us = 1'000'000, std::string event_id = "");

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_GRAPH_FIXTURE_H_
