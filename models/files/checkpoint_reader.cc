#include "models/files/checkpoint_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

namespace groundswell {
namespace {

// What frameworks call the tensors of batch normalisation.
constexpr std::string_view kFoldableNames[] = {"running_mean", "running_var", "num_batches_tracked",
                                               "batch_norm",   "batchnorm",   "moving_variance",
                                               "moving_mean"};

// The whole text is one number.
template <typename Number>
bool ParseWhole(const std::string& text, Number& number) {
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  return end.ec == std::errc() && end.ptr == text.data() + text.size();
}

}  // namespace

absl::Status RefuseBatchNormalisation(const SafetensorsFile& file) {
  for (const auto& [name, tensor] : file.tensors()) {
    for (const std::string_view part : kFoldableNames) {
      if (name.find(part) == std::string::npos) continue;
      return absl::InvalidArgumentError(fmt::format(
          "{}: tensor \"{}\" is a batch normalisation's, which is not served. Fold it into the "
          "layer beside it and leave its tensors out. With k = gamma / sqrt(variance + epsilon): "
          "behind a layer, W' = diag(k) W, b' = k (b - mean) + beta; in front of one, W' = W "
          "diag(k), b' = b + W (beta - k mean)",
          file.name(), name));
    }
  }
  return absl::OkStatus();
}

std::array<size_t, 2> CheckpointReader::MatrixShape(const std::string& name, size_t rows_max,
                                                    size_t columns_max) {
  const auto at = file_.tensors().find(name);
  if (at == file_.tensors().end()) {
    Refuse(fmt::format(
        "tensor \"{}\" is missing; export the whole state of a model of this kind and variant",
        name));
    return {0, 0};
  }
  const std::vector<size_t>& shape = at->second.shape;
  if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0) {
    Refuse(
        fmt::format("tensor \"{}\" has shape [{}]; it must be a matrix of at least one row and one "
                    "column",
                    name, fmt::join(shape, ", ")));
    return {0, 0};
  }
  if (shape[0] > rows_max || shape[1] > columns_max) {
    Refuse(fmt::format("tensor \"{}\" has shape [{}, {}]; at most [{}, {}] is served", name,
                       shape[0], shape[1], rows_max, columns_max));
    return {0, 0};
  }
  return {shape[0], shape[1]};
}

std::span<const float> CheckpointReader::Read(const std::string& name,
                                              std::initializer_list<size_t> shape) {
  read_.insert(name);
  if (!status_.ok()) return {};
  const auto values = file_.Floats(name, std::span(shape.begin(), shape.size()));
  if (values.ok()) return *values;
  status_ = absl::InvalidArgumentError(values.status().message());
  return {};
}

std::vector<double> CheckpointReader::ReadDoubles(const std::string& name,
                                                  std::initializer_list<size_t> shape) {
  const std::span<const float> floats = Read(name, shape);
  if (!status_.ok()) return {};
  std::vector<double> values(floats.begin(), floats.end());
  const Tensor& tensor = file_.tensors().at(name);
  // Which Read found finite, also as floats.
  if (tensor.dtype == DType::kF64) {
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  }
  return values;
}

std::vector<int64_t> CheckpointReader::ReadIntegers(const std::string& name,
                                                    std::initializer_list<size_t> shape) {
  read_.insert(name);
  if (!status_.ok()) return {};
  auto values = file_.Integers(name, std::span(shape.begin(), shape.size()));
  if (values.ok()) return *std::move(values);
  status_ = absl::InvalidArgumentError(values.status().message());
  return {};
}

std::vector<uint32_t> CheckpointReader::ReadCategories(size_t items, size_t categories) {
  const std::vector<int64_t> read = ReadIntegers("category_of_item", {items});
  const auto rows = static_cast<int64_t>(categories);
  for (size_t item = 0; item < read.size(); ++item) {
    const int64_t category = read[item];
    if (category >= 0 && category < rows && (item > 0 || category == 0)) continue;
    Refuse(fmt::format(
        "tensor \"category_of_item\": element {} is {}; it must be a row of cate_embed.weight, "
        "0 to {}, and 0 for row 0",
        item, category, rows - 1));
    return {};
  }
  return {read.begin(), read.end()};
}

void CheckpointReader::Refuse(std::string_view what) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(fmt::format("{}: {}", file_.name(), what));
}

