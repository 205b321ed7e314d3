// ItemReader: a catalogue, read from a file of whatever make, one item after the other.
//
//   CSV with the separators , ; tab or |, with or without quotes and a byte order mark, and with a
//   header; or JSON lines. The columns are found by the names in use for them, such as "sku" or
//   "productName".
//
//   embedding                         numbers between blanks, commas, semicolons or |, in [ ] or
//                                     not; JSON: an array
//   available_from, available_until   as event_time has times
//   category                          JSON: also an array of texts, joined by ", "
#ifndef GROUNDSWELL_CSV_ITEM_READER_H_
#define GROUNDSWELL_CSV_ITEM_READER_H_

#include <array>
#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "csv/csv_reader.h"
#include "csv/log_reader.h"
#include "csv/log_sources.h"

namespace groundswell {

// What a record of a catalogue may say; the first it must.
enum ItemField {
  kItemIdField,
  kTitleField,
  kCategoryField,
  kEmbeddingField,
  kAvailableFromField,
  kAvailableUntilField,
  kItemFieldCount
};

// What the fields are called in messages.
inline constexpr std::array<std::string_view, kItemFieldCount> kItemFields = {
    "item", "title", "category", "embedding", "available_from", "available_until"};

// The names of the columns (CSV) or keys (JSON); empty: found by the names in use.
using ItemColumns = std::array<std::string, kItemFieldCount>;

// All texts are UTF-8; the id is not empty.
struct ItemRecord {
  uint64_t record = 0;  // number in the file, from 1, a header not counted
  std::string id;
  std::string title;
  std::string category;
  std::vector<float> embedding;              // may be empty
  std::optional<int64_t> available_from_us;  // since 1970
  std::optional<int64_t> available_until_us;
};

class ItemReader {
 public:
  struct Options {
    LogFileFormat format = LogFileFormat::kAuto;
    ItemColumns columns;
    // The names of the columns of a CSV without a header.
    std::vector<std::string> header;
    // Also files, and records of JSON lines, in which nothing is said of an item but its id.
    // Otherwise they are refused: it may be a file of something else, or in another language.
    bool ids_alone = false;
  };

  // `input` must outlive the reader; nothing is read before the first Next.
  ItemReader(std::istream& input, Options options);
  ~ItemReader();
  ItemReader(const ItemReader&) = delete;
  ItemReader& operator=(const ItemReader&) = delete;

  // The next item; nullopt at the end. InvalidArgument for a record that is none, naming the
  // record, the field, the value and what would be right: the next call goes on behind it, unless
  // `ended`. InvalidArgument, and `ended`, when the columns cannot be told. DataLoss, and `ended`,
  // when the rest cannot be read; what ended the reading is said again by every further call.
  absl::StatusOr<std::optional<ItemRecord>> Next();
  bool ended() const { return !fatal_.ok(); }

  uint64_t bytes_read() const;
  // The names of the columns or keys as the file has them, so far; empty where there is none.
  const ItemColumns& names() const { return names_; }

 private:
  // A record's text of each field.
  using Texts = std::array<std::string, kItemFieldCount>;

  absl::Status Begin();
  absl::Status FindColumns(const std::vector<std::string>& header);
  // `found`: the columns or keys that there are.
  absl::Status CheckSaysMore(std::span<const std::string_view> found) const;
  // nullopt at the end.
  absl::StatusOr<std::optional<Texts>> NextCsv();
  absl::StatusOr<std::optional<Texts>> NextJson();
  absl::StatusOr<ItemRecord> MakeItem(Texts texts) const;
  absl::Status Bad(ItemField field, std::string_view value, std::string_view remedy) const;
  std::string_view NameIn(ItemField field) const;

  LogFront input_;
  Options options_;
  bool begun_ = false;
  std::unique_ptr<CsvReader> csv_;  // null: JSON lines
  size_t columns_ = 0;
  std::array<size_t, kItemFieldCount> positions_{};
  ItemColumns names_;  // as the file has them
  uint64_t record_ = 0;
  uint64_t json_bytes_ = 0;
  absl::Status fatal_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_ITEM_READER_H_
