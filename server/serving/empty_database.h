// A server without a model: an empty directory becomes a database that holds no snapshot. Users and
// items come with the interactions; a trained snapshot is activated later.
#ifndef GROUNDSWELL_SERVER_SERVING_EMPTY_DATABASE_H_
#define GROUNDSWELL_SERVER_SERVING_EMPTY_DATABASE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "graph/store/store.h"

namespace groundswell {

// Opens the database in `options.path`, which must be a directory; in an empty one it makes a
// database whose snapshot is Snapshot::Empty(). What was begun and cut off is completed. NotFound,
// naming the mend, where there is no such directory, or one with other files than a database's;
// otherwise the errors of GraphStore::Open.
absl::StatusOr<std::unique_ptr<GraphStore>> OpenToServe(const GraphStore::Options& options);

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_SERVING_EMPTY_DATABASE_H_
