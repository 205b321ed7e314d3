#include "models/dien/weights.h"

#include "models/files/checkpoint_reader.h"
#include "models/sequence/limits.h"

namespace groundswell {
namespace {

struct DienOptions {
  Activation activation = Activation::kDice;  // of deeprec
  GruReset reset = GruReset::kBefore;         // of the first GRU
};

DienOptions ReadDienOptions(OptionReader& option, DienWeights& weights) {
  DienOptions options;
  weights.variant = option.ChoiceOrFirst("variant", {"deeprec", "original"}) == 0
                        ? DienVariant::kDeeprec
                        : DienVariant::kOriginal;
  if (weights.variant == DienVariant::kDeeprec) {
    options.activation = option.ChoiceOrFirst("activation", {"dice", "relu"}) == 0
                             ? Activation::kDice
                             : Activation::kRelu;
    weights.first_layer = option.ChoiceOrFirst("first_layer", {"gru", "none"}) == 0
                              ? DienFirstLayer::kGru
                              : DienFirstLayer::kNone;
    options.reset = option.ChoiceOrFirst("reset", {"before", "after"}) == 0 ? GruReset::kBefore
                                                                            : GruReset::kAfter;
    if (weights.first_layer == DienFirstLayer::kNone && options.reset == GruReset::kAfter) {
      option.Refuse("reset", "absent or \"before\": with first_layer \"none\" there is no GRU");
    }
  }
  weights.update = option.ChoiceOrFirst("augru", {"code", "paper"}) == 0 ? AugruUpdate::kCode
                                                                         : AugruUpdate::kPaper;
  weights.max_history = option.Size("max_history", kSequenceHistoryMax);
  weights.asked = option.ReadPrecision();
  return options;
}

void ReadDienDeeprec(CheckpointReader& reader, const DienOptions& options, DienWeights& weights) {
  const size_t d = weights.items.width();
  const bool has_gru = weights.first_layer == DienFirstLayer::kGru;
  if (has_gru) weights.gru = ReadGru(reader, "gru", d, options.reset);
  const size_t h = has_gru ? weights.gru.state_width() : d;
  weights.attention = ReadTargetAttention(reader,
                                          {.keys = AttentionKeys::kTransformed,
                                           .query = AttentionQuery::kAsItIs,
                                           .activation = options.activation,
                                           .key_width = h,
                                           .query_width = d},
                                          weights.max_history);
  weights.augru = ReadGru(reader, "augru", h, GruReset::kBefore);
  const size_t g = weights.augru.state_width();
  weights.head = ReadMlp(reader, "head", 3 * d + g, options.activation);
  const DenseLayer& first = weights.head.first;
  weights.parts = {.target = InputsOf(first, 0, d),
                   .product = InputsOf(first, 2 * d + g, d),
                   .state = InputsOf(first, d, g),
                   .sum = InputsOf(first, d + g, d),
                   .user = {}};
}

void ReadDienOriginal(CheckpointReader& reader, DienWeights& weights) {
  const size_t d = weights.items.width();
  const auto users = reader.MatrixShape("user_embed.weight", kSequenceRowsMax, kSequenceWidthMax);
  weights.users = users[0];
  weights.user_width = users[1];
  weights.user_embed = reader.Read("user_embed.weight", {users[0], users[1]});
  weights.gru = ReadGru(reader, "gru", d, GruReset::kBefore);
  const size_t h = weights.gru.state_width();
  weights.attention = ReadTargetAttention(reader,
                                          {.keys = AttentionKeys::kAsTheyAre,
                                           .query = AttentionQuery::kTransformed,
                                           .activation = Activation::kSigmoid,
                                           .key_width = h,
                                           .query_width = d},
                                          weights.max_history);
  weights.augru = ReadGru(reader, "augru", h, GruReset::kBefore);
  const size_t g = weights.augru.state_width();
  const size_t u = weights.user_width;
  weights.head = ReadMlp(reader, "head", u + 3 * d + g, Activation::kDice);
  const DenseLayer& first = weights.head.first;
  weights.parts = {.target = InputsOf(first, u, d),
                   .product = InputsOf(first, u + 2 * d, d),
                   .state = InputsOf(first, u + 3 * d, g),
                   .sum = InputsOf(first, u + d, d),
                   .user = InputsOf(first, 0, u)};
}

}  // namespace

absl::StatusOr<DienWeights> LoadDienWeights(const SafetensorsFile& file,
                                            const std::map<std::string, std::string>& options) {
  DienWeights weights{.file = file};
  OptionReader option("dien", options);
  const DienOptions chosen = ReadDienOptions(option, weights);
  if (absl::Status s = option.Finish(); !s.ok()) return s;

  CheckpointReader reader(file);
  weights.items = ReadItems(reader, Categories::kPerItem);
  if (weights.variant == DienVariant::kDeeprec) {
    ReadDienDeeprec(reader, chosen, weights);
  } else {
    ReadDienOriginal(reader, weights);
  }
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  weights.parts.sum.bias = weights.head.first.bias;
  DropValues(weights.head.first);
  return weights;
}

}  // namespace groundswell
