#include "graph/store/write_ahead_check.h"

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <memory>

namespace groundswell {
namespace {

// Ends a replay before its first record.
class NoReplay final : public rocksdb::WalFilter {
 public:
  const char* Name() const override { return "groundswell.NoReplay"; }
  WalProcessingOption LogRecordFound(unsigned long long, const std::string&,
                                     const rocksdb::WriteBatch&, rocksdb::WriteBatch*,
                                     bool*) override {
    return WalProcessingOption::kStopReplay;
  }
};

// A stopped replay is worth a warning to RocksDB, and none to us.
class NoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

// A batch begins with its first sequence number, in eight bytes, little-endian.
uint64_t SequenceOf(const rocksdb::WriteBatch& batch) {
  uint64_t sequence = 0;
  const std::string& bytes = batch.Data();
  for (size_t i = 0; i < sizeof(sequence) && i < bytes.size(); ++i) {
    sequence |= uint64_t{static_cast<uint8_t>(bytes[i])} << 8 * i;
  }
  return sequence;
}

}  // namespace

WriteAheadCheck::WriteAheadCheck(uint64_t tables_until, OnHole on_hole)
    : on_hole_(on_hole), known_until_(tables_until) {}

rocksdb::WalFilter::WalProcessingOption WriteAheadCheck::LogRecordFound(
    unsigned long long /*number*/, const std::string& file, const rocksdb::WriteBatch& batch,
    rocksdb::WriteBatch* /*new_batch*/, bool* /*is_changed*/) {
  const uint64_t first = SequenceOf(batch);
  if (first > known_until_ + 1) {
    hole_ =
        fmt::format("the write-ahead log lacks what was written before \"{}\": changes {} to {}",
                    file, known_until_ + 1, first - 1);
    return on_hole_ == OnHole::kRefuse ? WalProcessingOption::kCorruptedRecord
                                       : WalProcessingOption::kStopReplay;
  }
  // The first records may be in the tables already.
  known_until_ = std::max(known_until_, first + batch.Count() - 1);
  return WalProcessingOption::kContinueProcessing;
}

rocksdb::Status WriteAheadCheck::ReadTablesUntil(
    const rocksdb::DBOptions& options, const std::string& path,
    const std::vector<rocksdb::ColumnFamilyDescriptor>& columns, uint64_t& sequence) {
  constexpr int kFewOpenFiles = 16;  // the tables are not read
  NoReplay no_replay;
  rocksdb::DBOptions read_only = options;
  read_only.wal_filter = &no_replay;
  // Damage in the write-ahead log is for the replay to find.
  read_only.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  read_only.max_open_files = kFewOpenFiles;
  read_only.skip_stats_update_on_db_open = true;
  read_only.info_log = std::make_shared<NoLog>();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(read_only, path, columns, &handles, &opened);
  if (!status.ok()) return status;
  const std::unique_ptr<rocksdb::DB> db(opened);
  sequence = db->GetLatestSequenceNumber();
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  return status;
}

}  // namespace groundswell
