// A safetensors file of int32 and int64 tensors that is written row by row, in bounded memory.
#ifndef GROUNDSWELL_SERVER_OFFLINE_FEATURE_FILE_H_
#define GROUNDSWELL_SERVER_OFFLINE_FEATURE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace groundswell {

// The file appears under its name when Finish succeeds; until then it is "<path>.partial".
class FeatureFile {
 public:
  struct Column {
    std::string name;
    bool is_int64 = false;  // else int32
    std::vector<size_t> shape;
  };

  // Of the header, beside the columns.
  using Metadata = std::map<std::string, std::string>;

  // Makes the file at its full size, mapped into memory.
  static absl::StatusOr<std::unique_ptr<FeatureFile>> Create(const std::string& path,
                                                             const std::vector<Column>& columns,
                                                             const Metadata& metadata = {});
  ~FeatureFile();

  // The whole column, to be filled by the caller.
  // REQUIRES: a column of that name and type.
  std::span<int32_t> Int32(std::string_view name);
  std::span<int64_t> Int64(std::string_view name);

  absl::Status Finish();

 private:
  FeatureFile() = default;

  std::string path_;
  std::map<std::string, std::span<std::byte>, std::less<>> columns_;
  std::byte* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_OFFLINE_FEATURE_FILE_H_
