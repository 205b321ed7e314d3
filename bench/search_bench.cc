// Search for the k best of many clustered vectors: through EmbeddingIndex beside a bare FAISS call
// of the same kind (of plain vectors in the same lists for kinds of our own), with filters, with
// changed vectors, and while the index is replaced. One thread; times are of the processor, but for
// those around the replacing. The exact search is checked against plain loops before anything is
// timed.
#include <faiss/Index.h>
#include <faiss/IndexFlat.h>
#include <faiss/IndexRefine.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "index/vectors/embedding_index.h"
#include "index/vectors/faiss_index.h"
#include "index/vectors/int8_codes.h"

namespace groundswell {
namespace {

using std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

struct Arguments {
  size_t items = 1'000'000;
  size_t dim = 64;
  size_t clusters = 2'000;
  double spread = .5;
  size_t queries = 200;
  size_t count = 500;
  size_t runs = 5;
  size_t threads = std::max(1u, std::thread::hardware_concurrency());
  size_t rescore_factor = 4;
  std::string kinds =
      "Flat;auto;IVF4096,Int8@128;IVF4096,Flat@128;IVF1024,Flat@64;IVF4096,SQ8@128;IVF4096,"
      "PQ32x4fs@128;HNSW32@500";
  std::string parts = "kinds,filters,changes,swap";
  bool json = false;
};

template <typename T>
T OrEnd(absl::StatusOr<T> result) {
  if (result.ok()) return *std::move(result);
  fmt::print(stderr, "search_bench: {}\n", std::string(result.status().message()));
  std::exit(EXIT_FAILURE);
}

void OrEnd(const absl::Status& status) {
  if (status.ok()) return;
  fmt::print(stderr, "search_bench: {}\n", std::string(status.message()));
  std::exit(EXIT_FAILURE);
}

// Of this thread alone, in microseconds: what a search costs, however busy the machine is.
double ProcessorTime() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

double Microseconds(steady_clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

double Quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(share * static_cast<double>(values.size())))];
}

// Points around centres, as trained embeddings are; queries come from the same centres.
std::vector<float> Clustered(const Arguments& arguments, size_t rows, uint64_t seed) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> centres(arguments.clusters * arguments.dim);
  for (float& value : centres) value = normal(random);
  random.seed(seed);
  std::vector<float> values(rows * arguments.dim);
  for (size_t row = 0; row < rows; ++row) {
    const size_t centre = random() % arguments.clusters;
    for (size_t d = 0; d < arguments.dim; ++d) {
      values[row * arguments.dim + d] = centres[centre * arguments.dim + d] +
                                        static_cast<float>(arguments.spread) * normal(random);
    }
  }
  return values;
}

struct Data {
  Arguments arguments;
  std::vector<float> rows;
  std::vector<float> queries;

  std::span<const float> Query(size_t i) const {
    return std::span(queries).subspan(i * arguments.dim, arguments.dim);
  }
};

std::vector<ItemIndex> Items(const std::vector<Candidate>& found) {
  std::vector<ItemIndex> items;
  for (const Candidate& candidate : found) items.push_back(candidate.item);
  return items;
}

using Lists = std::vector<std::vector<ItemIndex>>;

double Recall(const Lists& exact, const Lists& found) {
  size_t hits = 0;
  size_t all = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    std::vector<ItemIndex> a = exact[i];
    std::vector<ItemIndex> b = found[i];
    std::ranges::sort(a);
    std::ranges::sort(b);
    std::vector<ItemIndex> both;
    std::ranges::set_intersection(a, b, std::back_inserter(both));
    hits += both.size();
    all += a.size();
  }
  return all == 0 ? 1 : static_cast<double>(hits) / static_cast<double>(all);
}

struct Measured {
  Lists lists;
  std::vector<double> us;
};

// Every query once, each timed by itself.
template <typename Search>
void RunOnce(const Data& data, const Search& search, Measured& measured) {
  measured.lists.resize(data.arguments.queries);
  for (size_t i = 0; i < data.arguments.queries; ++i) {
    const double begin = ProcessorTime();
    std::vector<ItemIndex> items = search(i);
    measured.us.push_back(ProcessorTime() - begin);
    measured.lists[i] = std::move(items);
  }
}

