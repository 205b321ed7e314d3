#include "models/caser/weights.h"

#include <fmt/format.h>

#include "models/files/checkpoint_reader.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

// PREFIXhorizontal.{1..count}, of n_h outputs each.
void ReadHorizontal(CheckpointReader& reader, const std::string& prefix, size_t count,
                    CaserFilters& filters) {
  const size_t n_h =
      reader.MatrixShape(prefix + "horizontal.1.weight", kSequenceLayerMax, kSequenceInputsMax)[0];
  for (size_t k = 1; k <= count && reader.ok(); ++k) {
    filters.horizontal.push_back(
        ReadDense(reader, fmt::format("{}horizontal.{}", prefix, k), n_h, k * filters.width));
  }
}

CaserFilters ReadCaserPart(CheckpointReader& reader, const std::string& prefix, size_t width,
                           size_t max_history, size_t windows) {
  CaserFilters filters{.width = width, .vertical = {}, .horizontal = {}};
  const size_t n_v =
      reader.MatrixShape(prefix + "vertical.weight", kSequenceLayerMax, kSequenceInputsMax)[0];
  filters.vertical = ReadDense(reader, prefix + "vertical", n_v, max_history * width);
  ReadHorizontal(reader, prefix, windows, filters);
  return filters;
}

void ReadCaserDeeprec(CheckpointReader& reader, CaserWeights& weights) {
  const size_t l = weights.max_history;
  weights.items = ReadItems(reader, Categories::kPerItem);
  size_t windows = 1;
  while (windows < l && reader.Has(fmt::format("item.horizontal.{}.weight", windows + 1))) {
    ++windows;
  }
  weights.item = ReadCaserPart(reader, "item.", weights.items.item_width, l, windows);
  weights.cate = ReadCaserPart(reader, "cate.", weights.items.cate_width, l, windows);
  if (!reader.ok()) return;
  weights.head = ReadCandidateHead(reader, weights.features(), weights.items.width());
}

void ReadCaserOriginal(CheckpointReader& reader, CaserWeights& weights) {
  const size_t l = weights.max_history;
  weights.items = ReadItems(reader, Categories::kNone);
  const auto users = reader.MatrixShape("user_embed.weight", kSequenceRowsMax, kSequenceWidthMax);
  weights.users = users[0];
  weights.user_width = users[1];
  weights.user_embed = reader.Read("user_embed.weight", {users[0], users[1]});
  const size_t n_v =
      reader.MatrixShape("vertical.weight", kSequenceLayerMax, kSequenceHistoryMax)[0];
  weights.vertical = reader.Read("vertical.weight", {n_v, l});
  weights.vertical_bias = reader.Read("vertical.bias", {n_v});
  weights.filters.width = weights.items.width();
  ReadHorizontal(reader, "", l, weights.filters);
  if (!reader.ok()) return;
  const size_t d_z = reader.MatrixShape("fc.weight", kSequenceLayerMax, kSequenceInputsMax)[0];
  weights.fc = ReadDense(reader, "fc", d_z, weights.features());
  weights.output = reader.Read("output.weight", {weights.items.rows, d_z + weights.user_width});
  weights.bias = reader.Read("output.bias", {weights.items.rows});
}

}  // namespace

size_t CaserWeights::features() const {
  if (variant == CaserVariant::kOriginal) {
    return vertical_bias.size() * filters.width + filters.horizontal_features();
  }
  return item.vertical.out() + item.horizontal_features() + cate.vertical.out() +
         cate.horizontal_features();
}

absl::StatusOr<CaserWeights> LoadCaserWeights(const SafetensorsFile& file,
                                              const std::map<std::string, std::string>& options) {
  CaserWeights weights{.file = file};
  OptionReader option("caser", options);
  weights.variant = option.ChoiceOrFirst("variant", {"deeprec", "original"}) == 0
                        ? CaserVariant::kDeeprec
                        : CaserVariant::kOriginal;
  const bool is_deeprec = weights.variant == CaserVariant::kDeeprec;
  if (is_deeprec) {
    weights.padding = option.ChoiceOrFirst("padding", {"included", "masked"}) == 0
                          ? CaserPadding::kIncluded
                          : CaserPadding::kMasked;
  }
  weights.max_history = option.Size("max_history", kSequenceHistoryMax);
  weights.precision = option.ReadPrecision();
  if (absl::Status s = option.Finish(); !s.ok()) return s;

  CheckpointReader reader(file);
  if (is_deeprec) {
    ReadCaserDeeprec(reader, weights);
  } else {
    ReadCaserOriginal(reader, weights);
  }
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  if (absl::Status s = PackCandidateHead(weights.precision, weights.head); !s.ok()) return s;
  return weights;
}

}  // namespace groundswell
