#include "models/din/weights.h"

#include "models/files/checkpoint_reader.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

void ReadDinDeeprec(CheckpointReader& reader, DinWeights& weights) {
  const size_t d = weights.items.width();
  weights.attention = ReadTargetAttention(reader,
                                          {.keys = AttentionKeys::kTransformed,
                                           .query = AttentionQuery::kAsItIs,
                                           .activation = Activation::kRelu,
                                           .key_width = d,
                                           .query_width = d},
                                          weights.max_history);
  weights.head = ReadMlp(reader, "head", 3 * d, Activation::kRelu);
  const DenseLayer& first = weights.head.first;
  weights.head_of_candidate = JoinInputs(InputsOf(first, 0, d), InputsOf(first, 2 * d, d));
  weights.head_of_sum = InputsOf(first, d, d);
  weights.head_of_sum.bias = first.bias;
}

void ReadDinOriginal(CheckpointReader& reader, Activation activation, DinWeights& weights) {
  const size_t d = weights.items.width();
  weights.attention = ReadTargetAttention(reader,
                                          {.keys = AttentionKeys::kAsTheyAre,
                                           .query = AttentionQuery::kAsItIs,
                                           .activation = Activation::kSigmoid,
                                           .key_width = d,
                                           .query_width = d},
                                          weights.max_history);
  weights.user = ReadDense(reader, "user", d, d);
  weights.head = ReadMlp(reader, "head", 3 * d, activation);
  weights.head_of_candidate = weights.head.first;
  weights.item_bias = reader.Read("item_bias", {weights.items.rows});
}

}  // namespace

absl::StatusOr<DinWeights> LoadDinWeights(const SafetensorsFile& file,
                                          const std::map<std::string, std::string>& options) {
  DinWeights weights{.file = file};
  OptionReader option("din", options);
  weights.variant = option.ChoiceOrFirst("variant", {"deeprec", "original"}) == 0
                        ? DinVariant::kDeeprec
                        : DinVariant::kOriginal;
  const bool is_deeprec = weights.variant == DinVariant::kDeeprec;
  Activation activation = Activation::kRelu;
  if (!is_deeprec) {
    activation = option.ChoiceOrFirst("activation", {"sigmoid", "dice"}) == 0 ? Activation::kSigmoid
                                                                              : Activation::kDice;
  }
  weights.max_history = option.Size("max_history", kSequenceHistoryMax);
  weights.precision = option.ReadPrecision();
  if (absl::Status s = option.Finish(); !s.ok()) return s;

  CheckpointReader reader(file);
  weights.items = ReadItems(reader, Categories::kPerItem);
  if (is_deeprec) {
    ReadDinDeeprec(reader, weights);
  } else {
    ReadDinOriginal(reader, activation, weights);
  }
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  DropValues(weights.head.first);
  // The head's first layer stays in f32: the sum over the history is large.
  if (absl::Status s = PackTargetAttention(weights.precision, weights.attention); !s.ok()) return s;
  if (absl::Status s = PackLayer(weights.precision, weights.head.second); !s.ok()) return s;
  return weights;
}

}  // namespace groundswell
