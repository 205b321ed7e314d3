#include "models/files/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/files/strict_json.h"
#include "models/math/narrow_floats.h"

namespace groundswell {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "tensors are viewed, not converted");

constexpr size_t kAlignment = 64;
constexpr uint64_t kHeaderBytesMax = uint64_t{16} << 20;
constexpr size_t kDimensionsMax = 8;
constexpr size_t kNameBytesMax = 256;

struct DTypeName {
  std::string_view name;
  DType dtype;
  size_t bytes;
};
constexpr DTypeName kDTypes[] = {{"F16", DType::kF16, 2}, {"BF16", DType::kBF16, 2},
                                 {"F32", DType::kF32, 4}, {"F64", DType::kF64, 8},
                                 {"I32", DType::kI32, 4}, {"I64", DType::kI64, 8}};

// The product of `shape` and `factor`; nullopt when it does not fit.
std::optional<size_t> CheckedProduct(const std::vector<size_t>& shape, size_t factor) {
  size_t product = factor;
  for (const size_t dimension : shape) {
    if (__builtin_mul_overflow(product, dimension, &product)) return std::nullopt;
  }
  return product;
}

absl::Status BadTensor(std::string_view file, std::string_view tensor, std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("{}: tensor \"{}\": {}", file, tensor, what));
}

bool IsUnsigned(const json& value) { return value.is_number_unsigned(); }

// One entry of the header.
absl::StatusOr<Tensor> ParseTensor(std::string_view file, const std::string& name,
                                   const json& entry, std::span<const std::byte> data) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() ||
      !entry.contains("shape") || !entry["shape"].is_array() || !entry.contains("data_offsets") ||
      !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2 ||
      !IsUnsigned(entry["data_offsets"][0]) || !IsUnsigned(entry["data_offsets"][1])) {
    return BadTensor(file, name, "the header must give dtype, shape and two data_offsets");
  }
  const std::string dtype_name = entry["dtype"].get<std::string>();
  const DTypeName* dtype = nullptr;
  for (const DTypeName& known : kDTypes) {
    if (known.name == dtype_name) dtype = &known;
  }
  if (dtype == nullptr) {
    return BadTensor(file, name,
                     fmt::format("dtype {} is not served; export it as F32, F16, BF16 or F64 "
                                 "(numbers) or I32, I64 (indices)",
                                 QuotedText(dtype_name)));
  }
  Tensor tensor{.dtype = dtype->dtype};
  for (const json& dimension : entry["shape"]) {
    if (!IsUnsigned(dimension) || tensor.shape.size() == kDimensionsMax) {
      return BadTensor(
          file, name,
          fmt::format("shape must be at most {} non-negative integers", kDimensionsMax));
    }
    tensor.shape.push_back(dimension.get<size_t>());
  }
  const auto begin = entry["data_offsets"][0].get<uint64_t>();
  const auto end = entry["data_offsets"][1].get<uint64_t>();
  const std::optional<size_t> bytes = CheckedProduct(tensor.shape, dtype->bytes);
  if (begin > end || end > data.size() || !bytes.has_value() || *bytes != end - begin) {
    return BadTensor(
        file, name,
        fmt::format("data_offsets [{}, {}] do not hold shape [{}] of {} within the {} bytes "
                    "of data",
                    begin, end, fmt::join(tensor.shape, ", "), dtype_name, data.size()));
  }
  tensor.data = data.subspan(begin, end - begin);
  if (reinterpret_cast<uintptr_t>(tensor.data.data()) % dtype->bytes != 0) {
    return BadTensor(
        file, name,
        "the data is not aligned; pad the header with spaces to a multiple of 8 bytes, as "
        "the safetensors library does");
  }
  return tensor;
}

template <typename T>
std::span<const T> ValuesOf(const Tensor& tensor) {
  return {reinterpret_cast<const T*>(tensor.data.data()), tensor.data.size() / sizeof(T)};
}

