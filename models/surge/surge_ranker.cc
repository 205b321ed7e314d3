#include "models/surge/surge_ranker.h"

#include <string>
#include <utility>

#include "models/surge/forward.h"
#include "models/surge/weights.h"

namespace groundswell {
namespace {

// A variant of the authors' user has an interest graph of his own, whose time grows with the square
// of the history; see variants_max.
constexpr size_t kHistoryOfTenVariants = 100;
constexpr size_t kVariantsOfLongHistories = 6;

class SurgeRanker final : public Ranker {
 public:
  SurgeRanker(std::string name, SurgeWeights weights)
      : name_(std::move(name)), weights_(std::move(weights)) {}

  std::string_view name() const override { return name_; }

  RankerShape shape() const override {
    return {.item_rows = weights_.shape.items, .recent_items = weights_.shape.max_history};
  }

  std::string_view arithmetic() const override { return ArithmeticOf(weights_.precision); }

  std::unique_ptr<RankerScratch> NewScratch(size_t block_size) const override {
    return NewSurgeScratch(weights_, block_size);
  }

  absl::Status PrepareUser(const UserFeatures& user, RankerScratch& scratch) const override {
    return SurgePrepareUser(weights_, user, static_cast<SurgeScratch&>(scratch));
  }

  void ScoreItems(const ItemFeatures& items, RankerScratch& scratch,
                  std::span<float> logits) const override {
    SurgeScoreItems(weights_, items, static_cast<SurgeScratch&>(scratch), logits);
  }

  bool ScoreVariants(std::span<const UserFeatures> variants, const ItemFeatures& items,
                     RankerScratch& scratch, const std::function<bool()>& has_time,
                     std::span<float> logits) const override {
    auto& of_surge = static_cast<SurgeScratch&>(scratch);
    of_surge.products.in_f32 = true;
    const bool done = Ranker::ScoreVariants(variants, items, scratch, has_time, logits);
    of_surge.products.in_f32 = false;
    return done;
  }

  size_t variants_max() const override {
    const bool is_long = weights_.variant == SurgeVariant::kAuthors &&
                         weights_.shape.max_history > kHistoryOfTenVariants;
    return is_long ? kVariantsOfLongHistories : Ranker::variants_max();
  }

 private:
  const std::string name_;
  const SurgeWeights weights_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Ranker>> MakeSurgeRanker(const Manifest::Model& model,
                                                        const SafetensorsFile& file) {
  absl::StatusOr<SurgeWeights> weights = LoadSurgeWeights(file, model.options);
  if (!weights.ok()) return weights.status();
  return std::unique_ptr<Ranker>(new SurgeRanker(model.name, *std::move(weights)));
}

}  // namespace groundswell
