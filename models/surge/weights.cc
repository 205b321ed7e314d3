#include "models/surge/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "models/files/checkpoint_reader.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

// Bounds beside those of all sequence rankers (models/sequence/limits.h).
constexpr size_t kHeadsMax = 64;
constexpr size_t kSurgeClustersMax = 1'000;

SurgeAttention ReadAttention(CheckpointReader& reader, const std::string& name, size_t d) {
  SurgeAttention attention;
  const size_t hidden1 =
      reader.MatrixShape(name + ".mlp.0.weight", kSequenceLayerMax, 8 * kSequenceWidthMax)[0];
  const size_t hidden2 =
      reader.MatrixShape(name + ".mlp.2.weight", kSequenceLayerMax, kSequenceLayerMax)[0];
  attention.transform = ReadDense(reader, name + ".attention", d, d, /*has_bias=*/false);
  attention.first = ReadDense(reader, name + ".mlp.0", hidden1, 4 * d);
  attention.second = ReadDense(reader, name + ".mlp.2", hidden2, hidden1);
  attention.third = ReadDense(reader, name + ".mlp.4", 1, hidden2);
  if (!reader.ok()) return {};
  attention.own = InputsOf(attention.first, 0, d);
  attention.own.bias = attention.first.bias;
  attention.query = InputsOf(attention.first, d, d);
  const DenseLayer difference = InputsOf(attention.first, 2 * d, d);
  AddScaledLayer(difference, 1.0f, attention.own);
  AddScaledLayer(difference, -1.0f, attention.query);
  attention.query_product = InputsOf(attention.first, 3 * d, d);
  return attention;
}

SurgeQuery ReadQuery(CheckpointReader& reader, size_t d) {
  SurgeQuery query;
  const size_t hidden =
      reader.MatrixShape("query.mlp.0.weight", kSequenceLayerMax, 6 * kSequenceWidthMax)[0];
  query.transform = ReadDense(reader, "query.transform", d, d, /*has_bias=*/false);
  const DenseLayer first = ReadDense(reader, "query.mlp.0", hidden, 3 * d);
  query.second = ReadDense(reader, "query.mlp.2", 1, hidden);
  if (!reader.ok()) return {};
  query.own = InputsOf(first, 0, d);
  query.own.bias = first.bias;
  query.query = InputsOf(first, d, d);
  query.query_product = InputsOf(first, 2 * d, d);
  return query;
}

absl::Status ReadSurgeOptions(const std::map<std::string, std::string>& options,
                              SurgeWeights& weights) {
  OptionReader option("surge", options);
  weights.variant = option.Choice("variant", {"authors", "paper"}) == 0 ? SurgeVariant::kAuthors
                                                                        : SurgeVariant::kPaper;
  weights.precision = option.ReadPrecision();
  weights.shape.max_history = option.Size("max_history", kSequenceHistoryMax);
  if (weights.variant == SurgeVariant::kAuthors) {
    weights.shape.pool_length = option.Size("pool_length", kSequenceHistoryMax);
  } else if (options.contains("pool_length")) {
    option.Refuse("pool_length", "absent: the number of clusters comes from pool.weight");
  }
  return option.Finish();
}

void ReadSurgeShape(CheckpointReader& reader, SurgeVariant variant, SurgeShape& shape) {
  const auto items = reader.MatrixShape("item_embed.weight", kSequenceRowsMax, kSequenceWidthMax);
  const auto categories =
      reader.MatrixShape("cate_embed.weight", kSequenceRowsMax, kSequenceWidthMax);
  shape.items = items[0];
  shape.item_width = items[1];
  shape.categories = categories[0];
  shape.category_width = categories[1];
  shape.heads = reader.MatrixShape("metric.weight", kHeadsMax, 2 * kSequenceWidthMax)[0];
  shape.state_width =
      reader.MatrixShape("augru.candidate.weight", kSequenceWidthMax, 4 * kSequenceWidthMax)[0];
  if (variant == SurgeVariant::kPaper) {
    shape.clusters = reader.MatrixShape("pool.weight", kSurgeClustersMax, 2 * kSequenceWidthMax)[0];
  }
}

