#include "index/vectors/live_vectors.h"

#include <algorithm>
#include <cmath>

#include "models/math/elementwise.h"

namespace groundswell {
namespace {

constexpr float kHalfLifeItems = 3;
// A sum of unit vectors that is shorter is what rounding left of such that cancel out.
constexpr float kLeastLength = 1e-4f;

float Norm(size_t degree, size_t other_degree) {
  return 1 / std::sqrt(static_cast<float>(std::max<size_t>(degree, 1)) *
                       static_cast<float>(std::max<size_t>(other_degree, 1)));
}

float Length(std::span<const float> vector) {
  double square = 0;
  for (const float value : vector) square += double{value} * value;
  return static_cast<float>(std::sqrt(square));
}

float MedianLength(std::span<const float> rows, size_t dim) {
  if (rows.empty()) return 0;
  std::vector<float> lengths;
  for (size_t begin = 0; begin < rows.size(); begin += dim) {
    lengths.push_back(Length(rows.subspan(begin, dim)));
  }
  const auto middle = lengths.begin() + static_cast<ptrdiff_t>(lengths.size() / 2);
  std::nth_element(lengths.begin(), middle, lengths.end());
  return *middle;
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

}  // namespace

LiveVectors::LiveVectors(std::span<const float> trained_users, std::span<const float> trained_items,
                         size_t dim, const InteractionAdjacency& adjacency)
    : trained_users_(trained_users),
      dim_(dim),
      item_length_(MedianLength(trained_items, dim)),
      adjacency_(adjacency) {}

bool LiveVectors::CopyTrained(UserIndex user, std::span<float> out) const {
  const size_t row = ToInt(user) * dim_;
  const bool is_trained = row + dim_ <= trained_users_.size();
  if (is_trained) {
    std::copy_n(trained_users_.begin() + static_cast<ptrdiff_t>(row), dim_, out.begin());
  } else {
    std::fill(out.begin(), out.end(), 0.0f);
  }
  return is_trained;
}

bool LiveVectors::OfUser(const User& user, const EmbeddingIndex::View& items,
                         std::span<float> out) const {
  if (user.is_in_visit && AddNewest(user.newest, items, out)) return true;
  bool is_known = CopyTrained(user.index, out);
  for (const ItemIndex item : user.newest) {
    const std::span<const float> vector = items.VectorOf(item);
    if (vector.empty()) continue;
    const size_t users = adjacency_.users_of_items().Degree(ToInt(item)) +
                         std::binary_search(user.joined.begin(), user.joined.end(), item);
    AddScaled(vector, Norm(user.item_count, std::min(users, kUsersMax)), out);
    is_known = true;
  }
  return is_known;
}

bool LiveVectors::OfItem(ItemIndex item, const EmbeddingIndex::View& items,
                         std::span<float> out) const {
  std::fill(out.begin(), out.end(), 0.0f);
  std::vector<Neighbor> users;
  adjacency_.users_of_items().CopyTo(ToInt(item), users);
  const size_t degree = users.size();
  std::vector<Neighbor> neighbors;
  std::vector<ItemIndex> newest;
  std::vector<float> of_user(dim_);
  for (size_t at = degree > kNeighborsMax ? degree - kNeighborsMax : 0; at < degree; ++at) {
    const UserIndex user{users[at].node};
    adjacency_.items_of_users().CopyTo(ToInt(user), neighbors);
    newest.clear();
    // The item itself would only say that it is like itself.
    for (auto one = neighbors.rbegin(); one != neighbors.rend() && newest.size() < kNeighborsMax;
         ++one) {
      if (one->node != ToInt(item)) newest.push_back(ItemIndex{one->node});
    }
    if (!AddNewest(newest, items, of_user) && !CopyTrained(user, of_user)) continue;
    if (const float length = Length(of_user); length > 0) AddScaled(of_user, 1 / length, out);
  }
  const float length = Length(out);
  if (length < kLeastLength) return false;
  if (item_length_ > 0) {
    for (float& value : out) value *= item_length_ / length;
  }
  return true;
}

}  // namespace groundswell
