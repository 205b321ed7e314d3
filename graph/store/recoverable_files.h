// RecoverableFiles: the machine's file system, whose errors RocksDB may recover from.
//
// RocksDB takes a write that failed for the end of the database, unless the disk was full or the
// file system says that the error may pass: then it goes on with files of its own making once
// Resume works. Which error passes, nobody knows beforehand: a quota is raised, a network disk
// comes back, descriptors become free. So each may; one that does not fails again.
#ifndef GROUNDSWELL_GRAPH_STORE_RECOVERABLE_FILES_H_
#define GROUNDSWELL_GRAPH_STORE_RECOVERABLE_FILES_H_

#include <memory>

#include "graph/store/write_error.h"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace groundswell {

// What `base` does, with errors of writing marked as such, and told to `on_error`, which may be
// empty. `base` must outlive it.
std::unique_ptr<rocksdb::Env> MakeRecoverableFiles(rocksdb::Env& base, OnWriteError on_error);

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_RECOVERABLE_FILES_H_
