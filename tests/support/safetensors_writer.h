// Makes safetensors files in memory, good ones and, by hand, bad ones.
#ifndef GROUNDSWELL_TESTS_SUPPORT_SAFETENSORS_WRITER_H_
#define GROUNDSWELL_TESTS_SUPPORT_SAFETENSORS_WRITER_H_

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/files/safetensors.h"

namespace groundswell {

// A file of this header text and data, whatever they hold.
inline std::shared_ptr<const FileBytes> SafetensorsBytes(std::string_view header,
                                                         std::string_view data) {
  const uint64_t size = header.size();
  auto bytes = std::make_shared<FileBytes>(sizeof(size) + header.size() + data.size());
  std::byte* out = bytes->mutable_view().data();
  std::memcpy(out, &size, sizeof(size));
  std::memcpy(out + sizeof(size), header.data(), header.size());
  if (!data.empty()) std::memcpy(out + sizeof(size) + header.size(), data.data(), data.size());
  return bytes;
}

class SafetensorsWriter {
 public:
  void Add(const std::string& name, const std::vector<size_t>& shape,
           std::span<const float> values) {
    AddBytes(name, "F32", shape, values.data(), values.size_bytes());
  }
  void Add(const std::string& name, const std::vector<size_t>& shape,
           std::span<const int32_t> values) {
    AddBytes(name, "I32", shape, values.data(), values.size_bytes());
  }
  void Add(const std::string& name, const std::vector<size_t>& shape,
           std::span<const int64_t> values) {
    AddBytes(name, "I64", shape, values.data(), values.size_bytes());
  }

  void Add(const std::string& name, const std::vector<size_t>& shape,
           std::span<const double> values) {
    AddBytes(name, "F64", shape, values.data(), values.size_bytes());
  }
  // `dtype` is F16 or BF16.
  void AddNarrow(const std::string& name, const char* dtype, const std::vector<size_t>& shape,
                 std::span<const uint16_t> bits) {
    AddBytes(name, dtype, shape, bits.data(), bits.size_bytes());
  }

  std::shared_ptr<const FileBytes> Bytes() const {
    std::string header = header_.dump();
    header.append((8 - header.size() % 8) % 8, ' ');
    return SafetensorsBytes(header, data_);
  }

 private:
  void AddBytes(const std::string& name, const char* dtype, const std::vector<size_t>& shape,
                const void* values, size_t size) {
    data_.append((8 - data_.size() % 8) % 8, '\0');
    header_[name] = {
        {"dtype", dtype}, {"shape", shape}, {"data_offsets", {data_.size(), data_.size() + size}}};
    data_.append(static_cast<const char*>(values), size);
  }

  nlohmann::json header_ = nlohmann::json::object();
  std::string data_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_SAFETENSORS_WRITER_H_
