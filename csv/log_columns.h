// Which column of a log holds what.
#ifndef GROUNDSWELL_CSV_LOG_COLUMNS_H_
#define GROUNDSWELL_CSV_LOG_COLUMNS_H_

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "csv/column_search.h"

namespace groundswell {

// What a record of a log may say; the first three it must.
enum LogField {
  kTimeField,
  kUserField,
  kItemField,
  kTypeField,
  kWeightField,
  kEventIdField,
  kRatingField,
  kLogFieldCount
};
inline constexpr size_t kRequiredFields = 3;

// The names of the columns (CSV) or keys (JSON); empty: found by the names that are in use for it,
// such as "user_id", "customer_id" or "visitorid".
using LogColumns = std::array<std::string, kLogFieldCount>;

// For messages: "user", and the flag that names its column, "--user".
std::string_view NameOf(LogField field);
std::string_view FlagOf(LogField field);

// How much `column` is a name in use for the field: the least is the best; npos: it is none.
// Case, and what separates words, do not matter, nor does what RecBole puts behind a colon.
size_t RankOf(std::string_view column, LogField field);

// The position of each field's column in a header; npos for one that is not there.
using ColumnPositions = std::array<size_t, kLogFieldCount>;

// InvalidArgument, naming the columns that there are and the flag that says which it is, when a
// required field is not found, or a named column is not there.
absl::StatusOr<ColumnPositions> FindColumns(std::span<const std::string_view> header,
                                            const LogColumns& named);
// InvalidArgument where one key of JSON lines is named for two of the fields that are required.
absl::Status CheckKeysApart(const LogColumns& named);
// InvalidArgument when several columns are called as that of the rating. For who reads ratings.
absl::Status CheckRatingOnce(std::span<const std::string_view> header,
                             const ColumnPositions& positions);

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_LOG_COLUMNS_H_
