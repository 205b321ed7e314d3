// What the sequence rankers have in common behind the Ranker interface.
#ifndef GROUNDSWELL_MODELS_SEQUENCE_SEQUENCE_RANKER_H_
#define GROUNDSWELL_MODELS_SEQUENCE_SEQUENCE_RANKER_H_

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "models/math/weight.h"
#include "models/ranker.h"

namespace groundswell {

struct SequenceScratch : RankerScratch {
  Bf16Scratch products;
};

// A kind derives its ranker from this one and its scratch from the one above.
class SequenceRanker : public Ranker {
 public:
  SequenceRanker(std::string name, Precision precision)
      : name_(std::move(name)), precision_(precision) {}

  std::string_view name() const override { return name_; }
  std::string_view arithmetic() const override { return ArithmeticOf(precision_); }

  // Every variant is a user of its own.
  bool ScoreVariants(std::span<const UserFeatures> variants, const ItemFeatures& items,
                     RankerScratch& scratch, const std::function<bool()>& has_time,
                     std::span<float> logits) const override {
    auto& of_sequence = static_cast<SequenceScratch&>(scratch);
    of_sequence.products.in_f32 = true;
    const bool done = Ranker::ScoreVariants(variants, items, scratch, has_time, logits);
    of_sequence.products.in_f32 = false;
    return done;
  }

 private:
  const std::string name_;
  const Precision precision_;
};

}  // namespace groundswell

#endif  // GROUNDSWELL_MODELS_SEQUENCE_SEQUENCE_RANKER_H_
