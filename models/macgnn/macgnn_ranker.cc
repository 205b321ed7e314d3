#include "models/macgnn/macgnn_ranker.h"

#include <string>
#include <utility>

#include "models/macgnn/forward.h"
#include "models/macgnn/weights.h"

namespace groundswell {
namespace {

// Of the 70 that a user can have with the published sizes: more of them would cost what ranking 500
// items costs.
constexpr size_t kVariantsMax = 50;

class MacgnnRanker final : public Ranker {
 public:
  MacgnnRanker(std::string name, MacgnnWeights weights)
      : name_(std::move(name)), weights_(std::move(weights)) {}

  std::string_view name() const override { return name_; }

  RankerShape shape() const override {
    const MacgnnShape& shape = weights_.shape;
    return {.user_rows = shape.users,
            .item_rows = shape.items,
            .user_clusters = shape.user_clusters,
            .item_clusters = shape.item_clusters,
            .recent_items = shape.recent_len,
            .recent_users = shape.recent_len};
  }

  std::string_view arithmetic() const override { return ArithmeticOf(weights_.precision); }

  std::unique_ptr<RankerScratch> NewScratch(size_t block_size) const override {
    return std::make_unique<MacgnnScratch>(weights_, block_size);
  }

  absl::Status PrepareUser(const UserFeatures& user, RankerScratch& scratch) const override {
    MacgnnPrepareUser(weights_, user, static_cast<MacgnnScratch&>(scratch));
    return absl::OkStatus();
  }

  void ScoreItems(const ItemFeatures& items, RankerScratch& scratch,
                  std::span<float> logits) const override {
    MacgnnScoreItems(weights_, items, static_cast<MacgnnScratch&>(scratch), logits);
  }

  size_t prepared_width() const override { return MacgnnPreparedWidth(weights_); }

  void PrepareItems(const ItemFeatures& items, RankerScratch& scratch,
                    std::span<float> prepared) const override {
    MacgnnPrepareItems(weights_, items, static_cast<MacgnnScratch&>(scratch), prepared);
  }

  void ScorePrepared(std::span<const float> prepared, RankerScratch& scratch,
                     std::span<float> logits) const override {
    MacgnnScorePrepared(weights_, prepared, static_cast<MacgnnScratch&>(scratch), logits);
  }

  bool ScoreVariants(std::span<const UserFeatures> variants, const ItemFeatures& items,
                     RankerScratch& scratch, const std::function<bool()>& has_time,
                     std::span<float> logits) const override {
    auto& of_macgnn = static_cast<MacgnnScratch&>(scratch);
    // What is explained is a difference of two logits, which may be less than bf16 rounds away.
    of_macgnn.products.in_f32 = true;
    const bool done = MacgnnScoreVariants(weights_, variants, items, of_macgnn, has_time, logits);
    of_macgnn.products.in_f32 = false;
    return done;
  }

  size_t variants_max() const override { return kVariantsMax; }

 private:
  const std::string name_;
  const MacgnnWeights weights_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Ranker>> MakeMacgnnRanker(const Manifest::Model& model,
                                                         const SafetensorsFile& file) {
  absl::StatusOr<MacgnnWeights> weights = LoadMacgnnWeights(file, model.options);
  if (!weights.ok()) return weights.status();
  return std::unique_ptr<Ranker>(new MacgnnRanker(model.name, *std::move(weights)));
}

}  // namespace groundswell
