// A snapshot's examples of encoders: encoders that give the exporter's vectors pass, and anything
// else is refused with a message that says what would be right.
#include "models/snapshot/encoder_examples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/snapshot/examples.h"
#include "tests/support/encoder_fixture.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

class EncoderExamplesTest : public testing::Test {
 protected:
  EncoderExamplesTest() {
    for (const FixtureEncoder& fixture : fixtures_) {
      manifest_.encoders.push_back(fixture.entry);
      encoders_.push_back(MakeFixtureEncoder(fixture));
      AddEncoderExamples(fixture, tensors_);
    }
  }

  absl::StatusOr<std::vector<EncoderAgreement>> Check() {
    return CheckEncoderExamples(tensors_.File(), manifest_, encoders_, FixtureVectors());
  }

  void ExpectRefused(const std::vector<std::string>& says) {
    const absl::Status status = Check().status();
    ASSERT_FALSE(status.ok()) << says[0];
    EXPECT_THAT(std::string(status.message()), HasSubstr(kEncoderExamplesFile));
    for (const std::string& what : says) {
      EXPECT_THAT(std::string(status.message()), HasSubstr(what));
    }
  }

  const std::vector<FixtureEncoder> fixtures_ = FixtureEncoders();
  Manifest manifest_;
  std::vector<std::unique_ptr<Encoder>> encoders_;
  EncoderExampleTensors tensors_;
};

TEST_F(EncoderExamplesTest, EncodersThatGiveTheExportersVectorsPass) {
  const auto agreement = Check();
  ASSERT_TRUE(agreement.ok()) << agreement.status();
  ASSERT_EQ(agreement->size(), fixtures_.size());
  for (size_t i = 0; i < fixtures_.size(); ++i) {
    EXPECT_EQ((*agreement)[i].encoder, fixtures_[i].entry.name);
    EXPECT_EQ((*agreement)[i].targets, 3u);
    EXPECT_EQ((*agreement)[i].max_abs_error, 0);
  }
}

TEST_F(EncoderExamplesTest, EveryTensorOfAnEncoderIsProved) {
  for (size_t i = 0; i < fixtures_.size(); ++i) {
    // Its blocks are of one number, which l2 makes 1 or -1 whatever the weights.
    if (fixtures_[i].entry.name == "ngcf") continue;
    for (const auto& [name, tensor] : fixtures_[i].tensors) {
      // Of the other side's encoder, or of the snapshot.
      const bool is_user = fixtures_[i].entry.side == EncoderSide::kUser;
      if (name == "item" || name == (is_user ? "user_context" : "item_context") ||
          name == (is_user ? "item_base" : "user_base")) {
        continue;
      }
      FixtureEncoder spoiled = fixtures_[i];
      for (float& value : spoiled.tensors[name].values) value = value * 1.5f + 0.001f;
      auto good = std::exchange(encoders_[i], MakeFixtureEncoder(spoiled));
      SCOPED_TRACE(spoiled.entry.name + " " + name);
      ExpectRefused({"encoder \"" + spoiled.entry.name + "\" gives target ", "together again"});
      encoders_[i] = std::move(good);
    }
  }
}

TEST_F(EncoderExamplesTest, TheWorstNumberIsNamed) {
  std::vector<float>& vectors = tensors_.floats["newest.vector"].values;
  vectors[3] += 0.5f;
  vectors[0] += 0.001f;
  ExpectRefused({"encoder \"newest\" gives target 1 the number", "in place 1",
                 "at most 0.0001 (1 + |number|)"});
}

TEST_F(EncoderExamplesTest, KnownIsCompared) {
  tensors_.integers["newest.known"].second = {1, 1, 1};
  ExpectRefused({"encoder \"newest\" has no vector for target 2", "known"});
}

TEST_F(EncoderExamplesTest, EveryTensorIsMissed) {
  const EncoderExampleTensors good = tensors_;
  for (const auto& [name, tensor] : good.integers) {
    if (name.ends_with(".known")) continue;
    tensors_.integers.erase(name);
    ExpectRefused({name});
    tensors_ = good;
  }
  for (const auto& [name, tensor] : good.floats) {
    tensors_.floats.erase(name);
    ExpectRefused({name});
    tensors_ = good;
  }
}

TEST_F(EncoderExamplesTest, EveryTensorOfAnotherSizeIsNamed) {
  const EncoderExampleTensors good = tensors_;
  for (const auto& [name, tensor] : good.integers) {
    // A node more that nobody reads changes nothing.
    if (name == "attention.in.layer.0.row" || name == "pins.in.layer.0.row") continue;
    tensors_.integers[name].first[0] += 1;
    tensors_.integers[name].second.resize(tensor.second.size() / tensor.first[0] *
                                          (tensor.first[0] + 1));
    const std::string encoder = name.substr(0, name.find('.') + 1);
    ExpectRefused({encoder});
    tensors_ = good;
  }
}

