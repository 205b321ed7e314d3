// Incremental macro edges against the matrix form of the definition, exactly, over random streams
// of additions and removals. The oracle is dense and shares no code with graph/.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "graph/state/macro_graph.h"
#include "tests/support/graph_fixture.h"
#include "tests/support/sanitized.h"

namespace groundswell {
namespace {

using Matrix = std::vector<std::vector<Count>>;

Matrix Zeros(size_t rows, size_t columns) { return Matrix(rows, std::vector<Count>(columns)); }

Matrix Transposed(const Matrix& a) {
  Matrix t = Zeros(a.empty() ? 0 : a[0].size(), a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < a[i].size(); ++j) t[j][i] = a[i][j];
  }
  return t;
}

Matrix Product(const Matrix& a, const Matrix& b) {
  Matrix c = Zeros(a.size(), b[0].size());
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < b.size(); ++k) {
      for (size_t j = 0; j < b[k].size(); ++j) c[i][j] += a[i][k] * b[k][j];
    }
  }
  return c;
}

// What the server should believe, from the definition alone: A, and when each edge was last added
// to.
struct Oracle {
  Matrix a;
  std::map<std::pair<size_t, size_t>, Recency> last;  // (user, item)

  void Add(size_t user, size_t item, Count weight, Recency when) {
    const bool is_new = a[user][item] == 0;
    a[user][item] += weight;
    if (a[user][item] == 0) {
      last.erase({user, item});
    } else if (is_new) {
      last[{user, item}] = when;
    } else if (weight > 0) {
      last[{user, item}] = std::max(last[{user, item}], when);
    }
  }

  std::vector<uint32_t> NewestUsers(size_t item, size_t limit) const {
    std::vector<std::pair<Recency, uint32_t>> users;
    for (const auto& [edge, when] : last) {
      if (edge.second == item) users.emplace_back(when, static_cast<uint32_t>(edge.first));
    }
    std::sort(users.rbegin(), users.rend());
    std::vector<uint32_t> newest;
    for (size_t i = 0; i < std::min(limit, users.size()); ++i) newest.push_back(users[i].second);
    return newest;
  }
};

Matrix OneHot(const std::vector<Cluster>& clusters, size_t count) {
  Matrix m = Zeros(clusters.size(), count);
  for (size_t i = 0; i < clusters.size(); ++i) m[i][clusters[i]] = 1;
  return m;
}

void ExpectEqual(const MacroGraph& graph, const std::vector<UserState>& users,
                 const std::vector<Cluster>& user_clusters, const Oracle& oracle) {
  const MacroShape& shape = graph.items().shape();
  std::vector<Cluster> item_clusters;
  for (uint32_t item = 0; item < graph.item_count(); ++item) {
    item_clusters.push_back(graph.ClusterOf(ItemIndex{item}));
  }
  const Matrix uc = OneHot(user_clusters, shape.user_clusters);
  const Matrix ic = OneHot(item_clusters, shape.item_clusters);
  const Matrix h1u = Product(oracle.a, ic);
  const Matrix h1i = Product(Transposed(oracle.a), uc);
  const Matrix h2u = Product(oracle.a, h1i);
  const Matrix h2i = Product(Transposed(oracle.a), h1u);

  std::vector<Count> p(shape.user_clusters);
  std::vector<Count> q(shape.item_clusters);
  for (const UserState& user : users) {
    graph.GatherUser(user, q, p);
    ASSERT_EQ(q, h1u[ToInt(user.index)]);
    ASSERT_EQ(p, h2u[ToInt(user.index)]);
  }
  constexpr uint32_t kNone = 0xffffffff;
  std::vector<uint32_t> newest(shape.recent_len);
  for (uint32_t item = 0; item < item_clusters.size(); ++item) {
    graph.items().ReadRows(std::vector{ItemIndex{item}}, p, q, newest, kNone);
    ASSERT_EQ(p, h1i[item]);
    ASSERT_EQ(q, h2i[item]);
    std::vector<uint32_t> expected = oracle.NewestUsers(item, shape.recent_len);
    expected.resize(shape.recent_len, kNone);
    ASSERT_EQ(newest, expected) << "item " << item;
  }
}

struct Size {
  uint32_t users, items, user_clusters, item_clusters, recent_len;
};

// Weights of either sign, small and large, some of them more than there is to take back.
Count RandomWeight(std::mt19937_64& random) {
  static constexpr Count kWeights[] = {1, 1, 1, 2, 5, 1'000, -1, -1, -2, -1'000};
  return kWeights[random() % std::size(kWeights)];
}

TEST(MacroGraphProperty, IncrementalEqualsRecomputedOverRandomStreams) {
  for (uint64_t seed = 1; seed <= Rounds(60u); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const Size size{.users = 1 + static_cast<uint32_t>(random() % 12),
                    .items = 1 + static_cast<uint32_t>(random() % 15),
                    .user_clusters = 1 + static_cast<uint32_t>(random() % 5),
                    .item_clusters = 1 + static_cast<uint32_t>(random() % 5),
                    .recent_len = 1 + static_cast<uint32_t>(random() % 4)};
    MacroGraph graph({size.user_clusters, size.item_clusters, size.recent_len},
                     ClustersOf(size.items, size.item_clusters));
    Oracle oracle{.a = Zeros(size.users, size.items), .last = {}};
    std::vector<UserState> users;
    std::vector<Cluster> user_clusters;
    for (uint32_t u = 0; u < size.users; ++u) {
      user_clusters.push_back(static_cast<Cluster>(random() % size.user_clusters));
      users.push_back({.index = UserIndex{u}, .cluster = user_clusters[u], .edges = {}});
    }
    for (Offset offset = 1; offset <= 300; ++offset) {
      const auto user = static_cast<uint32_t>(random() % size.users);
      const auto item = static_cast<uint32_t>(random() % size.items);
      const Count weight = RandomWeight(random);
      const Recency when{.time_us = static_cast<int64_t>(random() % 50), .offset = offset};
      if (oracle.a[user][item] + weight >= 0) {  // what else there is, Judge refuses
        graph.Apply(users[user], ItemIndex{item}, weight, when);
        oracle.Add(user, item, weight, when);
      }
      if (offset % 50 == 0) ExpectEqual(graph, users, user_clusters, oracle);
      if (HasFatalFailure()) return;
    }
    // The same state, loaded instead of folded.
    MacroGraph loaded(graph.items().shape(), ClustersOf(size.items, size.item_clusters));
    for (const UserState& user : users) loaded.LoadUser(user);
    loaded.FinishLoading();
    ExpectEqual(loaded, users, user_clusters, oracle);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace groundswell
