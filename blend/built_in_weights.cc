#include <string>
#include <string_view>

#include "blend/model.h"

namespace groundswell {
namespace {

struct FeatureWeights {
  std::string_view feature;
  float new_user, in_visit, returning;
};

// Those of the embedding, similar items, walks, clusters, the live vector and the ranker were
// not learned but set: small votes for what one of them has at its top, and large ones where the
// user comes back and has no next item. Where what was trained knows nothing, a log takes them back
// (docs/retrieval.md has the trials).
constexpr FeatureWeights kLearned[] = {
    {"popularity.minutes", 2.05f, .64f, 2.26f},
    {"popularity.hour", 1.17f, .08f, 1.28f},
    {"popularity.day", .31f, -.04f, .36f},
    {"popularity.week", .23f, .29f, .13f},
    {"popularity.month", -.11f, -.37f, -.29f},
    {"own.taken", .81f, 1.75f, 1.24f},
    {"own.often", 1.12f, 2.21f, 1.7f},
    {"own.lately", -1.6f, -2.52f, -1.96f},
    {"item.young", 3.04f, 2.96f, 4.27f},
    {"live_vector.product", .5f, .5f, 3.5f},
    {"embedding.near_the_top", .4f, .4f, 3.4f},
    {"embedding.log_of_best", .3f, .3f, 2.3f},
    {"similar_items.near_the_top", .4f, .4f, .4f},
    {"similar_items.log_of_best", .3f, .3f, .3f},
    {"next_items.proposed", -.24f, .07f, -.45f},
    {"next_items.near_the_top", 1.2f, 2.08f, .56f},
    {"next_items.first", -.08f, .05f, -.5f},
    {"next_items.share_of_best", .9f, 1.84f, .35f},
    {"next_items.log_of_best", .85f, 1.91f, .46f},
    {"random_walk.near_the_top", .4f, .4f, .4f},
    {"random_walk.log_of_best", .3f, .3f, .3f},
    {"history.proposed", .09f, .31f, .45f},
    {"history.near_the_top", .1f, .34f, 2.69f},
    {"history.first", -.21f, -.4f, -.17f},
    {"history.share_of_best", -.46f, -.69f, -.29f},
    {"history.log_of_best", .06f, .28f, 2.17f},
    {"trending.proposed", .1f, .1f, .13f},
    {"trending.near_the_top", 1.58f, .51f, 1.95f},
    {"trending.first", .29f, -.28f, .52f},
    {"trending.share_of_best", .4f, -.6f, .66f},
    {"trending.log_of_best", .68f, .07f, .75f},
    {"macro_node.near_the_top", .4f, .4f, .4f},
    {"macro_node.log_of_best", .3f, .3f, .3f},
    {"popular.proposed", -.04f, 0, -.28f},
    {"popular.near_the_top", .14f, -.19f, -.48f},
    {"popular.first", .07f, -.26f, -.56f},
    {"popular.share_of_best", -.02f, -.36f, -.4f},
    {"popular.log_of_best", -.03f, -.04f, -.3f},
    {"ranker.near_the_top", .5f, .5f, 3.5f},
    {"ranker.log_of_best", .5f, .5f, 4.5f},
};

}  // namespace

const BlendWeights& BuiltInBlendWeights() {
  static const BlendWeights kWeights = [] {
    BlendWeights weights;
    for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
      const std::string name = BlendFeatureName(feature);
      for (const FeatureWeights& learned : kLearned) {
        if (learned.feature != name) continue;
        const bool of_seen = name.starts_with("own.") || name.starts_with("history.");
        const float unseen = of_seen ? 0 : learned.returning;  // no such item is a candidate
        const float rows[] = {learned.new_user, learned.in_visit, learned.returning, unseen};
        for (size_t row = 0; row < BlendWeights::kRows; ++row) {
          weights.rows[row][feature] = rows[row];
        }
      }
    }
    return weights;
  }();
  return kWeights;
}

}  // namespace groundswell
