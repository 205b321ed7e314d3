#include "index/vectors/live_vectors.h"

#include <algorithm>
#include <cmath>

#include "models/math/elementwise.h"
#include "models/math/vector_length.h"

namespace groundswell {
namespace {

constexpr float kHalfLifeItems = 3;
// A sum of unit vectors that is shorter is what rounding left of such that cancel out.
constexpr float kLeastLength = 1e-4f;

float Norm(size_t degree, size_t other_degree) {
  return 1 / std::sqrt(static_cast<float>(std::max<size_t>(degree, 1)) *
                       static_cast<float>(std::max<size_t>(other_degree, 1)));
}

// False, and zeros, when none of them has a vector, or they cancel out.
bool AddNewest(std::span<const ItemIndex> newest, const EmbeddingIndex::View& items,
               std::span<float> out) {
  static const float fade = std::exp2(-1 / kHalfLifeItems);
  std::fill(out.begin(), out.end(), 0.0f);
  float weight = 1;
  for (const ItemIndex item : newest) {
    const std::span<const float> vector = items.VectorOf(item);
    if (vector.empty()) continue;
    AddScaled(vector, weight, out);
    weight *= fade;
  }
  return std::ranges::any_of(out, [](float value) { return value != 0; });
}

bool EncodeOne(const Encoder& encoder, const EncoderInput& input, EncoderScratch& scratch,
               std::span<float> out) {
  bool is_known = false;
  encoder.Encode(input, scratch, out, std::span(&is_known, 1));
  return is_known;
}

}  // namespace

LiveVectors::LiveVectors(const Trained& trained, const InteractionAdjacency& adjacency,
                         const LiveEncoders& encoders, const MacroGraph* graph)
    : sources_{.trained_users = trained.users,
               .dim = trained.dim,
               .adjacency = adjacency,
               .graph = graph},
      item_length_(MedianLength(trained.items, trained.dim)),
      encoders_(encoders) {}

LiveVectors::Scratch LiveVectors::NewScratch() const {
  return {.user = encoders_.user != nullptr ? encoders_.user->NewScratch() : nullptr,
          .item = encoders_.item != nullptr ? encoders_.item->NewScratch() : nullptr,
          .target = {}};
}

bool LiveVectors::CopyTrained(UserIndex user, std::span<float> out) const {
  const size_t row = ToInt(user) * dim();
  const bool is_trained = row + dim() <= sources_.trained_users.size();
  if (is_trained) {
    std::copy_n(sources_.trained_users.begin() + static_cast<ptrdiff_t>(row), dim(), out.begin());
  } else {
    std::fill(out.begin(), out.end(), 0.0f);
  }
  return is_trained;
}

VectorOrigin LiveVectors::OfUser(const User& user, const EmbeddingIndex::View& items,
                                 Scratch& scratch, std::span<float> out) const {
  if (encoders_.user != nullptr && !user.by_rule) {
    const EncoderInput& input =
        scratch.target.OfUser(sources_, encoders_.user->shape(), user.state, user.joined, items);
    if (EncodeOne(*encoders_.user, input, *scratch.user, out)) return VectorOrigin::kEncoder;
  }
  return UserByRule(user, items, out) ? VectorOrigin::kRule : VectorOrigin::kNone;
}

VectorOrigin LiveVectors::OfItem(ItemIndex item, const EmbeddingIndex::View& items,
                                 Scratch& scratch, std::span<float> out) const {
  if (encoders_.item != nullptr) {
    const EncoderInput& input = scratch.target.OfItem(sources_, encoders_.item->shape(), item);
    if (EncodeOne(*encoders_.item, input, *scratch.item, out)) return VectorOrigin::kEncoder;
  }
  return ItemByRule(item, items, out) ? VectorOrigin::kRule : VectorOrigin::kNone;
}

bool LiveVectors::UserByRule(const User& user, const EmbeddingIndex::View& items,
                             std::span<float> out) const {
  if (user.is_in_visit && AddNewest(user.newest, items, out)) return true;
  bool is_known = CopyTrained(user.state.index, out);
  const size_t item_count = user.state.item_count();
  for (const ItemIndex item : user.newest) {
    const std::span<const float> vector = items.VectorOf(item);
    if (vector.empty()) continue;
    const size_t users = sources_.adjacency.users_of_items().Degree(ToInt(item)) +
                         std::binary_search(user.joined.begin(), user.joined.end(), item);
    AddScaled(vector, Norm(item_count, std::min(users, kDegreeMax)), out);
    is_known = true;
  }
  return is_known;
}

bool LiveVectors::ItemByRule(ItemIndex item, const EmbeddingIndex::View& items,
                             std::span<float> out) const {
  std::fill(out.begin(), out.end(), 0.0f);
  std::vector<Neighbor> users;
  sources_.adjacency.users_of_items().CopyTo(ToInt(item), users);
  const size_t degree = users.size();
  std::vector<Neighbor> neighbors;
  std::vector<ItemIndex> newest;
  std::vector<float> of_user(dim());
  for (size_t at = degree > kNeighborsMax ? degree - kNeighborsMax : 0; at < degree; ++at) {
    const UserIndex user{users[at].node};
    sources_.adjacency.items_of_users().CopyTo(ToInt(user), neighbors);
    newest.clear();
    // The item itself would only say that it is like itself.
    for (auto one = neighbors.rbegin(); one != neighbors.rend() && newest.size() < kNeighborsMax;
         ++one) {
      if (one->node != ToInt(item)) newest.push_back(ItemIndex{one->node});
    }
    if (!AddNewest(newest, items, of_user) && !CopyTrained(user, of_user)) continue;
    const auto length = static_cast<float>(VectorLength(of_user));
    if (length > 0) AddScaled(of_user, 1 / length, out);
  }
  const auto length = static_cast<float>(VectorLength(out));
  if (length < kLeastLength) return false;
  if (item_length_ > 0) {
    for (float& value : out) value *= item_length_ / length;
  }
  return true;
}

}  // namespace groundswell
