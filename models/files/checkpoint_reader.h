// What the loaders of rankers and encoders read their tensors and options with. Both keep the first
// error and do nothing after it, so that a loader reads line by line and asks once, by Finish,
// which also refuses what nobody has read. Every error is an InvalidArgument that names the tensor
// or the option, what it is, and what would be right.
#ifndef GROUNDSWELL_MODELS_FILES_CHECKPOINT_READER_H_
#define GROUNDSWELL_MODELS_FILES_CHECKPOINT_READER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "models/files/safetensors.h"
#include "models/math/weight.h"

namespace groundswell {

// InvalidArgument, with how to fold it, when the file has tensors of a batch normalisation, as
// frameworks name them: no ranker serves one by itself.
absl::Status RefuseBatchNormalisation(const SafetensorsFile& file);

class CheckpointReader {
 public:
  // `file` must outlive it.
  explicit CheckpointReader(const SafetensorsFile& file)
      : file_(file), status_(RefuseBatchNormalisation(file)) {}

  bool Has(const std::string& name) const { return file_.tensors().contains(name); }

  // Rows and columns of a matrix that is there, not empty, and within the limits; else {0, 0}.
  std::array<size_t, 2> MatrixShape(const std::string& name, size_t rows_max, size_t columns_max);

  // The finite numbers of a tensor of exactly this shape; else nothing.
  std::span<const float> Read(const std::string& name, std::initializer_list<size_t> shape);
  std::vector<int64_t> ReadIntegers(const std::string& name, std::initializer_list<size_t> shape);
  // As Read, but numbers that the file has as F64 keep all their digits.
  std::vector<double> ReadDoubles(const std::string& name, std::initializer_list<size_t> shape);

  // Of each of `items` rows its category, from `category_of_item`: a row of cate_embed.weight,
  // which has `categories`, and 0 for row 0; else nothing.
  std::vector<uint32_t> ReadCategories(size_t items, size_t categories);

  // Accepts a tensor that nothing is computed from, whatever it holds.
  void Skip(const std::string& name) { read_.insert(name); }

  void Refuse(std::string_view what);

  // Refuses tensors that nobody has read. The first error.
  absl::Status Finish();
  bool ok() const { return status_.ok(); }

 private:
  const SafetensorsFile& file_;
  std::set<std::string> read_;
  absl::Status status_;
};

class OptionReader {
 public:
  // `options` must outlive it. `kind` is for the messages.
  OptionReader(std::string_view kind, const std::map<std::string, std::string>& options)
      : kind_(kind), options_(options) {}

  // The position among `choices` of the value; it must be there.
  size_t Choice(const std::string& name, std::initializer_list<std::string_view> choices);
  // Likewise; 0, which is the first one's, where it is absent.
  size_t ChoiceOrFirst(const std::string& name, std::initializer_list<std::string_view> choices);
  // An integer from 1 to `most`; it must be there.
  size_t Size(const std::string& name, size_t most);
  // Likewise; `otherwise` where it is absent.
  size_t SizeOr(const std::string& name, size_t otherwise, size_t most);
  // Numbers from -`most` to `most` between commas, at least one and at most `count_max`.
  std::vector<double> Numbers(const std::string& name, double most, size_t count_max);
  // As it is; empty where it is absent.
  std::string Text(const std::string& name);
  // A number from `least`, not below 0, to `most`; it must be there.
  double PositiveNumber(const std::string& name, double least, double most);
  // Likewise; `otherwise` where it is absent.
  double PositiveNumberOr(const std::string& name, double otherwise, double least, double most);
  // Every kind of ranker has it.
  Precision ReadPrecision();

  void Refuse(const std::string& name, std::string_view remedy);

  // Refuses options that nobody has read: this variant does not have them.
  absl::Status Finish();
  bool ok() const { return status_.ok(); }

 private:
  // Null where it is absent.
  const std::string* Find(const std::string& name);

  const std::string kind_;
  const std::map<std::string, std::string>& options_;
  std::set<std::string> read_;
  absl::Status status_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_FILES_CHECKPOINT_READER_H_
