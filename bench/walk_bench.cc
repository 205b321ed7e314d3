// Random walks over a real log, as large as one likes: steps per second of one core, latency of a
// request's walks and of its PageRank, memory per edge, and what an append costs, alone and beside
// walks.
//
// A log is made larger by copies of it with other users and items: every copy is the same graph,
// and no two are connected. So degrees and neighbourhoods are those of the log, but a request's
// walks stay in one copy. With --shared-items the copies have other users only: one connected
// graph, whose items have as many times more users. Quality must be read from neither.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "graph/fold/interaction_adjacency.h"
#include "index/walks/page_rank.h"
#include "index/walks/random_walk_source.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;

constexpr size_t kCandidates = 500;

double Seconds(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

[[noreturn]] void Fail(const std::string& message) {
  fmt::print(stderr, "walk_bench: {}\n", message);
  std::exit(1);
}

struct Event {
  uint32_t user = 0, item = 0;
  int64_t time_us = 0;
};

struct Log {
  std::vector<Event> events;  // in the order of time
  uint32_t users = 0, items = 0;
};

uint32_t NumberOf(std::string_view id, absl::flat_hash_map<std::string, uint32_t>& numbers) {
  return numbers.try_emplace(std::string(id), static_cast<uint32_t>(numbers.size())).first->second;
}

// CSV from standard input: a header, then timestamp (s, or ms if the header says timestamp_ms),
// user, item; further columns are not read.
Log ReadLog() {
  Log log;
  absl::flat_hash_map<std::string, uint32_t> users;
  absl::flat_hash_map<std::string, uint32_t> items;
  std::string line;
  std::getline(std::cin, line);
  const int64_t unit_us = line.starts_with("timestamp_ms,") ? 1'000 : 1'000'000;
  if (!line.starts_with("timestamp")) Fail("standard input has no header \"timestamp,user,item\"");
  while (std::getline(std::cin, line)) {
    const size_t first = line.find(',');
    const size_t second = line.find(',', first + 1);
    if (second == std::string::npos) Fail(fmt::format("\"{}\" has fewer than three columns", line));
    const size_t third = std::min(line.find(',', second + 1), line.size());
    const std::string_view text = line;
    int64_t time = 0;
    std::from_chars(text.data(), text.data() + first, time);
    log.events.push_back({NumberOf(text.substr(first + 1, second - first - 1), users),
                          NumberOf(text.substr(second + 1, third - second - 1), items),
                          time * unit_us});
  }
  log.users = static_cast<uint32_t>(users.size());
  log.items = static_cast<uint32_t>(items.size());
  std::stable_sort(log.events.begin(), log.events.end(),
                   [](const Event& a, const Event& b) { return a.time_us < b.time_us; });
  return log;
}

// Puts a user's interaction into the edges, as the fold does.
void Take(UserState& user, const Event& event, Offset offset) {
  const std::span<const Edge> present = user.EdgesTo(ItemIndex{event.item});
  const auto at = present.data() - user.edges.data();
  if (present.empty()) {
    user.edges.insert(user.edges.begin() + at,
                      {.item = ItemIndex{event.item}, .count = 1, .last = {event.time_us, offset}});
  } else {
    Edge& edge = user.edges[static_cast<size_t>(at)];
    ++edge.count;
    edge.last = std::max(edge.last, {event.time_us, offset});
  }
}

// Of the calling thread's own time on a core: what the walks cost, however busy the machine is.
double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Settings {
  std::vector<size_t> edges = {1'000'000, 10'000'000, 50'000'000};
  size_t requests = 300;
  size_t neighbors_max = 4'096;
  size_t appends = 100'000;
  int runs = 5;
  RandomWalkSource::Options paper{.walk = {.steps = 100'000, .goal_items = 2'000}};
  RandomWalkSource::Options defaults;
  PageRankSource::Options page_rank;
  bool shared_items = false;
  bool json = false;
};

struct World {
  World(const Log& log, size_t edges, const Settings& settings)
      : adjacency(settings.neighbors_max),
        items(settings.shared_items ? 0 : log.items),
        users(log.users) {
    Offset offset = 0;
    size_t base_edges = 0;
    for (const Event& event : log.events) {
      const size_t before = users[event.user].edges.size();
      Take(users[event.user], event, ++offset);
      users[event.user].index = UserIndex{event.user};
      base_edges += users[event.user].edges.size() - before;
      if (base_edges == edges) break;
    }
    copies = static_cast<uint32_t>((edges + base_edges - 1) / base_edges);
    const double begin = CpuSeconds();
    for (uint32_t copy = 0; copy < copies; ++copy) {
      for (uint32_t user = 0; user < users.size(); ++user) {
        adjacency.LoadUser(InCopy(users[user], copy));
      }
      if (!settings.json) fmt::print(stderr, "\rloading: copy {} of {} ", copy + 1, copies);
    }
    adjacency.FinishLoading();
    load_seconds = CpuSeconds() - begin;
    if (!settings.json) fmt::print(stderr, "\r                              \r");
  }

  UserState InCopy(UserState user, uint32_t copy) const {
    user.index = UserIndex{ToInt(user.index) + copy * static_cast<uint32_t>(users.size())};
    for (Edge& edge : user.edges) edge.item = ItemIndex{ToInt(edge.item) + copy * items};
    return user;
  }
  size_t edges() const { return adjacency.items_of_users().edge_count(); }

  InteractionAdjacency adjacency;
  const uint32_t items;          // by which those of the next copy are further on
  std::vector<UserState> users;  // of one copy
  uint32_t copies = 0;
  double load_seconds = 0;
};

struct Request {
  std::vector<RecentItem> recent;
  std::vector<ItemIndex> seen;
  uint64_t seed = 0;
};

// Of users with at least one item.
std::vector<Request> MakeRequests(const World& world, size_t count, size_t starts, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Request> requests;
  std::vector<uint32_t> newest;
  while (requests.size() < count) {
    const UserState& chosen = world.users[random() % world.users.size()];
    if (chosen.edges.empty()) continue;
    const UserState user = world.InCopy(chosen, static_cast<uint32_t>(random() % world.copies));
    Request request{.recent = {}, .seen = {}, .seed = random()};
    NewestEdges(user, starts, newest);
    for (const uint32_t at : newest) {
      const Edge& edge = user.edges[at];
      request.recent.push_back({edge.item, edge.last.time_us, edge.count});
    }
    for (const Edge& edge : user.edges) request.seen.push_back(edge.item);
    requests.push_back(std::move(request));
  }
  return requests;
}

double Percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto at = static_cast<size_t>(share * static_cast<double>(values.size()));
  return values[std::min(at, values.size() - 1)];
}

