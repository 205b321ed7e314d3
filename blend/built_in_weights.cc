#include <string>
#include <string_view>

#include "blend/model.h"

namespace groundswell {
namespace {

struct FeatureWeights {
  std::string_view feature;
  float shared, new_user, in_visit, returning;
};

// Those of the embedding, similar items, walks, clusters, the live vector and the ranker were
// not learned but set: small votes for what one of them has at its top, and large ones where the
// user comes back and has no next item. Where what was trained knows nothing, a log takes them back
// (docs/retrieval.md has the trials).
constexpr FeatureWeights kLearned[] = {
    {"popularity.minutes", .69f, 1.36f, -.05f, 1.57f},
    {"popularity.hour", .25f, .92f, -.17f, 1.03f},
    {"popularity.day", .04f, .27f, -.08f, .32f},
    {"popularity.week", .15f, .08f, .14f, -.02f},
    {"popularity.month", -.19f, .08f, -.18f, -.1f},
    {"own.taken", .91f, -.1f, .84f, .33f},
    {"own.often", 1.18f, -.06f, 1.03f, .52f},
    {"own.lately", -1.31f, -.29f, -1.21f, -.65f},
    {"item.young", 2.07f, .97f, .89f, 2.2f},
    {"live_vector.product", .5f, 0, 0, 3},
    {"embedding.near_the_top", .4f, 0, 0, 3},
    {"embedding.log_of_best", .3f, 0, 0, 2},
    {"similar_items.near_the_top", .4f, 0, 0, 0},
    {"similar_items.log_of_best", .3f, 0, 0, 0},
    {"next_items.proposed", -.04f, -.2f, .11f, -.41f},
    {"next_items.near_the_top", 1.01f, .19f, 1.07f, -.45f},
    {"next_items.first", -.01f, -.07f, .06f, -.49f},
    {"next_items.share_of_best", .88f, .02f, .96f, -.53f},
    {"next_items.log_of_best", .88f, -.03f, 1.03f, -.42f},
    {"random_walk.near_the_top", .4f, 0, 0, 0},
    {"random_walk.log_of_best", .3f, 0, 0, 0},
    {"history.proposed", .19f, -.1f, .12f, .26f},
    {"history.near_the_top", .19f, -.09f, .15f, 2.5f},
    {"history.first", -.18f, -.03f, -.22f, .01f},
    {"history.share_of_best", -.33f, -.13f, -.36f, .04f},
    {"history.log_of_best", .17f, -.11f, .11f, 2},
    {"trending.proposed", .05f, .05f, .05f, .08f},
    {"trending.near_the_top", .62f, .96f, -.11f, 1.33f},
    {"trending.first", 0, .29f, -.28f, .52f},
    {"trending.share_of_best", -.1f, .5f, -.5f, .76f},
    {"trending.log_of_best", .15f, .53f, -.08f, .6f},
    {"macro_node.near_the_top", .4f, 0, 0, 0},
    {"macro_node.log_of_best", .3f, 0, 0, 0},
    {"popular.proposed", -.03f, -.01f, .03f, -.25f},
    {"popular.near_the_top", -.09f, .23f, -.1f, -.39f},
    {"popular.first", -.14f, .21f, -.12f, -.42f},
    {"popular.share_of_best", -.17f, .15f, -.19f, -.23f},
    {"popular.log_of_best", -.04f, .01f, 0, -.26f},
    {"ranker.near_the_top", .5f, 0, 0, 3},
    {"ranker.log_of_best", .5f, 0, 0, 4},
};

}  // namespace

const BlendWeights& BuiltInBlendWeights() {
  static const BlendWeights kWeights = [] {
    BlendWeights weights;
    for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
      const std::string name = BlendFeatureName(feature);
      for (const FeatureWeights& learned : kLearned) {
        if (learned.feature != name) continue;
        const float rows[] = {learned.shared, learned.new_user, learned.in_visit,
                              learned.returning};
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