auto Ours(const Data& data, const EmbeddingIndex& index, const ItemFilter& filter) {
  return [&](size_t i) {
    return Items(OrEnd(index.Retrieve(
        {.vector = data.Query(i), .filter = filter, .count = data.arguments.count})));
  };
}

Measured Measure(const Data& data, const EmbeddingIndex& index, const ItemFilter& filter) {
  Measured measured;
  for (size_t run = 0; run < data.arguments.runs; ++run) {
    RunOnce(data, Ours(data, index, filter), measured);
  }
  return measured;
}

EmbeddingIndex::Progress Progress(const std::string& what) {
  return [what](size_t done, size_t total) {
    if (isatty(STDERR_FILENO) != 0) {
      fmt::print(stderr, "\r{:<28} {:>9} of {}{}", what, done, total, done < total ? "" : "\n");
    }
    return true;
  };
}

struct Kind {
  std::string factory;
  size_t parameter = 0;  // nprobe or efSearch; 0: the rule's
};

EmbeddingIndex::Options OptionsOf(const Data& data, const Kind& kind) {
  EmbeddingIndex::Options options{.flat_max_items = 0,
                                  .factory = kind.factory,
                                  .nprobe = kind.parameter,
                                  .rescore_factor = data.arguments.rescore_factor};
  if (kind.parameter > 0) options.ef_search = kind.parameter;
  return options;
}

// FAISS alone: over the index that ours searches, or for kinds that are our own over the same lists
// of plain vectors. Kinds of FAISS's that compress vectors score again in FAISS's own way, or else
// their recall could not be compared.
struct BareIndex {
  std::string kind;
  std::unique_ptr<ItemVectors> vectors;
  std::unique_ptr<FaissIndex> lists;   // unless ours is searched as it is
  std::unique_ptr<faiss::Index> made;  // likewise
  const faiss::Index* searched = nullptr;
};
BareIndex MakeBare(const Data& data, const ApproximateIndex* ours, size_t nprobe) {
  BareIndex bare;
  if (ours == nullptr) {
    auto flat = std::make_unique<faiss::IndexFlatIP>(static_cast<int>(data.arguments.dim));
    flat->add(static_cast<faiss::Index::idx_t>(data.arguments.items), data.rows.data());
    bare.kind = "Flat";
    bare.searched = flat.get();
    bare.made = std::move(flat);
    return bare;
  }
  const auto* faiss_index = dynamic_cast<const FaissIndex*>(ours);
  if (faiss_index == nullptr) {
    bare.kind = ours->kind().substr(0, ours->kind().find(',')) + ",Flat";
    bare.vectors =
        std::make_unique<ItemVectors>(OrEnd(ItemVectors::Create(data.rows, data.arguments.dim)));
    bare.lists = OrEnd(FaissIndex::Build(
        *bare.vectors, {.factory = bare.kind, .nprobe = nprobe, .threads = data.arguments.threads},
        Progress("building bare " + bare.kind)));
    bare.searched = &bare.lists->faiss_index();
    return bare;
  }
  bare.kind = faiss_index->kind();
  bare.searched = &faiss_index->faiss_index();
  if (!faiss_index->compresses()) return bare;
  // It is only searched, and not owned.
  auto refined = std::make_unique<faiss::IndexRefineFlat>(const_cast<faiss::Index*>(bare.searched),
                                                          data.rows.data());
  refined->k_factor = static_cast<float>(data.arguments.rescore_factor);
  bare.searched = refined.get();
  bare.made = std::move(refined);
  return bare;
}

auto Bare(const Data& data, const faiss::Index& index) {
  return [&](size_t i) {
    std::vector<float> scores(data.arguments.count);
    std::vector<faiss::Index::idx_t> ids(data.arguments.count);
    index.search(1, data.Query(i).data(), static_cast<faiss::Index::idx_t>(ids.size()),
                 scores.data(), ids.data());
    std::vector<ItemIndex> items;
    for (const auto id : ids) {
      if (id >= 0) items.push_back(static_cast<ItemIndex>(id));
    }
    return items;
  };
}

