// What every ranker's file must be: each tensor missing, of another shape or type, or not finite is
// refused with its name and a remedy; narrower and wider floats are converted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "models/snapshot/registry.h"
#include "tests/support/macgnn_fixture.h"
#include "tests/support/surge_fixture.h"

namespace groundswell {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

struct FloatTensor {
  std::vector<size_t> shape;
  std::vector<float> values;
};
using FloatTensors = std::map<std::string, FloatTensor>;

// A model of every kind and option that changes which tensors it reads.
struct Checkpoint {
  Manifest::Model model;
  FloatTensors tensors;
  std::vector<int64_t> categories;  // of SURGE's items
};

template <typename Source>
FloatTensors CopyOf(const Source& source) {
  FloatTensors tensors;
  for (const auto& [name, tensor] : source) tensors[name] = {tensor.shape, tensor.values};
  return tensors;
}

Checkpoint GoodCheckpoint(const std::string& kind) {
  std::mt19937_64 random(5);
  if (kind == "macgnn") {
    return {
        .model = {.name = kind,
                  .kind = kind,
                  .file = "f",
                  .options = {{"attention", "neighbours"}, {"tau", "1.9"}, {"recent_len", "2"}}},
        .tensors = CopyOf(SmallMacgnnTensors()),
        .categories = {}};
  }
  if (kind == "dot") {
    return {.model = {.name = kind, .kind = kind, .file = "f", .options = {}},
            .tensors = {{"user", {{2, 2}, {1, 2, 3, 4}}}, {"item", {{3, 2}, {5, 6, 7, 8, 9, 1}}}},
            .categories = {}};
  }
  const std::string variant = kind.substr(6);  // after "surge_"
  return {
      .model = {.name = kind, .kind = "surge", .file = "f", .options = SurgeOptions(variant, 6, 3)},
      .tensors = CopyOf(RandomSurgeTensors(variant, {}, random)),
      .categories = SurgeCategories({})};
}

// `add` puts one tensor into the writer.
template <typename Add>
absl::StatusOr<std::unique_ptr<Ranker>> Load(const Checkpoint& checkpoint, const Add& add) {
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : checkpoint.tensors) add(writer, name, tensor);
  if (!checkpoint.categories.empty()) {
    writer.Add("category_of_item", {checkpoint.categories.size()}, checkpoint.categories);
  }
  const auto file = SafetensorsFile::Parse("weights.safetensors", writer.Bytes());
  if (!file.ok()) return file.status();
  return MakeRanker(checkpoint.model, *file);
}

void AddFloats(SafetensorsWriter& writer, const std::string& name, const FloatTensor& tensor) {
  writer.Add(name, tensor.shape, tensor.values);
}

uint16_t Bfloat16(float value) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
}

// A logit that every tensor may enter.
float LogitOf(const Ranker& ranker) {
  const RankerShape shape = ranker.shape();
  const auto scratch = ranker.NewScratch(1);
  const std::vector<int64_t> p(shape.user_clusters, 3);
  const std::vector<int64_t> q(shape.item_clusters, 8);
  const std::vector<uint32_t> recent_items(std::min<size_t>(shape.recent_items, 2), 1);
  const std::vector<uint32_t> recent_users(shape.recent_users, 1);
  EXPECT_TRUE(ranker
                  .PrepareUser({.row = shape.user_rows > 0 ? 1u : 0u,
                                .one_hop = q,
                                .two_hop = p,
                                .recent_items = recent_items},
                               *scratch)
                  .ok());
  const std::vector<uint32_t> item{2};
  std::vector<float> logit(1);
  ranker.ScoreItems({.rows = item, .one_hop = p, .two_hop = q, .recent_users = recent_users},
                    *scratch, logit);
  return logit[0];
}

class LoadingTest : public testing::TestWithParam<std::string> {
 protected:
  // The file is named too, except where an option of the manifest is at fault.
  static void ExpectRefused(const absl::Status& status, const std::string& tensor,
                            const testing::Matcher<const std::string&>& remedy) {
    EXPECT_FALSE(status.ok()) << tensor;
    const std::string message(status.message());
    EXPECT_THAT(message, HasSubstr("weights.safetensors"));
    EXPECT_THAT(message, HasSubstr(tensor));
    EXPECT_THAT(message, remedy);
  }

  const Checkpoint good_ = GoodCheckpoint(GetParam());
};

TEST_P(LoadingTest, AMissingTensorIsNamedAndSaysWhereItComesFrom) {
  for (const auto& [name, tensor] : good_.tensors) {
    Checkpoint checkpoint = good_;
    checkpoint.tensors.erase(name);
    ExpectRefused(Load(checkpoint, AddFloats).status(), name,
                  AnyOf(HasSubstr("export"), HasSubstr("Freeze them"),
                        HasSubstr("as embeddings.safetensors does")));
  }
}

