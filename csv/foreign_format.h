// Files that are given for logs or catalogues and are in a format that is none of theirs.
#ifndef GROUNDSWELL_CSV_FOREIGN_FORMAT_H_
#define GROUNDSWELL_CSV_FOREIGN_FORMAT_H_

#include <string_view>

#include "absl/status/status.h"

namespace groundswell {

// InvalidArgument, naming the format and what to do, where an input that begins with `begin` is of
// another format than text in UTF-8: UTF-16, a workbook, Parquet, an archive and the like.
absl::Status CheckIsText(std::string_view begin);

}  // namespace groundswell

#endif  // GROUNDSWELL_CSV_FOREIGN_FORMAT_H_