absl::Status CheckpointReader::Finish() {
  for (const auto& [name, tensor] : file_.tensors()) {
    if (read_.contains(name)) continue;
    Refuse(
        fmt::format("tensor \"{}\" is not part of a model of this kind and variant; are the "
                    "manifest's kind and options right? Leave out what only training needs",
                    name));
  }
  return status_;
}

const std::string* OptionReader::Find(const std::string& name) {
  read_.insert(name);
  const auto at = options_.find(name);
  return at == options_.end() ? nullptr : &at->second;
}

void OptionReader::Refuse(const std::string& name, std::string_view remedy) {
  if (!status_.ok()) return;
  const auto at = options_.find(name);
  const std::string value = at == options_.end() ? "absent" : fmt::format("\"{}\"", at->second);
  status_ = absl::InvalidArgumentError(fmt::format(
      "manifest.json: option \"{}\" of kind {} is {}; it must be {}", name, kind_, value, remedy));
}

size_t OptionReader::Choice(const std::string& name,
                            std::initializer_list<std::string_view> choices) {
  const std::string* const value = Find(name);
  const auto at = value == nullptr ? choices.end() : std::ranges::find(choices, *value);
  if (at != choices.end()) return static_cast<size_t>(at - choices.begin());
  Refuse(name, fmt::format("\"{}\"", fmt::join(choices, "\" or \"")));
  return 0;
}

size_t OptionReader::ChoiceOrFirst(const std::string& name,
                                   std::initializer_list<std::string_view> choices) {
  const std::string* const value = Find(name);
  const auto at = value == nullptr ? choices.begin() : std::ranges::find(choices, *value);
  if (at != choices.end()) return static_cast<size_t>(at - choices.begin());
  const std::span<const std::string_view> others(choices.begin() + 1, choices.end());
  Refuse(name, fmt::format("\"{}\" (also when it is absent) or \"{}\"", *choices.begin(),
                           fmt::join(others, "\" or \"")));
  return 0;
}

size_t OptionReader::Size(const std::string& name, size_t most) {
  const std::string* const value = Find(name);
  size_t size = 0;
  if (value != nullptr && ParseWhole(*value, size) && size >= 1 && size <= most) return size;
  Refuse(name, fmt::format("an integer from 1 to {}", most));
  return 1;
}

size_t OptionReader::SizeOr(const std::string& name, size_t otherwise, size_t most) {
  return Find(name) == nullptr ? otherwise : Size(name, most);
}

std::vector<double> OptionReader::Numbers(const std::string& name, double most, size_t count_max) {
  const std::string* const value = Find(name);
  const std::string remedy = fmt::format(
      "1 to {} numbers from -{} to {} between commas, such as \"0.5,0.5\"", count_max, most, most);
  std::vector<double> numbers;
  std::string_view rest = value == nullptr ? std::string_view() : *value;
  for (bool is_last = false; !is_last;) {
    const size_t comma = rest.find(',');
    is_last = comma == std::string_view::npos;
    double number = 0;
    const bool is_number = ParseWhole(std::string(rest.substr(0, comma)), number);
    if (!is_number || !(std::abs(number) <= most) || numbers.size() == count_max) {
      Refuse(name, remedy);
      return {};
    }
    numbers.push_back(number);
    if (!is_last) rest.remove_prefix(comma + 1);
  }
  return numbers;
}

std::string OptionReader::Text(const std::string& name) {
  const std::string* const value = Find(name);
  return value == nullptr ? "" : *value;
}

double OptionReader::PositiveNumber(const std::string& name, double least, double most) {
  const std::string* const value = Find(name);
  double number = 0;
  if (value != nullptr && ParseWhole(*value, number) && number >= least && number <= most) {
    return number;
  }
  Refuse(name, fmt::format("a decimal number from {} to {}", least, most));
  return most;
}

double OptionReader::PositiveNumberOr(const std::string& name, double otherwise, double least,
                                      double most) {
  return Find(name) == nullptr ? otherwise : PositiveNumber(name, least, most);
}

Precision OptionReader::ReadPrecision() {
  read_.insert(kPrecisionOption);
  const std::optional<Precision> precision = PrecisionOf(options_);
  if (precision.has_value()) return *precision;
  Refuse(kPrecisionOption, kPrecisionRemedy);
  return Precision::kF32;
}

absl::Status OptionReader::Finish() {
  for (const auto& [name, value] : options_) {
    if (read_.contains(name)) continue;
    Refuse(name, fmt::format("absent: this variant has {}", fmt::join(read_, ", ")));
  }
  return status_;
}

}  // namespace groundswell