// Rounded to nearest; infinite beyond what f32 holds.
float FloatFromF64(double value) {
  constexpr double kMax = std::numeric_limits<float>::max();
  if (!(std::abs(value) <= kMax)) return std::numeric_limits<float>::infinity();
  return static_cast<float>(value);
}

absl::Status NotFinite(std::string_view file, std::string_view tensor, size_t at, double value) {
  if (std::isfinite(value)) {
    return BadTensor(
        file, tensor,
        fmt::format("element {} is {}, beyond the range of F32 (3.4e38); is the training "
                    "sound?",
                    at, value));
  }
  return BadTensor(
      file, tensor,
      fmt::format("element {} is {}; every weight must be finite: export a checkpoint from before "
                  "the training diverged",
                  at, value));
}

}  // namespace

void FileBytes::Free::operator()(std::byte* data) const { std::free(data); }

FileBytes::FileBytes(size_t size) : size_(size) {
  const size_t rounded = (size / kAlignment + 1) * kAlignment;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded)));
  if (data_ == nullptr) throw std::bad_alloc();
}

absl::StatusOr<std::shared_ptr<const FileBytes>> ReadFileBytes(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(fmt::format("\"{}\" is not a file", path));
  }
  const uintmax_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) return absl::UnavailableError(fmt::format("cannot open \"{}\"", path));
  std::shared_ptr<FileBytes> bytes;
  try {
    bytes = std::make_shared<FileBytes>(static_cast<size_t>(size));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        fmt::format("\"{}\" has {} bytes, more than there is memory for", path, size));
  }
  const auto wanted = static_cast<std::streamsize>(size);
  file.read(reinterpret_cast<char*>(bytes->mutable_view().data()), wanted);
  if (file.gcount() != wanted)
    return absl::UnavailableError(fmt::format("cannot read \"{}\"", path));
  return bytes;
}

size_t Tensor::element_count() const {
  for (const DTypeName& known : kDTypes) {
    if (known.dtype == dtype) return data.size() / known.bytes;
  }
  return 0;
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Parse(std::string name,
                                                       std::shared_ptr<const FileBytes> bytes) {
  const std::span<const std::byte> all = bytes->view();
  uint64_t header_bytes = 0;
  if (all.size() < sizeof(header_bytes)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {} bytes are too short for a safetensors file", name, all.size()));
  }
  std::memcpy(&header_bytes, all.data(), sizeof(header_bytes));
  if (header_bytes > kHeaderBytesMax || header_bytes > all.size() - sizeof(header_bytes)) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: the header's length {} exceeds the file's {} bytes or the limit of {}; the "
        "file is truncated or not safetensors",
        name, header_bytes, all.size(), kHeaderBytesMax));
  }
  const std::string_view text = bytes->text().substr(sizeof(header_bytes), header_bytes);
  const absl::StatusOr<json> parsed = ParseStrictJson(text);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("{}: the header: {}", name, std::string(parsed.status().message())));
  }
  const json& header = *parsed;
  if (!header.is_object()) {
    return absl::InvalidArgumentError(fmt::format("{}: the header is not a JSON object", name));
  }
  SafetensorsFile file;
  const std::span<const std::byte> data = all.subspan(sizeof(header_bytes) + header_bytes);
  for (const auto& [key, entry] : header.items()) {
    if (key == "__metadata__") {
      if (!entry.is_object()) {
        return absl::InvalidArgumentError(fmt::format("{}: __metadata__ is not an object", name));
      }
      for (const auto& [meta_key, value] : entry.items()) {
        if (!value.is_string()) {
          return absl::InvalidArgumentError(
              fmt::format("{}: __metadata__ {} is not a string", name, QuotedText(meta_key)));
        }
        file.metadata_[meta_key] = value.get<std::string>();
      }
      continue;
    }
    if (key.empty() || key.size() > kNameBytesMax || HasControlCharacter(key)) {
      return absl::InvalidArgumentError(fmt::format(
          "{}: the name of a tensor must be 1 to {} bytes without control characters; {} "
          "has {}",
          name, kNameBytesMax, QuotedText(key), key.size()));
    }
    absl::StatusOr<Tensor> tensor = ParseTensor(name, key, entry, data);
    if (!tensor.ok()) return tensor.status();
    file.tensors_.emplace(key, *std::move(tensor));
  }
  file.name_ = std::move(name);
  file.bytes_ = std::move(bytes);
  file.converted_ = std::make_shared<std::map<std::string, std::vector<float>>>();
  return file;
}