struct Latency {
  double steps_per_second = 0;    // of the core's time; PageRank's are edges
  double p50_us = 0, p99_us = 0;  // of the core's time
  double wall_p50_us = 0, wall_p99_us = 0;
  double steps_per_request = 0;
  double candidates = 0;  // per request
};

// `steps` grows with the calls of the source.
template <typename Source>
Latency TimeSource(const Source& source, const size_t& steps, std::span<const Request> requests) {
  size_t steps_before = 0;
  std::vector<double> times;
  std::vector<double> wall_times;
  typename Source::Scratch scratch;
  size_t candidates = 0;
  double seconds = 0;
  const size_t warm_up = requests.size() / 10;
  for (size_t at = 0; at < requests.size(); ++at) {
    const Request& request = requests[at];
    ItemFilter filter;
    filter.Exclude(request.seen);
    if (at == warm_up) steps_before = steps;
    const auto begin = steady_clock::now();
    const double cpu_begin = CpuSeconds();
    const auto found = source.Retrieve({.vector = {},
                                        .filter = filter,
                                        .count = kCandidates,
                                        .recent = request.recent,
                                        .seed = request.seed},
                                       scratch);
    const double took = CpuSeconds() - cpu_begin;
    const double wall_took = Seconds(begin);
    if (at < warm_up) continue;
    wall_times.push_back(wall_took * 1e6);
    seconds += took;
    times.push_back(took * 1e6);
    candidates += found.size();
  }
  const auto timed = static_cast<double>(times.size());
  const auto counted = static_cast<double>(steps - steps_before);
  return {.steps_per_second = counted / seconds,
          .p50_us = Percentile(times, .5),
          .p99_us = Percentile(times, .99),
          .wall_p50_us = Percentile(wall_times, .5),
          .wall_p99_us = Percentile(wall_times, .99),
          .steps_per_request = counted / timed,
          .candidates = static_cast<double>(candidates) / timed};
}

