// MacroGraph::Apply alone, on one core: interactions per second against the mean degree of users,
// with items taken evenly and by Zipf's law. Beside it, on the same stream, the published way
// (stored two-hop counts of users as well, kept exact by walking both sides) and recomputing what a
// request reads from the adjacency. All three are compared before anything is timed. And the fold
// with the adjacency in memory that walks take (graph/fold/interaction_adjacency) kept beside it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "graph/fold/interaction_adjacency.h"
#include "graph/state/macro_graph.h"

namespace groundswell {
namespace {

constexpr MacroShape kShape{.user_clusters = 20, .item_clusters = 30, .recent_len = 20};
constexpr size_t kCandidates = 500;
// Interactions are a second apart: no two of the same time.
constexpr int64_t kSecond = 1'000'000;
constexpr size_t kNeighborsMax = 4'096;  // the server's default
constexpr Window kWindow{.traced = Window::kTraceLengthDefault};

struct Event {
  uint32_t user, item;
};

// Items by Zipf's law with exponent 1, or evenly.
class ItemChooser {
 public:
  ItemChooser(size_t items, bool zipf) : items_(items) {
    double sum = 0;
    for (size_t i = 0; zipf && i < items; ++i) {
      sum += 1.0 / static_cast<double>(i + 1);
      cumulative_.push_back(sum);
    }
  }
  uint32_t Draw(std::mt19937_64& random) const {
    if (cumulative_.empty()) return static_cast<uint32_t>(random() % items_);
    const double at = static_cast<double>(random() >> 11) * 0x1.0p-53 * cumulative_.back();
    const auto found = std::lower_bound(cumulative_.begin(), cumulative_.end(), at);
    // Popular items lie anywhere in memory, as they do in a catalogue.
    const auto rank = static_cast<uint64_t>(found - cumulative_.begin());
    return static_cast<uint32_t>(rank * 2'654'435'761u % items_);
  }

 private:
  const size_t items_;
  std::vector<double> cumulative_;
};

std::vector<Cluster> SpreadClusters(size_t count, uint32_t clusters) {
  std::vector<Cluster> all;
  for (size_t i = 0; i < count; ++i) all.push_back(static_cast<Cluster>(i * 7 % clusters));
  return all;
}

struct World {
  World(size_t users_count, size_t items_count, size_t degree, bool zipf, uint64_t seed)
      : graph(kShape, SpreadClusters(items_count, kShape.item_clusters)),
        chooser(items_count, zipf) {
    std::mt19937_64 random(seed);
    for (uint32_t u = 0; u < users_count; ++u) {
      UserState user{.index = UserIndex{u}, .cluster = u % kShape.user_clusters};
      std::set<uint32_t> items;
      while (items.size() < degree) items.insert(chooser.Draw(random));
      for (const uint32_t item : items) {
        user.edges.push_back(
            {.item = ItemIndex{item},
             .count = 1,
             .last = {.time_us = static_cast<int64_t>(random() % 1'000'000) * kSecond,
                      .offset = ++offset}});
      }
      graph.LoadUser(user);
      users.push_back(std::move(user));
    }
    graph.FinishLoading();
  }

