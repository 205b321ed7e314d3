// Reader of safetensors files: 8 bytes little-endian header length, a JSON header, raw
// little-endian data. The bytes are untrusted: every length, offset, dtype and shape is checked
// before use.
#ifndef GROUNDSWELL_MODELS_FILES_SAFETENSORS_H_
#define GROUNDSWELL_MODELS_FILES_SAFETENSORS_H_

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

// The bytes of one file in memory aligned to 64 bytes. Immutable once filled.
class FileBytes {
 public:
  explicit FileBytes(size_t size);
  std::span<const std::byte> view() const { return {data_.get(), size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_.get()), size_}; }
  // For the one who fills it, before it is shared.
  std::span<std::byte> mutable_view() { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte[], Free> data_;
  size_t size_;
};

absl::StatusOr<std::shared_ptr<const FileBytes>> ReadFileBytes(const std::string& path);

enum class DType { kF16, kBF16, kF32, kF64, kI32, kI64 };

// A view of one tensor; valid as long as the file it came from.
struct Tensor {
  DType dtype = DType::kF32;
  std::vector<size_t> shape;
  std::span<const std::byte> data;

  size_t element_count() const;
};

class SafetensorsFile {
 public:
  // `name` is used in errors. The result keeps `bytes` alive.
  static absl::StatusOr<SafetensorsFile> Parse(std::string name,
                                               std::shared_ptr<const FileBytes> bytes);

  const std::string& name() const { return name_; }
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // NotFound when absent; InvalidArgument when the shape differs from `shape`. Errors name the
  // file, the tensor, what was found and what is needed.
  absl::StatusOr<Tensor> Find(std::string_view tensor, std::span<const size_t> shape) const;

  // As Find, and: the values as f32, all finite. F32 is a view into the file. F16 and BF16
  // (exactly) and F64 (rounded to nearest) are converted once and kept: the span is valid as long
  // as this file or a copy of it. One thread at a time, copies included.
  absl::StatusOr<std::span<const float>> Floats(std::string_view tensor,
                                                std::span<const size_t> shape) const;

  // As Find for I32 or I64, widened.
  absl::StatusOr<std::vector<int64_t>> Integers(std::string_view tensor,
                                                std::span<const size_t> shape) const;

 private:
  template <typename From>
  absl::StatusOr<std::span<const float>> Convert(std::string_view name, const Tensor& tensor,
                                                 float (*to_float)(From)) const;

  std::string name_;
  std::shared_ptr<const FileBytes> bytes_;
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
  // What Floats converted, by tensor; shared by copies.
  std::shared_ptr<std::map<std::string, std::vector<float>>> converted_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_FILES_SAFETENSORS_H_