Latency TimeWalks(const World& world, RandomWalkSource::Options options,
                  std::span<const Request> requests) {
  size_t steps = 0;
  options.on_walk = [&](const WalkSummary& summary) { steps += summary.steps; };
  return TimeSource(RandomWalkSource(world.adjacency, std::move(options)), steps, requests);
}

Latency TimePageRank(const World& world, PageRankSource::Options options,
                     std::span<const Request> requests) {
  size_t edges = 0;
  options.on_end = [&](const PageRankSummary& summary) { edges += summary.edges; };
  return TimeSource(PageRankSource(world.adjacency, std::move(options)), edges, requests);
}

// New edges of random users with items that others take as often as in the log, newer than all.
// Nanoseconds each; the median of `runs`.
double TimeAppends(World& world, const Log& log, size_t count, int runs, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> nanoseconds;
  const uint32_t time_s = static_cast<uint32_t>(log.events.back().time_us / 1'000'000);
  for (int run = 0; run < runs; ++run) {
    std::vector<std::pair<UserIndex, Edge>> appends;
    for (size_t i = 0; i < count; ++i) {
      const auto copy = static_cast<uint32_t>(random() % world.copies);
      const auto user = static_cast<uint32_t>(random() % log.users) + copy * log.users;
      const uint32_t item = log.events[random() % log.events.size()].item + copy * world.items;
      // Of another second each, so that no edge is there twice.
      const int64_t after_s = 1 + static_cast<int64_t>(i) + run * static_cast<int64_t>(count);
      appends.push_back({UserIndex{user},
                         {.item = ItemIndex{item},
                          .count = 1,
                          .last = {.time_us = (time_s + after_s) * 1'000'000}}});
    }
    const double begin = CpuSeconds();
    for (const auto& [user, edge] : appends) {
      world.adjacency.Change({.user = user, .item = edge.item, .before = {}, .after = {&edge, 1}});
    }
    nanoseconds.push_back((CpuSeconds() - begin) * 1e9 / static_cast<double>(count));
    for (const auto& [user, edge] : appends) {
      world.adjacency.Change({.user = user, .item = edge.item, .before = {&edge, 1}, .after = {}});
    }
  }
  return Percentile(nanoseconds, .5);
}

struct Row {
  size_t edges = 0;
  double bytes_per_edge = 0, load_seconds = 0;
  Latency whole;     // all steps of the paper
  Latency paper;     // and its early end
  Latency defaults;  // the server's
  Latency page_rank;
  double append_ns = 0, append_beside_walks_ns = 0;
};

Row Measure(const Log& log, size_t edges, const Settings& settings) {
  World world(log, edges, settings);
  Row row{.edges = world.edges()};
  row.bytes_per_edge =
      static_cast<double>(world.adjacency.bytes()) / static_cast<double>(world.edges());
  row.load_seconds = world.load_seconds;
  const auto requests = MakeRequests(world, settings.requests, settings.paper.starts_max, 1);
  RandomWalkSource::Options whole = settings.paper;
  whole.walk.goal_items = 0;
  row.whole = TimeWalks(world, whole, requests);
  row.paper = TimeWalks(world, settings.paper, requests);
  row.defaults = TimeWalks(world, settings.defaults, requests);
  row.page_rank = TimePageRank(world, settings.page_rank, requests);
  row.append_ns = TimeAppends(world, log, settings.appends, settings.runs, 2);
  std::atomic<bool> stopping{false};
  std::thread walker([&] {
    while (!stopping) TimeWalks(world, settings.defaults, std::span(requests).first(20));
  });
  row.append_beside_walks_ns = TimeAppends(world, log, settings.appends, settings.runs, 3);
  stopping = true;
  walker.join();
  return row;
}

