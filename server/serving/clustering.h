// Which cluster a user or an item gets that the snapshot does not know.
#ifndef GROUNDSWELL_SERVER_SERVING_CLUSTERING_H_
#define GROUNDSWELL_SERVER_SERVING_CLUSTERING_H_

#include <memory>

#include "graph/fold/applier.h"
#include "models/snapshot/snapshot.h"

namespace groundswell {

// How the snapshot assigns clusters to users and items that it does not know.
Applier::Clustering ClusteringOf(std::shared_ptr<const Snapshot> snapshot);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_CLUSTERING_H_