TEST_F(EncoderExamplesTest, EveryValueOutOfItsRangeIsNamed) {
  const auto expect = [&](const std::string& name, size_t at, int64_t value) {
    const EncoderExampleTensors good = tensors_;
    tensors_.integers[name].second[at] = value;
    ExpectRefused({name});
    tensors_ = good;
  };
  expect("linear.in.fold.user.row", 0, 3);
  expect("linear.in.fold.user.row", 0, -2);
  expect("linear.in.fold.user.begin", 0, 1);
  expect("linear.in.fold.user.begin", 1, 4);
  expect("linear.in.fold.user.begin", 3, int64_t{1} << 40);
  expect("linear.in.fold.user.neighbor", 0, 4);
  expect("linear.in.fold.user.neighbor_degree", 0, 0);
  expect("als.in.item", 0, 4);
  expect("als.in.count", 0, 0);
  expect("als-items.in.user", 0, 3);
  expect("newest.in.length", 0, -1);
  expect("mixture.in.h1", 0, -1);
  expect("hetero.in.row", 0, 3);
  expect("hetero.in.together.begin", 1, 4);
  expect("hetero.in.together.neighbor", 0, 3);
  expect("graphs.in.brand.neighbor", 0, -1);
  expect("sage.in.layer.0.row", 0, 2);  // of two users
  expect("sage.in.layer.0.row", 1, 3);  // of three items
  expect("sage.in.layer.0.type", 0, 2);
  expect("sage.in.layer.1.self", 0, 5);
  expect("sage.in.layer.1.self", 0, 1);  // of another type
  expect("sage.in.layer.1.neighbor", 0, 5);
  expect("sage.in.layer.1.neighbor", 0, 3);  // of its own type
  expect("sage.in.layer.2.begin", 1, 5);
  expect("sage.in.layer.2.type", 2, 2);
  expect("pins.in.layer.0.row", 0, 3);
  expect("pins.in.layer.1.begin", 1, 7);
  expect("attention.in.layer.2.neighbor", 0, 4);
  expect("tower.in.time_s", 0, int64_t{1} << 32);
  expect("newest.known", 0, 2);
}

TEST_F(EncoderExamplesTest, AWeightBelowZeroIsNamed) {
  tensors_.floats["pins.in.layer.2.weight"].values[1] = -1;
  ExpectRefused({"pins.in.layer.2.weight", "the element -1", "at least 0"});
}

TEST_F(EncoderExamplesTest, NeighboursWithoutARowAreThoseThatNobodyTrained) {
  tensors_.integers["newest.in.item"].second = {-1, -1, -1};
  tensors_.integers["newest.known"].second = {0, 0, 0};
  tensors_.floats["newest.vector"].values.assign(6, 0);
  EXPECT_TRUE(Check().ok()) << Check().status();
}

TEST_F(EncoderExamplesTest, ItemsMayHaveOtherVectorsThanTheSnapshots) {
  tensors_.floats["newest.in.item_vectors"] = {{3, 2}, {5, 5, 5, 5, 5, 5}};
  ExpectRefused({"encoder \"newest\" gives target"});
  tensors_.floats["newest.in.item_vectors"] = {{3, 2}, {1, 0, 0, 1, -1, 0}};
  EXPECT_TRUE(Check().ok()) << Check().status();
}

TEST_F(EncoderExamplesTest, ATensorOfNoEncoderIsNamed) {
  tensors_.integers["news.in.item"] = {{1}, {1}};
  ExpectRefused({"news.in.item", "no encoder"});
}

TEST_F(EncoderExamplesTest, TooManyTargetsAreRefused) {
  tensors_.floats["newest.vector"] = {{kEncoderExampleTargetsMax + 1, 2},
                                      std::vector<float>(2 * kEncoderExampleTargetsMax + 2)};
  ExpectRefused({"newest.vector", "at most 10000"});
}

TEST_F(EncoderExamplesTest, PeopleAreToldWhatIsProved) {
  EXPECT_THAT(Describe({.rows = 3, .has_encoders = true}), HasSubstr("encoders unproved"));
  EXPECT_THAT(Describe({.rows = 3,
                        .has_encoders = true,
                        .encoders = {{.encoder = "users", .targets = 100, .max_abs_error = 1e-7}}}),
              HasSubstr("; encoders: users within 1e-07 by 100 examples"));
  EXPECT_EQ(Describe({.rows = 3}).find("encoders"), std::string::npos);
}

}  // namespace
}  // namespace groundswell
