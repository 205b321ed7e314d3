// What the blend costs on one core: the features of a request's candidates out of arrays, their
// scores, and one step of learning. The scores are checked against a sum of terms before anything
// is timed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "blend/model.h"

namespace groundswell {
namespace {

struct Options {
  size_t candidates = 600;
  size_t repetitions = 2'000;
  bool as_json = false;
};

// Nine lists of a hundred or so, all that may be known of a candidate known.
struct Request {
  explicit Request(size_t of_count) : count(of_count) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> part(0, 1);
    for (size_t list = 0; list < kBlendLists.size(); ++list) {
      for (size_t i = 0; i < count; ++i) {
        place[list].push_back(static_cast<uint16_t>(random() % 6 == 0 ? 1 + random() % 100 : 0));
        score[list].push_back(part(random));
      }
      columns.lists[list] = {.place = place[list], .score = score[list]};
    }
    for (std::vector<float>& column : numbers) {
      for (size_t i = 0; i < count; ++i) column.push_back(part(random));
    }
    columns.count = count;
    for (size_t scale = 0; scale < kBlendScales.size(); ++scale) {
      columns.share[scale] = numbers[scale];
    }
    size_t next = kBlendScales.size();
    for (std::span<const float>* column :
         {&columns.own_count, &columns.own_age, &columns.own_category_count,
          &columns.own_category_age, &columns.mean_age, &columns.live_product}) {
      *column = numbers[next++];
    }
    for (std::span<const float>& column : columns.after) column = numbers[next++];
  }

  size_t count;
  std::array<std::vector<uint16_t>, kBlendLists.size()> place;
  std::array<std::vector<float>, kBlendLists.size()> score;
  std::array<std::vector<float>, kBlendScales.size() + 6 + kBlendNewestItems> numbers;
  BlendColumns columns;
};

// Of this thread's processor, so that others on the machine do not count.
template <typename Work>
double Microseconds(const Work& work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
  };
  const double begin = now();
  work();
  return now() - begin;
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

bool ScoresAreSumsOfTerms(const BlendWeights& weights, const BlendFeatures& features,
                          std::span<const float> scores) {
  for (size_t i = 0; i < scores.size(); ++i) {
    float sum = 0;
    for (size_t feature = 0; feature < kBlendFeatures; ++feature) {
      sum += BlendTerm(weights, features, BlendContext::kInVisit, feature, i);
    }
    if (std::abs(sum - scores[i]) > 1e-4f) return false;
  }
  return true;
}

int Run(const Options& options) {
  const Request request(options.candidates);
  BlendModel model;
  BlendModel::Scratch scratch;
  BlendFeatures features;
  std::vector<float> scores(request.count);
  const auto extract = [&] { features.Extract(request.columns); };
  const auto score = [&] { ScoreBlend(model.weights(), features, BlendContext::kInVisit, scores); };
  extract();
  score();
  if (!ScoresAreSumsOfTerms(model.weights(), features, scores)) {
    fmt::print(stderr, "blend_bench: a score is not the sum of its terms\n");
    return 1;
  }
  std::array<std::vector<double>, 3> us;
  for (size_t i = 0; i < options.repetitions; ++i) {
    us[0].push_back(Microseconds(extract));
    us[1].push_back(Microseconds(score));
    us[2].push_back(Microseconds(
        [&] { model.Learn(features, BlendContext::kInVisit, i % request.count, scratch); }));
  }
  const nlohmann::ordered_json result = {{"candidates", request.count},
                                         {"features_us", Median(us[0])},
                                         {"scores_us", Median(us[1])},
                                         {"step_us", Median(us[2])}};
  if (options.as_json) {
    fmt::print("{}\n", result.dump());
  } else {
    fmt::print("{} candidates, us: features {:.1f}, scores {:.1f}, one step {:.1f}\n",
               request.count, Median(us[0]), Median(us[1]), Median(us[2]));
  }
  return 0;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Times the features, the scores and a step of the blend, on one thread.",
               "blend_bench");
  app.add_option("--candidates", options.candidates)
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--repetitions", options.repetitions)
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  app.add_flag("--json", options.as_json, "Print JSON");
  app.footer("Example:\n  blend_bench --candidates 600");
  CLI11_PARSE(app, argc, argv);
  return Run(options);
}

}  // namespace
}  // namespace groundswell

int main(int argc, char** argv) { return groundswell::Main(argc, argv); }