Json MeasureKind(const Data& data, const Kind& kind, const Lists& exact) {
  const auto begin = steady_clock::now();
  const auto index =
      OrEnd(EmbeddingIndex::Build(data.rows, data.arguments.dim, OptionsOf(data, kind),
                                  data.arguments.threads, Progress("building " + kind.factory)));
  const double build_s = Microseconds(steady_clock::now() - begin) / 1e6;
  const EmbeddingIndex::View view = index->Now();
  const size_t parameter = kind.parameter > 0 || kind.factory != "auto"
                               ? kind.parameter
                               : DefaultIndexKind(data.arguments.items).nprobe;
  const BareIndex bare_index = MakeBare(data, view.index(), parameter);
  SearchOnOneThread();
  const ItemFilter everything;
  Measured ours;
  Measured bare;
  std::vector<double> ratios;
  for (size_t run = 0; run <= data.arguments.runs; ++run) {
    const size_t before = ours.us.size();
    RunOnce(data, Bare(data, *bare_index.searched), bare);
    RunOnce(data, Ours(data, *index, everything), ours);
    if (run == 0) {  // warming up
      ours.us.clear();
      bare.us.clear();
      continue;
    }
    const auto from = static_cast<ptrdiff_t>(before == 0 ? 0 : before);
    ratios.push_back(Quantile({ours.us.begin() + from, ours.us.end()}, .5) /
                     Quantile({bare.us.begin() + from, bare.us.end()}, .5));
  }
  const double bytes = static_cast<double>(index->status().bytes);
  return {{"kind", index->status().kind},
          {"parameter", parameter},
          {"recall", Recall(exact, ours.lists)},
          {"p50_us", Quantile(ours.us, .5)},
          {"p99_us", Quantile(ours.us, .99)},
          {"bare", bare_index.kind},
          {"bare_recall", Recall(exact, bare.lists)},
          {"bare_p50_us", Quantile(bare.us, .5)},
          {"bare_p99_us", Quantile(bare.us, .99)},
          {"ratio", Quantile(ratios, .5)},
          {"bytes_per_vector", bytes / static_cast<double>(data.arguments.items)},
          {"build_s", build_s}};
}