  MacroGraph graph;
  ItemChooser chooser;
  std::vector<UserState> users;
  Offset offset = 0;
};

// Half of the interactions are with an item that the user had before, so that degrees stay about
// what they are.
std::vector<Event> MakeEvents(const World& world, size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Event> events;
  for (size_t i = 0; i < count; ++i) {
    const auto user = static_cast<uint32_t>(random() % world.users.size());
    const auto& edges = world.users[user].edges;
    const bool again = random() % 2 == 0 && !edges.empty();
    events.push_back(
        {user, again ? ToInt(edges[random() % edges.size()].item) : world.chooser.Draw(random)});
  }
  return events;
}

double Apply(World& world, std::span<const Event> events) {
  const auto begin = std::chrono::steady_clock::now();
  for (const Event& event : events) {
    ++world.offset;
    world.graph.Apply(world.users[event.user], ItemIndex{event.item}, 1,
                      {.time_us = (1'000'000 + world.offset) * kSecond, .offset = world.offset});
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(events.size()) / elapsed.count();
}

// Likewise, with the adjacency following, and edges as they are kept by default.
double ApplyBoth(World& world, std::span<const Event> events, InteractionAdjacency& adjacency) {
  std::vector<Edge> before;
  const auto begin = std::chrono::steady_clock::now();
  for (const Event& event : events) {
    ++world.offset;
    UserState& user = world.users[event.user];
    const ItemIndex item{event.item};
    const std::span<const Edge> present = user.EdgesTo(item);
    before.assign(present.begin(), present.end());
    world.graph.Apply(user, item, 1,
                      {.time_us = (1'000'000 + world.offset) * kSecond, .offset = world.offset},
                      DetailOf(kWindow));
    adjacency.Change({.user = user.index,
                      .item = item,
                      .before = before,
                      .after = user.EdgesTo(item),
                      .of_user = user.edges});
    while (const auto at = EdgeBehindTrace(user, kWindow)) MergeIntoOlder(user, *at);
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(events.size()) / elapsed.count();
}

// The published way, exact: H2_u is stored, so an event changes it for every user of the item.
class BothSides {
 public:
  explicit BothSides(const World& world)
      : item_clusters_(world.graph.item_count()),
        users_of_(world.graph.item_count()),
        h1i_(world.graph.item_count() * kShape.user_clusters),
        h2i_(world.graph.item_count() * kShape.item_clusters),
        h1u_(world.users.size() * kShape.item_clusters),
        h2u_(world.users.size() * kShape.user_clusters),
        items_of_(world.users.size()) {
    for (uint32_t i = 0; i < item_clusters_.size(); ++i) {
      item_clusters_[i] = world.graph.ClusterOf(ItemIndex{i});
    }
    for (const UserState& user : world.users) {
      for (const Edge& edge : user.edges) {
        Link(ToInt(user.index), ToInt(edge.item), edge.count);
        h1i_[ToInt(edge.item) * kShape.user_clusters + user.cluster] += edge.count;
        h1u_[ToInt(user.index) * kShape.item_clusters + item_clusters_[ToInt(edge.item)]] +=
            edge.count;
      }
    }
    for (const UserState& user : world.users) {
      for (const Edge& edge : user.edges) {
        Add(h2i_, ToInt(edge.item), h1u_, ToInt(user.index), kShape.item_clusters, edge.count);
        Add(h2u_, ToInt(user.index), h1i_, ToInt(edge.item), kShape.user_clusters, edge.count);
      }
    }
  }

  void Apply(uint32_t user, Cluster user_cluster, uint32_t item) {
    const Cluster item_cluster = item_clusters_[item];
    for (const auto& [other, count] : items_of_[user]) {
      h2i_[other * kShape.item_clusters + item_cluster] += count;
    }
    for (const auto& [other, count] : users_of_[item]) {  // the popular item's users
      h2u_[other * kShape.user_clusters + user_cluster] += count;
    }
    Add(h2i_, item, h1u_, user, kShape.item_clusters, 1);
    h2i_[item * kShape.item_clusters + item_cluster] += 1;
    Add(h2u_, user, h1i_, item, kShape.user_clusters, 1);
    h2u_[user * kShape.user_clusters + user_cluster] += 1;
    h1u_[user * kShape.item_clusters + item_cluster] += 1;
    h1i_[item * kShape.user_clusters + user_cluster] += 1;
    Link(user, item, 1);
  }

  std::span<const Count> TwoHopOfUser(uint32_t user) const {
    return std::span(h2u_).subspan(size_t{user} * kShape.user_clusters, kShape.user_clusters);
  }
  std::span<const Count> TwoHopOfItem(uint32_t item) const {
    return std::span(h2i_).subspan(size_t{item} * kShape.item_clusters, kShape.item_clusters);
  }

 private:
  void Link(uint32_t user, uint32_t item, Count weight) {
    items_of_[user][item] += weight;
    users_of_[item][user] += weight;
  }
  static void Add(std::vector<Count>& to, size_t to_row, const std::vector<Count>& from,
                  size_t from_row, size_t width, Count weight) {
    for (size_t i = 0; i < width; ++i)
      to[to_row * width + i] += weight * from[from_row * width + i];
  }

  std::vector<Cluster> item_clusters_;
  std::vector<absl::flat_hash_map<uint32_t, Count>> users_of_;
  std::vector<Count> h1i_, h2i_, h1u_, h2u_;
  std::vector<absl::flat_hash_map<uint32_t, Count>> items_of_;
};

// Recomputing per request: the candidates' counters from the adjacency of both sides.
class Recomputed {
 public:
  explicit Recomputed(const World& world) : world_(world), users_of_(world.graph.item_count()) {
    for (const UserState& user : world.users) {
      for (const Edge& edge : user.edges) users_of_[ToInt(edge.item)].push_back(ToInt(user.index));
    }
  }

  // H1_i and H2_i of each item.
  void Read(std::span<const ItemIndex> items, std::vector<Count>& one_hop,
            std::vector<Count>& two_hop) const {
    one_hop.assign(items.size() * kShape.user_clusters, 0);
    two_hop.assign(items.size() * kShape.item_clusters, 0);
    for (size_t i = 0; i < items.size(); ++i) {
      for (const uint32_t u : users_of_[ToInt(items[i])]) {
        const UserState& user = world_.users[u];
        const Count count = user.EdgesTo(items[i])[0].count;
        one_hop[i * kShape.user_clusters + user.cluster] += count;
        for (const Edge& edge : user.edges) {
          two_hop[i * kShape.item_clusters + world_.graph.ClusterOf(edge.item)] +=
              count * edge.count;
        }
      }
    }
  }

 private:
  const World& world_;
  std::vector<std::vector<uint32_t>> users_of_;
};

std::vector<ItemIndex> Candidates(const World& world, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<ItemIndex> items;
  for (size_t i = 0; i < kCandidates; ++i) items.push_back(ItemIndex{world.chooser.Draw(random)});
  return items;
}

// Whether all ways give the same counters on a small graph.
bool Agree() {
  World world(300, 200, 10, /*zipf=*/true, 5);
  BothSides both(world);
  for (const Event& event : MakeEvents(world, 3'000, 6)) {
    both.Apply(event.user, world.users[event.user].cluster, event.item);
    Apply(world, std::span(&event, 1));
  }
  std::vector<ItemIndex> items;
  for (uint32_t i = 0; i < 200; ++i) items.push_back(ItemIndex{i});
  std::vector<Count> h1(items.size() * kShape.user_clusters);
  std::vector<Count> h2(items.size() * kShape.item_clusters);
  world.graph.items().ReadRows(items, h1, h2, {}, 0);
  std::vector<Count> h1_again;
  std::vector<Count> h2_again;
  Recomputed(world).Read(items, h1_again, h2_again);
  bool agree = h1 == h1_again && h2 == h2_again;
  for (uint32_t i = 0; i < 200; ++i) {
    agree = agree && std::ranges::equal(both.TwoHopOfItem(i),
                                        std::span(h2).subspan(size_t{i} * kShape.item_clusters,
                                                              kShape.item_clusters));
  }
  std::vector<Count> one_hop(kShape.item_clusters);
  std::vector<Count> two_hop(kShape.user_clusters);
  for (const UserState& user : world.users) {
    world.graph.GatherUser(user, one_hop, two_hop);
    agree = agree && std::ranges::equal(both.TwoHopOfUser(ToInt(user.index)), two_hop);
  }
  return agree;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Row {
  size_t degree = 0;
  double uniform = 0, zipf = 0;                    // interactions/s
  double adjacent_uniform = 0, adjacent_zipf = 0;  // interactions/s with the adjacency
  double both_uniform = 0, both_zipf = 0;          // interactions/s
  double read_us = 0, recompute_us = 0;            // of a request's candidates, Zipf
};

double TimeBothSides(World& world, std::span<const Event> events) {
  BothSides both(world);
  const auto begin = std::chrono::steady_clock::now();
  size_t done = 0;
  // A popular item's users make single events slow: stop after a second.
  while (done < events.size() &&
         (done % 64 != 0 || std::chrono::steady_clock::now() - begin < std::chrono::seconds(1))) {
    both.Apply(events[done].user, world.users[events[done].user].cluster, events[done].item);
    ++done;
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(done) / elapsed.count();
}

void TimeReads(World& world, Row& row) {
  std::vector<Count> h1(kCandidates * kShape.user_clusters);
  std::vector<Count> h2(kCandidates * kShape.item_clusters);
  // Every request has other candidates, so that their rows are not in the caches.
  const auto time = [&](uint64_t requests, const auto& read) {
    std::vector<double> times;
    for (uint64_t request = 0; request < requests; ++request) {
      const std::vector<ItemIndex> items = Candidates(world, 9 + request);
      const auto begin = std::chrono::steady_clock::now();
      read(items);
      times.push_back(
          std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
              .count());
    }
    return Median(times);
  };
  row.read_us =
      time(100, [&](const auto& items) { world.graph.items().ReadRows(items, h1, h2, {}, 0); });
  const Recomputed recomputed(world);
  row.recompute_us = time(3, [&](const auto& items) { recomputed.Read(items, h1, h2); });
}

Row Measure(size_t degree, size_t edges, size_t items, size_t events, int runs) {
  Row row{.degree = degree};
  std::vector<double> uniform;
  std::vector<double> zipf;
  std::vector<double> adjacent_uniform;
  std::vector<double> adjacent_zipf;
  for (int run = 0; run < runs; ++run) {
    for (const bool is_zipf : {false, true}) {
      World world(edges / degree, items, degree, is_zipf, static_cast<uint64_t>(run) + 1);
      const std::vector<Event> stream = MakeEvents(world, events, 77);
      if (run == 0) {
        (is_zipf ? row.both_zipf : row.both_uniform) = TimeBothSides(world, stream);
        if (is_zipf) TimeReads(world, row);
      }
      const std::span<const Event> all = stream;
      const size_t third = all.size() / 3;
      Apply(world, all.first(third));  // warms up
      (is_zipf ? zipf : uniform).push_back(Apply(world, all.subspan(third, third)));
      InteractionAdjacency adjacency(kNeighborsMax);
      for (const UserState& user : world.users) adjacency.LoadUser(user);
      adjacency.FinishLoading();
      (is_zipf ? adjacent_zipf : adjacent_uniform)
          .push_back(ApplyBoth(world, all.last(third), adjacency));
    }
  }
  row.uniform = Median(uniform);
  row.zipf = Median(zipf);
  row.adjacent_uniform = Median(adjacent_uniform);
  row.adjacent_zipf = Median(adjacent_zipf);
  return row;
}

int Main(int argc, char** argv) {
  size_t edges = 2'000'000;
  size_t items = 200'000;
  size_t events = 200'000;
  int runs = 3;
  bool json = false;
  CLI::App app("Measures the fold of interactions into the macro graph.", "apply_bench");
  app.add_option("--edges", edges)->capture_default_str();
  app.add_option("--items", items)->capture_default_str();
  app.add_option("--events", events)->capture_default_str();
  app.add_option("--runs", runs)->capture_default_str();
  app.add_flag("--json", json, "Print JSON");
  app.footer("Example:\n  apply_bench --edges 500000");
  CLI11_PARSE(app, argc, argv);
  if (!Agree()) {
    fmt::print(stderr, "apply_bench: the ways do not give the same counters\n");
    return 1;
  }
  nlohmann::json rows = nlohmann::json::array();
  if (!json) {
    fmt::print(
        "degree   even/s    Zipf/s  ratio | with adjacency: even/s  Zipf/s | both sides: even/s  "
        "Zipf/s | 500 candidates: read us"
        "  recomputed us\n");
  }
  for (const size_t degree : {10, 50, 200, 1'000}) {
    const Row row = Measure(degree, edges, items, events, runs);
    rows.push_back({{"degree", row.degree},
                    {"uniform_per_second", row.uniform},
                    {"zipf_per_second", row.zipf},
                    {"with_adjacency_uniform_per_second", row.adjacent_uniform},
                    {"with_adjacency_zipf_per_second", row.adjacent_zipf},
                    {"both_sides_uniform_per_second", row.both_uniform},
                    {"both_sides_zipf_per_second", row.both_zipf},
                    {"read_us", row.read_us},
                    {"recompute_us", row.recompute_us}});
    if (json) continue;
    fmt::print(
        "{:>6} {:>8.0f}  {:>8.0f}  {:>5.2f} | {:>22.0f} {:>7.0f} | {:>18.0f} {:>7.0f} | {:>23.0f} "
        "{:>14.0f}\n",
        row.degree, row.uniform, row.zipf, row.zipf / row.uniform, row.adjacent_uniform,
        row.adjacent_zipf, row.both_uniform, row.both_zipf, row.read_us, row.recompute_us);
    std::fflush(stdout);
  }
  if (json) fmt::print("{}\n", rows.dump());
  return 0;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