// Sizes that are products of others: the memory of one thread must stay within bounds.
void CheckMemory(CheckpointReader& reader, const SurgeWeights& weights) {
  const SurgeShape& shape = weights.shape;
  const size_t hidden = std::max({weights.f2.first.weight.out, weights.evolution.first.weight.out,
                                  weights.query.own.weight.out, size_t{1}});
  const size_t positions = shape.max_history + 24;
  const size_t adjacency = weights.variant == SurgeVariant::kPaper
                               ? positions * positions * shape.d()
                               : positions * positions;
  const size_t pooled = (shape.clusters + 1) * (3 * shape.state_width + shape.d() + positions);
  if (positions * shape.d() * hidden <= kSequenceUserFloatsMax &&
      adjacency <= kSequenceUserFloatsMax && pooled <= kSequenceUserFloatsMax / 128) {
    return;
  }
  reader.Refuse(fmt::format(
      "max_history {}, width {}, hidden layers of {} and {} clusters are more than one thread has "
      "memory for; lower max_history",
      shape.max_history, shape.d(), hidden, shape.clusters));
}

void ReadVariant(CheckpointReader& reader, SurgeWeights& weights) {
  const size_t d = weights.shape.d();
  if (weights.variant == SurgeVariant::kAuthors) {
    weights.f1 = ReadAttention(reader, "f1", d);
    weights.f2 = ReadAttention(reader, "f2", d);
    weights.evolution = ReadAttention(reader, "augru_attention", d);
    return;
  }
  weights.query = ReadQuery(reader, d);
  weights.pool = ReadDense(reader, "pool", weights.shape.clusters, d, /*has_bias=*/false);
  // What the cluster's attention adds cancels in the softmax; its tensors must still fit.
  const size_t hidden =
      reader.MatrixShape("cluster.mlp.0.weight", kSequenceLayerMax, 6 * kSequenceWidthMax)[0];
  ReadDense(reader, "cluster.transform", d, d, /*has_bias=*/false);
  ReadDense(reader, "cluster.mlp.0", hidden, 3 * d);
  ReadDense(reader, "cluster.mlp.2", 1, hidden);
}

// The products that are made per candidate, in the model's precision. Those with matrices of the
// user have nothing to pack at load. The authors' f2 stays f32: in bf16 other positions are kept,
// which changes logits by 0.17 instead of 0.01.
absl::Status Pack(SurgeWeights& weights) {
  for (DenseLayer* layer :
       {&weights.augru.input, &weights.augru.gates_state, &weights.augru.candidate_state,
        &weights.head0, &weights.head2, &weights.evolution.second, &weights.pool}) {
    if (absl::Status s = PackLayer(weights.precision, *layer); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace

void SurgeWeights::Embed(uint32_t item, std::span<float> out) const {
  std::copy_n(item_embed.data() + size_t{item} * shape.item_width, shape.item_width, out.data());
  std::copy_n(cate_embed.data() + size_t{category_of_item[item]} * shape.category_width,
              shape.category_width, out.data() + shape.item_width);
}

absl::StatusOr<SurgeWeights> LoadSurgeWeights(const SafetensorsFile& file,
                                              const std::map<std::string, std::string>& options) {
  SurgeWeights weights{.file = file};
  if (absl::Status s = ReadSurgeOptions(options, weights); !s.ok()) return s;
  CheckpointReader reader(file);
  SurgeShape& shape = weights.shape;
  ReadSurgeShape(reader, weights.variant, shape);
  const size_t d = shape.d();
  weights.item_embed = reader.Read("item_embed.weight", {shape.items, shape.item_width});
  weights.cate_embed = reader.Read("cate_embed.weight", {shape.categories, shape.category_width});
  weights.category_of_item = reader.ReadCategories(shape.items, shape.categories);
  weights.metric = reader.Read("metric.weight", {shape.heads, d});
  weights.fusion = ReadDense(reader, "fusion.dense", d, d, /*has_bias=*/false);
  weights.augru = ReadGru(reader, "augru", d, GruReset::kBefore);
  const size_t hidden1 =
      reader.MatrixShape("head.0.weight", kSequenceLayerMax, 8 * kSequenceWidthMax)[0];
  const size_t hidden2 =
      reader.MatrixShape("head.2.weight", kSequenceLayerMax, kSequenceLayerMax)[0];
  weights.head0 = ReadDense(reader, "head.0", hidden1, shape.head_input());
  weights.head2 = ReadDense(reader, "head.2", hidden2, hidden1);
  weights.head4 = ReadDense(reader, "head.4", 1, hidden2);
  ReadVariant(reader, weights);
  CheckMemory(reader, weights);
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  if (absl::Status s = Pack(weights); !s.ok()) return s;
  return weights;
}

}  // namespace groundswell
