// What encoders read: the text of items (DIR/features) and neighbourhoods by forward push
// (DIR/push), each with cases.safetensors, or several as PART.cases.safetensors.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "models/encoders/forward_push.h"
#include "models/encoders/item_text.h"
#include "tests/golden/golden_directory.h"
#include "tests/support/golden_vectors.h"
#include "tests/support/push_oracle.h"

namespace groundswell {
namespace {

// Texts whose bytes are integers, one behind the other.
std::vector<std::string> GoldenTexts(const SafetensorsFile& cases, const std::string& name) {
  const auto bytes = GoldenIntegers<int64_t>(cases, name);
  const auto begin = GoldenIntegers<size_t>(cases, name + "_begin");
  std::vector<std::string> texts;
  for (size_t i = 0; i + 1 < begin.size(); ++i) {
    texts.emplace_back();
    for (size_t at = begin[i]; at < begin[i + 1]; ++at) {
      texts.back() += static_cast<char>(static_cast<unsigned char>(bytes[at]));
    }
  }
  return texts;
}

TEST(FeaturesGoldenTest, TextAgrees) {
  for (const std::string& part : GoldenParts("features")) {
    SCOPED_TRACE(part);
    const std::string directory = GoldenFolder("features");
    const SafetensorsFile cases = OpenGolden(directory, part + "cases.safetensors");
    const SafetensorsFile weights = OpenGolden(directory, part + "weights.safetensors");
    const std::vector<double> exact = GoldenDoubles(weights, "text_embed.weight");
    const std::vector<float> table(exact.begin(), exact.end());
    const std::vector<size_t>& shape = weights.tensors().at("text_embed.weight").shape;
    const std::vector<std::string> titles = GoldenTexts(cases, "in.title");
    const std::vector<std::string> categories = GoldenTexts(cases, "in.category");
    const auto token = GoldenIntegers<int64_t>(cases, "token");
    const auto begin = GoldenIntegers<size_t>(cases, "token_begin");
    const auto bucket = GoldenIntegers<size_t>(cases, "bucket");
    const std::vector<double> vector = GoldenDoubles(cases, "vector");
    ASSERT_EQ(titles.size(), categories.size());
    for (size_t item = 0; item < titles.size(); ++item) {
      const std::vector<uint64_t> tokens = ItemTokens(titles[item], categories[item]);
      ASSERT_EQ(tokens.size(), begin[item + 1] - begin[item]) << titles[item];
      for (size_t i = 0; i < tokens.size(); ++i) {
        const size_t at = begin[item] + i;
        ASSERT_EQ(tokens[i], static_cast<uint64_t>(token[at])) << titles[item] << ", token " << i;
        const auto rows = ItemTokenRows(tokens[i], shape[0]);
        ASSERT_EQ(rows[0], bucket[2 * at]) << titles[item] << ", token " << i;
        ASSERT_EQ(rows[1], bucket[2 * at + 1]) << titles[item] << ", token " << i;
      }
      std::vector<float> out(shape[1], 7);
      EmbedItemTokens(tokens, table, out);
      for (size_t k = 0; k < out.size(); ++k) {
        const double expected = vector[item * out.size() + k];
        ASSERT_NEAR(out[k], expected, kGoldenTolerance * (1 + std::abs(expected))) << titles[item];
      }
    }
    fmt::print("features/{}: the text of {} items agrees\n", part, titles.size());
  }
}

TEST(PushGoldenTest, PushIsWithinItsBoundsOfPageRank) {
  for (const std::string& part : GoldenParts("push")) {
    SCOPED_TRACE(part);
    const SafetensorsFile cases = OpenGolden(GoldenFolder("push"), part + "cases.safetensors");
    const double alpha = std::stod(cases.metadata().at("alpha"));
    const double epsilon = std::stod(cases.metadata().at("epsilon"));
    const size_t users = std::stoul(cases.metadata().at("users"));
    const auto user_begin = GoldenIntegers<size_t>(cases, "in.user_begin");
    const auto item = GoldenIntegers<uint32_t>(cases, "in.item");
    const std::vector<double> weight = GoldenDoubles(cases, "in.weight");
    PushOracle graph(users + std::stoul(cases.metadata().at("items")));
    for (uint32_t user = 0; user < users; ++user) {
      for (size_t at = user_begin[user]; at < user_begin[user + 1]; ++at) {
        graph.AddEdge(user, static_cast<uint32_t>(users) + item[at], weight[at]);
      }
    }
    const size_t nodes = graph.edges.size();
    const std::vector<double> seeds = GoldenDoubles(cases, "in.seed");
    const std::vector<double> exact = GoldenDoubles(cases, "exact");
    const std::vector<double> p = GoldenDoubles(cases, "p");
    const std::vector<double> residual = GoldenDoubles(cases, "residual");
    const auto counts = GoldenIntegers<size_t>(cases, "pushes_edges");
    const PushArrays arrays = graph.Arrays();
    for (size_t row = 0; (row + 1) * nodes <= seeds.size(); ++row) {
      const std::vector<double> seed(seeds.begin() + static_cast<ptrdiff_t>(row * nodes),
                                     seeds.begin() + static_cast<ptrdiff_t>((row + 1) * nodes));
      const PushResult result =
          ForwardPush(arrays.Graph(), seed, {.alpha = alpha, .epsilon = epsilon});
      ASSERT_TRUE(result.is_done);
      const std::vector<double> rest = graph.PageRank(result.residual, alpha);
      for (size_t v = 0; v < nodes; ++v) {
        const double pi = exact[row * nodes + v];
        ASSERT_NEAR(result.p[v] + rest[v], pi, 1e-12) << "seed " << row << ", node " << v;
        ASSERT_GE(pi - result.p[v], -1e-12) << "seed " << row << ", node " << v;
        ASSERT_LE(pi - result.p[v], epsilon * graph.Degree(v) + 1e-12)
            << "seed " << row << ", node " << v;
        // The same order of pushes, too.
        ASSERT_NEAR(result.p[v], p[row * nodes + v], 1e-12) << "seed " << row << ", node " << v;
        ASSERT_NEAR(result.residual[v], residual[row * nodes + v], 1e-12);
      }
      ASSERT_EQ(result.pushes, counts[2 * row]);
      ASSERT_EQ(result.edges, counts[2 * row + 1]);
    }
    fmt::print("push/{}: {} seeds agree\n", part, seeds.size() / nodes);
  }
}

}  // namespace
}  // namespace groundswell
