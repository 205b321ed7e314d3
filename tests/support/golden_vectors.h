// Reads golden vectors: safetensors files whose tensors may be of any dtype.
#ifndef GROUNDSWELL_TESTS_SUPPORT_GOLDEN_VECTORS_H_
#define GROUNDSWELL_TESTS_SUPPORT_GOLDEN_VECTORS_H_

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/files/safetensors.h"
#include "models/math/narrow_floats.h"

namespace groundswell {

inline SafetensorsFile OpenGolden(const std::string& directory, const std::string& name) {
  auto bytes = ReadFileBytes(directory + "/" + name);
  if (!bytes.ok()) throw std::runtime_error(std::string(bytes.status().message()));
  auto file = SafetensorsFile::Parse(name, *bytes);
  if (!file.ok()) throw std::runtime_error(std::string(file.status().message()));
  return *std::move(file);
}

inline std::vector<double> GoldenDoubles(const SafetensorsFile& file, const std::string& name) {
  const Tensor& tensor = file.tensors().at(name);
  std::vector<double> values(tensor.element_count());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto at = [&]<typename T>(T element) {
      std::memcpy(&element, tensor.data.data() + i * sizeof(T), sizeof(T));
      return static_cast<double>(element);
    };
    switch (tensor.dtype) {
      case DType::kF32:
        values[i] = at(float{});
        break;
      case DType::kF64:
        values[i] = at(double{});
        break;
      case DType::kI32:
        values[i] = at(int32_t{});
        break;
      case DType::kI64:
        values[i] = at(int64_t{});
        break;
      case DType::kF16:
        values[i] = FloatFromF16(static_cast<uint16_t>(at(uint16_t{})));
        break;
      case DType::kBF16:
        values[i] = FloatFromBf16(static_cast<uint16_t>(at(uint16_t{})));
        break;
    }
  }
  return values;
}

template <typename T>
std::vector<T> GoldenIntegers(const SafetensorsFile& file, const std::string& name) {
  const auto values = file.Integers(name, file.tensors().at(name).shape);
  if (!values.ok()) throw std::runtime_error(std::string(values.status().message()));
  return {values->begin(), values->end()};
}

}  // namespace groundswell

#endif  // GROUNDSWELL_TESTS_SUPPORT_GOLDEN_VECTORS_H_
