// Which column of a header holds what, of logs and of catalogues alike: by the name that was given
// for it, or by the names in use for it.
#ifndef GROUNDSWELL_CSV_COLUMN_SEARCH_H_
#define GROUNDSWELL_CSV_COLUMN_SEARCH_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace groundswell {

inline constexpr size_t kNoColumn = std::string_view::npos;

// What records of one kind may say, by the field's number.
struct ColumnFields {
  std::span<const std::string_view> names;  // for messages: "user"
  std::span<const std::string_view> flags;  // that name its column: "--user"
  // How much `column` is a name in use for the field: the least is the best; kNoColumn: it is none.
  size_t (*rank)(std::string_view column, size_t field);
};

// "User ID", "userId" and "user_id:token" are "userid".
std::string PlainName(std::string_view column);
// Where the plain name of `column` stands in `names`; kNoColumn: nowhere.
size_t PlaceAmong(std::span<const std::string_view> names, std::string_view column);

// The position of the column `named[field]`; if that is empty, of the best one that is not named
// for another field. kNoColumn: there is none.
size_t FindColumn(std::span<const std::string_view> header, std::span<const std::string> named,
                  size_t field, const ColumnFields& fields);

// InvalidArgument, saying what to do, where FindColumn found
//   * none, though one was named or the field is required;
absl::Status CheckFound(std::span<const std::string_view> header,
                        std::span<const std::string> named, size_t position, size_t field,
                        bool is_required, const ColumnFields& fields);
//   * one whose name another column has, too;
absl::Status CheckOnce(std::span<const std::string_view> header, size_t position, size_t field,
                       const ColumnFields& fields);
//   * that of an earlier field; `positions`: of the fields, up to this one at least.
absl::Status CheckApart(std::span<const std::string_view> header, std::span<const size_t> positions,
                        size_t field, const ColumnFields& fields);

// Likewise of JSON lines, whose keys are those of each line: where one key is named for two of the
// first `count` fields.
absl::Status CheckNamedApart(std::span<const std::string> named, size_t count,
                             const ColumnFields& fields);

// `"a", "b", "c"`, the first ones.
std::string ListOf(std::span<const std::string_view> names);

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_COLUMN_SEARCH_H_
