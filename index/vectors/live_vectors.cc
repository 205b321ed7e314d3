#include "index/vectors/live_vectors.h"

#include <algorithm>
#include <cmath>

#include "models/math/elementwise.h"

namespace groundswell {
namespace {

float Norm(size_t degree, size_t other_degree) {
  return 1 / std::sqrt(static_cast<float>(std::max<size_t>(degree, 1)) *
                       static_cast<float>(std::max<size_t>(other_degree, 1)));
}

}  // namespace

bool LiveVectors::OfUser(UserIndex user, std::span<const ItemIndex> newest, size_t degree,
                         std::span<const ItemIndex> joined, const EmbeddingIndex::View& items,
                         std::span<float> out) const {
  const size_t row = ToInt(user) * dim_;
  bool is_known = row + dim_ <= trained_users_.size();
  if (is_known) {
    std::copy_n(trained_users_.begin() + static_cast<ptrdiff_t>(row), dim_, out.begin());
  } else {
    std::fill(out.begin(), out.end(), 0.0f);
  }
  for (const ItemIndex item : newest) {
    const std::span<const float> vector = items.VectorOf(item);
    if (vector.empty()) continue;
    const size_t users = adjacency_.users_of_items().Degree(ToInt(item)) +
                         std::binary_search(joined.begin(), joined.end(), item);
    AddScaled(vector, Norm(degree, std::min(users, kUsersMax)), out);
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
  bool is_known = false;
  for (size_t at = degree > kNeighborsMax ? degree - kNeighborsMax : 0; at < degree; ++at) {
    const UserIndex user{users[at].node};
    adjacency_.items_of_users().CopyTo(ToInt(user), neighbors);
    newest.clear();
    // The item itself would only say that it is like itself.
    for (auto one = neighbors.rbegin(); one != neighbors.rend() && newest.size() < kNeighborsMax;
         ++one) {
      if (one->node != ToInt(item)) newest.push_back(ItemIndex{one->node});
    }
    if (!OfUser(user, newest, neighbors.size(), {}, items, of_user)) continue;
    AddScaled(of_user, Norm(neighbors.size(), std::min(degree, kUsersMax)), out);
    is_known = true;
  }
  return is_known;
}

}  // namespace groundswell
