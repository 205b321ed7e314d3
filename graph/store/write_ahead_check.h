// WriteAheadCheck: whether RocksDB's write-ahead log, as a start replays it, has a hole.
//
// RocksDB checks every record, but not that the records follow each other. What it forgives
// (measured with 7.8): a write-ahead log file that is not the newest and ends early, is empty, or
// is gone, and a manifest whose end was cut off. Whatever was written later is then replayed on top
// of the hole. Every write has the sequence number behind the one before, so a hole is a sequence
// number that is missing: between two records, or between the tables and the first record.
//
// Thread-safety: one replay at a time.
#ifndef GROUNDSWELL_GRAPH_STORE_WRITE_AHEAD_CHECK_H_
#define GROUNDSWELL_GRAPH_STORE_WRITE_AHEAD_CHECK_H_

#include <rocksdb/db.h>
#include <rocksdb/wal_filter.h>

#include <cstdint>
#include <string>
#include <vector>

namespace groundswell {

class WriteAheadCheck final : public rocksdb::WalFilter {
 public:
  enum class OnHole {
    kRefuse,  // the database does not open: Corruption
    kStop,    // what is behind the hole is dropped
  };

  // `tables_until`: the sequence number that the tables reach (ReadTablesUntil).
  WriteAheadCheck(uint64_t tables_until, OnHole on_hole);

  const char* Name() const override { return "groundswell.WriteAheadCheck"; }
  WalProcessingOption LogRecordFound(unsigned long long number, const std::string& file,
                                     const rocksdb::WriteBatch& batch,
                                     rocksdb::WriteBatch* new_batch, bool* is_changed) override;

  // What is missing, in words; empty: nothing.
  const std::string& hole() const { return hole_; }

  // The newest sequence number that the manifest at `path` knows; nothing is replayed, and nothing
  // written. The caller sees to it that no other process has the database open.
  static rocksdb::Status ReadTablesUntil(
      const rocksdb::DBOptions& options, const std::string& path,
      const std::vector<rocksdb::ColumnFamilyDescriptor>& columns, uint64_t& sequence);

 private:
  const OnHole on_hole_;
  uint64_t known_until_;
  std::string hole_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_GRAPH_STORE_WRITE_AHEAD_CHECK_H_
