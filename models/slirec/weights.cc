#include "models/slirec/weights.h"

#include <algorithm>

#include "models/files/checkpoint_reader.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

constexpr double kDaySeconds = 86'400;
constexpr double kMicrosecondsPerSecond = 1e6;
// A microsecond, in which times are counted, to thirty years: what a time is divided by stays
// finite and tells times apart.
constexpr double kTimeUnitLeastS = 1e-6;
constexpr double kTimeUnitMostS = 1e9;

absl::Status ReadSlirecOptions(const std::map<std::string, std::string>& options,
                               SlirecWeights& weights) {
  OptionReader option("slirec", options);
  option.ChoiceOrFirst("variant", {"deeprec"});
  weights.padding = option.ChoiceOrFirst("padding", {"included", "masked"}) == 0
                        ? SlirecPadding::kIncluded
                        : SlirecPadding::kMasked;
  weights.time_last = option.ChoiceOrFirst("time_last", {"first_action", "previous_action"}) == 0
                          ? SlirecTimeLast::kFirstAction
                          : SlirecTimeLast::kPreviousAction;
  weights.time_unit_us =
      option.PositiveNumberOr("time_unit_s", kDaySeconds, kTimeUnitLeastS, kTimeUnitMostS) *
      kMicrosecondsPerSecond;
  weights.max_history = option.Size("max_history", kSequenceHistoryMax);
  weights.precision = option.ReadPrecision();
  return option.Finish();
}

// A layer over the first `first` inputs of the file's, and over the others.
struct SplitLayer {
  DenseLayer of_first;  // with the bias
  DenseLayer of_rest;
};
SplitLayer ReadSplit(CheckpointReader& reader, const std::string& name, size_t out, size_t first,
                     size_t rest) {
  const DenseLayer whole = ReadDense(reader, name, out, first + rest);
  SplitLayer split{.of_first = InputsOf(whole, 0, first), .of_rest = InputsOf(whole, first, rest)};
  split.of_first.bias = whole.bias;
  return split;
}

// Layers of the same inputs side by side.
DenseLayer JoinOutputs(std::initializer_list<const DenseLayer*> layers) {
  DenseLayer all{.weight = {.in = (*layers.begin())->in()}, .bias = {}};
  for (const DenseLayer* layer : layers) all.weight.out += layer->out();
  for (size_t k = 0; k < all.in(); ++k) {
    for (const DenseLayer* layer : layers) {
      const auto row = layer->weight.values.begin() + static_cast<ptrdiff_t>(k * layer->out());
      all.weight.values.insert(all.weight.values.end(), row,
                               row + static_cast<ptrdiff_t>(layer->out()));
    }
  }
  for (const DenseLayer* layer : layers) {
    all.bias.insert(all.bias.end(), layer->bias.begin(), layer->bias.end());
  }
  return all;
}

SlirecLstm ReadLstm(CheckpointReader& reader, size_t in, size_t h) {
  SlirecLstm lstm;
  SplitLayer gates = ReadSplit(reader, "lstm.gates", 4 * h, in, h);
  SplitLayer now = ReadSplit(reader, "lstm.now", h, in, h);
  SplitLayer last = ReadSplit(reader, "lstm.last", h, in, h);
  lstm.output_time = ReadDense(reader, "lstm.output.time", h, 2 * h, /*has_bias=*/false);
  lstm.now_scale = reader.Read("lstm.now.input.weight", {h});
  lstm.now_bias = reader.Read("lstm.now.input.bias", {h});
  lstm.last_scale = reader.Read("lstm.last.input.weight", {h});
  lstm.last_bias = reader.Read("lstm.last.input.bias", {h});
  if (!reader.ok()) return lstm;
  lstm.input = JoinOutputs({&gates.of_first, &now.of_first, &last.of_first});
  lstm.gates_state = std::move(gates.of_rest);
  lstm.now_time = std::move(now.of_rest);
  lstm.last_time = std::move(last.of_rest);
  return lstm;
}

void ReadHeads(CheckpointReader& reader, SlirecWeights& weights) {
  const size_t d = weights.width();
  weights.alpha = ReadMlp(reader, "alpha", 3 * d + 1, Activation::kRelu);
  weights.head = ReadMlp(reader, "head", 2 * d, Activation::kRelu);
  if (!reader.ok()) return;
  weights.alpha_target = InputsOf(weights.alpha.first, 0, d);
  weights.alpha_long = InputsOf(weights.alpha.first, d, d);
  weights.alpha_long.bias = weights.alpha.first.bias;
  weights.alpha_short = InputsOf(weights.alpha.first, 2 * d, d);
  weights.alpha_tau = InputsOf(weights.alpha.first, 3 * d, 1);
  weights.head_blend = InputsOf(weights.head.first, 0, d);
  weights.head_blend.bias = weights.head.first.bias;
  weights.head_target = InputsOf(weights.head.first, d, d);
  DropValues(weights.alpha.first);
  DropValues(weights.head.first);
}

}  // namespace

absl::StatusOr<SlirecWeights> LoadSlirecWeights(const SafetensorsFile& file,
                                                const std::map<std::string, std::string>& options) {
  SlirecWeights weights{.file = file};
  if (absl::Status s = ReadSlirecOptions(options, weights); !s.ok()) return s;

  CheckpointReader reader(file);
  weights.items = ReadItems(reader, Categories::kPerItem);
  const size_t d = weights.width();
  weights.long_query = reader.Read("long.query", {d});
  // Long and short are blended: the states are as wide as the embeddings.
  weights.lstm = ReadLstm(reader, weights.items.item_width, d);
  weights.attention = ReadTargetAttention(reader,
                                          {.keys = AttentionKeys::kTransformed,
                                           .query = AttentionQuery::kAsItIs,
                                           .activation = Activation::kRelu,
                                           .key_width = d,
                                           .query_width = d},
                                          weights.max_history);
  ReadHeads(reader, weights);
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  if (absl::Status s = PackTargetAttention(weights.precision, weights.attention); !s.ok()) return s;
  for (Mlp* mlp : {&weights.alpha, &weights.head}) {
    if (absl::Status s = PackLayer(weights.precision, mlp->second); !s.ok()) return s;
  }
  return weights;
}

}  // namespace groundswell