// Filters on the kind that the rule chooses.
Json MeasureFilters(const Data& data, const EmbeddingIndex& index, const EmbeddingIndex& flat) {
  std::mt19937_64 random(5);
  std::vector<uint32_t> category_of_item(data.arguments.items);
  for (uint32_t& category : category_of_item) category = static_cast<uint32_t>(random() % 1'000);
  std::vector<ItemIndex> seen;
  for (size_t i = 0; i < 200; ++i) {
    seen.push_back(static_cast<ItemIndex>(random() % data.arguments.items));
  }
  std::ranges::sort(seen);
  Json rows = Json::array();
  const auto add = [&](const std::string& name, const ItemFilter& filter) {
    const Measured exact = Measure(data, flat, filter);
    const Measured found = Measure(data, index, filter);
    size_t shortest = data.arguments.count;
    for (const auto& list : found.lists) shortest = std::min(shortest, list.size());
    rows.push_back({{"filter", name},
                    {"recall", Recall(exact.lists, found.lists)},
                    {"p50_us", Quantile(found.us, .5)},
                    {"p99_us", Quantile(found.us, .99)},
                    {"scan_p50_us", Quantile(exact.us, .5)},
                    {"fewest_items", shortest}});
  };
  add("none", {});
  ItemFilter unseen;
  unseen.Exclude(seen);
  add("200 seen items", unseen);
  std::vector<uint32_t> categories(500);
  std::iota(categories.begin(), categories.end(), 0);
  for (const size_t wanted : {500, 100, 32, 10, 1}) {
    ItemFilter narrow;
    narrow.RestrictToCategories(std::span(categories).first(wanted), category_of_item);
    add(fmt::format("{:.1f}% of the items", static_cast<double>(wanted) / 10), narrow);
  }
  return rows;
}

// What the changed vectors cost a search, and what a change costs.
Json MeasureChanges(const Data& data) {
  EmbeddingIndex::Options options{.flat_max_items = 0};
  options.changes_max = 1'000'000;
  const auto index = OrEnd(EmbeddingIndex::Build(
      data.rows, data.arguments.dim, options, data.arguments.threads, Progress("building auto")));
  const std::vector<float> changed = Clustered(data.arguments, 32'768, 9);
  Json rows = Json::array();
  size_t done = 0;
  for (const size_t changes : {0, 1'024, 4'096, 8'192, 16'384, 32'768}) {
    const auto begin = steady_clock::now();
    const size_t appended = changes - done;
    for (; done < changes; ++done) {
      OrEnd(
          index->Upsert(static_cast<ItemIndex>(done * 29 % data.arguments.items),
                        std::span(changed).subspan(done * data.arguments.dim, data.arguments.dim)));
    }
    const double upsert_us = Microseconds(steady_clock::now() - begin);
    const Measured found = Measure(data, *index, {});
    rows.push_back({{"changed_items", changes},
                    {"p50_us", Quantile(found.us, .5)},
                    {"p99_us", Quantile(found.us, .99)},
                    {"upsert_us", appended == 0 ? 0 : upsert_us / static_cast<double>(appended)}});
  }
  return rows;
}

// Searches without a pause while the index is built anew and replaced.
Json MeasureSwap(const Data& data, EmbeddingIndex& index) {
  struct Sample {
    steady_clock::time_point end;
    double us;
  };
  std::vector<Sample> samples;
  std::atomic<bool> stop{false};
  std::thread searcher([&] {
    const ItemFilter everything;
    const auto search = Ours(data, index, everything);
    for (size_t i = 0; !stop; ++i) {
      const auto begin = steady_clock::now();
      search(i % data.arguments.queries);
      const auto end = steady_clock::now();
      samples.push_back({end, Microseconds(end - begin)});
    }
  });
  std::this_thread::sleep_for(std::chrono::seconds(5));
  for (size_t i = 0; i < std::min<size_t>(8'192, data.arguments.items); ++i) {
    OrEnd(index.Upsert(static_cast<ItemIndex>(i), data.Query(i % data.arguments.queries)));
  }
  const auto begin = steady_clock::now();
  OrEnd(index.Rebuild(1, Progress("building anew")));
  const auto end = steady_clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(5));
  stop = true;
  searcher.join();

  Json rows = Json::array();
  const auto add = [&](const char* name, auto from, auto to) {
    std::vector<double> us;
    for (const Sample& sample : samples) {
      if (sample.end >= from && sample.end < to) us.push_back(sample.us);
    }
    rows.push_back({{"when", name},
                    {"seconds", Microseconds(to - from) / 1e6},
                    {"searches", us.size()},
                    {"p50_us", Quantile(us, .5)},
                    {"p99_us", Quantile(us, .99)},
                    {"max_us", Quantile(us, 1)}});
  };
  const auto around = std::chrono::milliseconds(500);
  add("before", samples.front().end, begin);
  add("while building", begin, end - around);
  add("0.5 s before to 0.5 s after the swap", end - around, end + around);
  add("after", end + around, samples.back().end);
  return rows;
}

// The exact search against plain loops in double precision: the scores, in order.
void CheckExact(const Data& data, const EmbeddingIndex& flat) {
  for (size_t q = 0; q < 3; ++q) {
    std::vector<double> scores(data.arguments.items);
    for (size_t i = 0; i < scores.size(); ++i) {
      for (size_t d = 0; d < data.arguments.dim; ++d) {
        scores[i] += double{data.Query(q)[d]} * data.rows[i * data.arguments.dim + d];
      }
    }
    std::ranges::sort(scores, std::greater<>());
    const ItemFilter everything;
    const auto found = OrEnd(flat.Retrieve(
        {.vector = data.Query(q), .filter = everything, .count = data.arguments.count}));
    for (size_t i = 0; i < found.size(); ++i) {
      if (std::abs(found[i].score - scores[i]) > 1e-3) {
        OrEnd(absl::InternalError(fmt::format("score {} of query {} is {}, should be {}", i, q,
                                              found[i].score, scores[i])));
      }
    }
  }
}

std::vector<Kind> ParseKinds(const std::string& text) {
  std::vector<Kind> kinds;
  std::istringstream in(text);
  for (std::string one; std::getline(in, one, ';');) {
    const size_t at = one.find('@');
    kinds.push_back({.factory = one.substr(0, at),
                     .parameter = at == std::string::npos ? 0 : std::stoul(one.substr(at + 1))});
  }
  return kinds;
}

// A JSON array of equal objects as a table for people.
void PrintTable(const std::string& title, const Json& rows) {
  fmt::print("\n{}\n", title);
  for (const auto& [key, value] : rows[0].items()) fmt::print("{:>18}", key);
  fmt::print("\n");
  for (const Json& row : rows) {
    for (const auto& [key, value] : row.items()) {
      fmt::print("{:>18}", value.is_number_float() ? fmt::format("{:.3f}", value.get<double>())
                           : value.is_string()     ? value.get<std::string>()
                                                   : value.dump());
    }
    fmt::print("\n");
  }
}

Json Run(const Arguments& arguments) {
  const Data data{.arguments = arguments,
                  .rows = Clustered(arguments, arguments.items, 2),
                  .queries = Clustered(arguments, arguments.queries, 3)};
  const auto flat = OrEnd(EmbeddingIndex::Build(data.rows, arguments.dim, {.factory = "Flat"}));
  CheckExact(data, *flat);
  Json report = {{"items", arguments.items},
                 {"dim", arguments.dim},
                 {"spread", arguments.spread},
                 {"count", arguments.count},
                 {"queries", arguments.queries},
                 {"simd", FaissIndex::Simd()},
                 {"int8_kernel", std::string(NameOf(RunnableKernels().back()))}};
  const auto wants = [&](const char* part) {
    return arguments.parts.find(part) != std::string::npos;
  };
  if (wants("kinds")) {
    Measured exact;
    const ItemFilter everything;
    RunOnce(data, Ours(data, *flat, everything), exact);
    report["kinds"] = Json::array();
    for (const Kind& kind : ParseKinds(arguments.kinds)) {
      report["kinds"].push_back(MeasureKind(data, kind, exact.lists));
    }
  }
  if (wants("changes")) report["changes"] = MeasureChanges(data);
  if (wants("filters") || wants("swap")) {
    const auto index = OrEnd(EmbeddingIndex::Build(data.rows, arguments.dim, {.flat_max_items = 0},
                                                   arguments.threads, Progress("building auto")));
    if (wants("filters")) report["filters"] = MeasureFilters(data, *index, *flat);
    if (wants("swap")) report["swap"] = MeasureSwap(data, *index);
  }
  return report;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Times the search for the nearest of many vectors, beside bare FAISS.",
               "search_bench");
  app.add_option("--items", arguments.items)
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000'000));
  app.add_option("--dim", arguments.dim)->capture_default_str()->check(CLI::Range(1, 4'096));
  app.add_option("--clusters", arguments.clusters)
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--spread", arguments.spread, "Of the points of a cluster; centres have 1")
      ->capture_default_str();
  app.add_option("--queries", arguments.queries)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--count", arguments.count, "Nearest items asked for")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--runs", arguments.runs)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--threads", arguments.threads, "That build; one searches")->capture_default_str();
  app.add_option("--rescore-factor", arguments.rescore_factor)->capture_default_str();
  app.add_option("--kinds", arguments.kinds, "factory@parameter;... (nprobe or efSearch)")
      ->capture_default_str();
  app.add_option("--parts", arguments.parts)->capture_default_str();
  app.add_flag("--json", arguments.json, "Print JSON");
  app.footer(
      "Example:\n  search_bench --items 100000 --kinds 'Flat;auto;HNSW32@500' --parts kinds");
  CLI11_PARSE(app, argc, argv);

  const Json report = Run(arguments);
  if (arguments.json) {
    fmt::print("{}\n", report.dump());
    return EXIT_SUCCESS;
  }
  fmt::print("{} x {} vectors, spread {}, the {} best, {} queries, FAISS for {}, Int8 by {}\n",
             arguments.items, arguments.dim, arguments.spread, arguments.count, arguments.queries,
             FaissIndex::Simd(), std::string(NameOf(RunnableKernels().back())));
  for (const char* part : {"kinds", "filters", "changes", "swap"}) {
    if (report.contains(part)) PrintTable(part, report[part]);
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