absl::StatusOr<Tensor> SafetensorsFile::Find(std::string_view tensor,
                                             std::span<const size_t> shape) const {
  const auto at = tensors_.find(std::string(tensor));
  if (at == tensors_.end()) {
    return absl::NotFoundError(
        fmt::format("{}: tensor \"{}\" of shape [{}] is missing; export it with the others", name_,
                    tensor, fmt::join(shape, ", ")));
  }
  if (!std::equal(shape.begin(), shape.end(), at->second.shape.begin(), at->second.shape.end())) {
    return BadTensor(
        name_, tensor,
        fmt::format("has shape [{}]; [{}] is needed: are file and manifest of one training?",
                    fmt::join(at->second.shape, ", "), fmt::join(shape, ", ")));
  }
  return at->second;
}

absl::StatusOr<std::span<const float>> SafetensorsFile::Floats(
    std::string_view tensor, std::span<const size_t> shape) const {
  const absl::StatusOr<Tensor> found = Find(tensor, shape);
  if (!found.ok()) return found.status();
  switch (found->dtype) {
    case DType::kF16:
      return Convert<uint16_t>(tensor, *found, FloatFromF16);
    case DType::kBF16:
      return Convert<uint16_t>(tensor, *found, FloatFromBf16);
    case DType::kF64:
      return Convert<double>(tensor, *found, FloatFromF64);
    case DType::kF32:
      break;
    case DType::kI32:
    case DType::kI64:
      return BadTensor(
          name_, tensor,
          "holds integers where numbers are needed; export it as F32, F16, BF16 or F64");
  }
  const std::span<const float> values = ValuesOf<float>(*found);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) return NotFinite(name_, tensor, i, values[i]);
  }
  return values;
}

template <typename From>
absl::StatusOr<std::span<const float>> SafetensorsFile::Convert(std::string_view name,
                                                                const Tensor& tensor,
                                                                float (*to_float)(From)) const {
  std::vector<float>& values = (*converted_)[std::string(name)];
  if (!values.empty()) return std::span<const float>(values);
  const std::span<const From> from = ValuesOf<From>(tensor);
  values.reserve(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    values.push_back(to_float(from[i]));
    if (std::isfinite(values.back())) continue;
    values.clear();
    if constexpr (std::is_same_v<From, double>) return NotFinite(name_, name, i, from[i]);
    return NotFinite(name_, name, i, to_float(from[i]));
  }
  return std::span<const float>(values);
}

absl::StatusOr<std::vector<int64_t>> SafetensorsFile::Integers(
    std::string_view tensor, std::span<const size_t> shape) const {
  const absl::StatusOr<Tensor> found = Find(tensor, shape);
  if (!found.ok()) return found.status();
  std::vector<int64_t> values(found->element_count());
  if (found->dtype == DType::kI64) {
    const auto* wide = reinterpret_cast<const int64_t*>(found->data.data());
    std::copy(wide, wide + values.size(), values.begin());
  } else if (found->dtype == DType::kI32) {
    const auto* narrow = reinterpret_cast<const int32_t*>(found->data.data());
    std::copy(narrow, narrow + values.size(), values.begin());
  } else {
    return BadTensor(name_, tensor, "must be I32 or I64");
  }
  return values;
}

}  // namespace groundswell
