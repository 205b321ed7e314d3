#include "models/gru4rec/weights.h"

#include "models/files/checkpoint_reader.h"
#include "models/sequence/limits.h"

namespace groundswell {

absl::StatusOr<Gru4recWeights> LoadGru4recWeights(
    const SafetensorsFile& file, const std::map<std::string, std::string>& options) {
  Gru4recWeights weights{.file = file};
  OptionReader option("gru4rec", options);
  weights.variant = option.ChoiceOrFirst("variant", {"deeprec", "original"}) == 0
                        ? Gru4recVariant::kDeeprec
                        : Gru4recVariant::kOriginal;
  const bool is_deeprec = weights.variant == Gru4recVariant::kDeeprec;
  const auto reset = option.ChoiceOrFirst("reset", {"before", "after"}) == 0 ? GruReset::kBefore
                                                                             : GruReset::kAfter;
  weights.max_history = option.Size("max_history", kSequenceHistoryMax);
  weights.precision = option.ReadPrecision();
  if (absl::Status s = option.Finish(); !s.ok()) return s;

  CheckpointReader reader(file);
  weights.items = ReadItems(reader, is_deeprec ? Categories::kPerItem : Categories::kNone);
  weights.gru = ReadGru(reader, "gru", weights.items.width(), reset);
  const size_t h = weights.gru.state_width();
  if (is_deeprec) {
    weights.head = ReadCandidateHead(reader, h, weights.items.width());
  } else {
    weights.output = reader.Read("output.weight", {weights.items.rows, h});
    weights.bias = reader.Read("output.bias", {weights.items.rows});
  }
  if (absl::Status s = reader.Finish(); !s.ok()) return s;
  if (absl::Status s = PackCandidateHead(weights.precision, weights.head); !s.ok()) return s;
  return weights;
}

}  // namespace groundswell