TEST_P(LoadingTest, ATensorOfAnotherRankIsRefusedByName) {
  for (const auto& [name, tensor] : good_.tensors) {
    Checkpoint checkpoint = good_;
    checkpoint.tensors[name].shape.push_back(1);
    ExpectRefused(
        Load(checkpoint, AddFloats).status(), name,
        AnyOf(HasSubstr("must be a matrix"), HasSubstr("is needed"), HasSubstr("must be")));
  }
}

TEST_P(LoadingTest, ATensorWithANumberTooManyIsRefused) {
  for (const auto& [name, tensor] : good_.tensors) {
    Checkpoint checkpoint = good_;
    FloatTensor& spoiled = checkpoint.tensors[name];
    spoiled.values.resize(spoiled.values.size() / spoiled.shape.back() * (spoiled.shape.back() + 1),
                          0.5f);
    spoiled.shape.back() += 1;
    EXPECT_EQ(Load(checkpoint, AddFloats).status().code(), absl::StatusCode::kInvalidArgument)
        << name;
  }
}

TEST_P(LoadingTest, WeightsThatAreNotFiniteAreRefusedByNameAndPosition) {
  for (const auto& [name, tensor] : good_.tensors) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      Checkpoint checkpoint = good_;
      checkpoint.tensors[name].values.back() = bad;
      ExpectRefused(
          Load(checkpoint, AddFloats).status(), name,
          HasSubstr("element " + std::to_string(checkpoint.tensors[name].values.size() - 1)));
    }
  }
}

TEST_P(LoadingTest, IntegersInPlaceOfWeightsAreRefused) {
  for (const auto& [name, tensor] : good_.tensors) {
    const auto status =
        Load(good_, [&spoiled = name](SafetensorsWriter& writer, const std::string& at,
                                      const FloatTensor& one) {
          if (at != spoiled) return AddFloats(writer, at, one);
          writer.Add(at, one.shape, std::vector<int64_t>(one.values.size(), 1));
        }).status();
    ExpectRefused(status, name, HasSubstr("export it as F32, F16, BF16 or F64"));
  }
}

TEST_P(LoadingTest, AnotherTypeIsRefusedWithTheTypesThatAreServed) {
  for (const char* dtype : {"F8_E4M3", "U16", "BOOL", "C64"}) {
    const auto status =
        Load(good_, [&](SafetensorsWriter& writer, const std::string& name,
                        const FloatTensor& one) {
          writer.AddNarrow(name, dtype, one.shape, std::vector<uint16_t>(one.values.size()));
        }).status();
    ExpectRefused(status, dtype, HasSubstr("export it as F32, F16, BF16 or F64"));
  }
}

TEST_P(LoadingTest, OtherFloatsAreConverted) {
  Checkpoint coarse = good_;  // of values that a bfloat16 holds
  for (auto& [name, tensor] : coarse.tensors) {
    for (float& value : tensor.values) {
      value = std::bit_cast<float>(uint32_t{Bfloat16(value)} << 16);
    }
  }
  const auto as_floats = Load(coarse, AddFloats);
  ASSERT_TRUE(as_floats.ok()) << as_floats.status();
  const auto as_doubles =
      Load(coarse, [](SafetensorsWriter& writer, const std::string& name, const FloatTensor& one) {
        writer.Add(name, one.shape, std::vector<double>(one.values.begin(), one.values.end()));
      });
  ASSERT_TRUE(as_doubles.ok()) << as_doubles.status();
  const auto as_narrow =
      Load(coarse, [](SafetensorsWriter& writer, const std::string& name, const FloatTensor& one) {
        std::vector<uint16_t> bits;
        std::transform(one.values.begin(), one.values.end(), std::back_inserter(bits), Bfloat16);
        writer.AddNarrow(name, "BF16", one.shape, bits);
      });
  ASSERT_TRUE(as_narrow.ok()) << as_narrow.status();
  const auto as_half =
      Load(coarse, [](SafetensorsWriter& writer, const std::string& name, const FloatTensor& one) {
        writer.AddNarrow(name, "F16", one.shape,
                         std::vector<uint16_t>(one.values.size(), 0x3c00));  // 1 throughout
      });
  ASSERT_TRUE(as_half.ok()) << as_half.status();
  EXPECT_EQ(LogitOf(**as_doubles), LogitOf(**as_floats));
  EXPECT_EQ(LogitOf(**as_narrow), LogitOf(**as_floats));
  for (auto& [name, tensor] : coarse.tensors) {
    std::fill(tensor.values.begin(), tensor.values.end(), 1.0f);
  }
  EXPECT_EQ(LogitOf(**as_half), LogitOf(**Load(coarse, AddFloats)));
}

TEST_P(LoadingTest, UnfoldedBatchNormalisationSaysHowToFoldIt) {
  for (const char* name :
       {"head.1.running_mean", "head.1.running_var", "bn/moving_mean", "bn/moving_variance"}) {
    Checkpoint checkpoint = good_;
    checkpoint.tensors[name] = {{1}, {1}};
    ExpectRefused(Load(checkpoint, AddFloats).status(), name, HasSubstr("Fold it into the layer"));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, LoadingTest,
                         testing::Values("macgnn", "surge_authors", "surge_paper", "dot"),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace groundswell