nlohmann::json ToJson(const Latency& latency) {
  return {{"steps_per_second", latency.steps_per_second},
          {"p50_us", latency.p50_us},
          {"p99_us", latency.p99_us},
          {"wall_p50_us", latency.wall_p50_us},
          {"wall_p99_us", latency.wall_p99_us},
          {"steps_per_request", latency.steps_per_request},
          {"candidates_per_request", latency.candidates}};
}

void Print(const Row& row) {
  fmt::print(
      "{:>10} {:>6.1f} {:>7.1f} | {:>8.1f} {:>8.0f} {:>8.0f} | {:>7.0f} {:>8.0f} {:>8.0f} | "
      "{:>7.0f} "
      "{:>8.0f} {:>8.0f} | {:>7.0f} {:>8.0f} {:>8.0f} | {:>6.0f} {:>8.0f}\n",
      row.edges, row.bytes_per_edge, row.load_seconds, row.whole.steps_per_second / 1e6,
      row.whole.p50_us, row.whole.p99_us, row.paper.steps_per_request, row.paper.p50_us,
      row.paper.p99_us, row.defaults.steps_per_request, row.defaults.p50_us, row.defaults.p99_us,
      row.page_rank.steps_per_request, row.page_rank.p50_us, row.page_rank.p99_us, row.append_ns,
      row.append_beside_walks_ns);
  std::fflush(stdout);
}

int Main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Measures random walks over a log that is read from standard input.", "walk_bench");
  app.add_option("--edges", settings.edges, "Sizes of the graph, reached by copies of the log")
      ->delimiter(',');
  app.add_option("--requests", settings.requests)->check(CLI::Range(10, 1'000'000));
  app.add_option("--steps", settings.paper.walk.steps, "N of the paper's settings");
  app.add_option("--epsilon", settings.page_rank.page_rank.epsilon, "Of PageRank");
  app.add_option("--edges-max", settings.page_rank.page_rank.edges_max, "Likewise");
  app.add_option("--neighbors-max", settings.neighbors_max, "Newest neighbours kept of a node");
  app.add_flag("--shared-items", settings.shared_items, "Copies have other users only");
  app.add_option("--appends", settings.appends, "Appends timed per run");
  app.add_option("--runs", settings.runs, "Runs of the appends, of which the median counts");
  app.add_flag("--json", settings.json, "Print JSON");
  app.footer(
      "Example:\n  zstd -dc globo/events.csv.zst | walk_bench --edges 1000000,10000000,50000000");
  CLI11_PARSE(app, argc, argv);
  const Log log = ReadLog();
  if (log.events.empty()) Fail("standard input holds no interaction");
  nlohmann::json rows = nlohmann::json::array();
  if (!settings.json) {
    fmt::print(
        "                           | {} steps each           | with early end             | "
        "defaults                   | PageRank                   | append ns\n"
        "     edges B/edge  load s | M steps/s  p50 us   p99 us |   steps   p50 us   p99 us |   "
        "steps   p50 us   p99 us |   edges   p50 us   p99 us |  alone beside walks\n",
        settings.paper.walk.steps);
  }
  for (const size_t edges : settings.edges) {
    const Row row = Measure(log, edges, settings);
    rows.push_back({{"edges", row.edges},
                    {"bytes_per_edge", row.bytes_per_edge},
                    {"load_seconds", row.load_seconds},
                    {"whole", ToJson(row.whole)},
                    {"early_end", ToJson(row.paper)},
                    {"defaults", ToJson(row.defaults)},
                    {"page_rank", ToJson(row.page_rank)},
                    {"append_ns", row.append_ns},
                    {"append_beside_walks_ns", row.append_beside_walks_ns}});
    if (!settings.json) Print(row);
  }
  if (settings.json) fmt::print("{}\n", rows.dump());
  return 0;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
