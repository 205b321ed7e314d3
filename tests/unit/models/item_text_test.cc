// The tokens of an item's text where golden vectors do not reach, and how its features are joined.
#include "models/encoders/item_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace groundswell {
namespace {

using Tokens = std::vector<uint64_t>;

TEST(ItemTextTest, NothingHasNoTokensAndAVectorOfZero) {
  EXPECT_TRUE(ItemTokens("", "").empty());
  EXPECT_TRUE(ItemTokens(" \t-!?", "").empty());
  const std::vector<float> table{1, 2, 3, 4};
  std::vector<float> out{7, 7};
  EmbedItemTokens({}, table, out);
  EXPECT_EQ(out, (std::vector<float>{0, 0}));
}

TEST(ItemTextTest, AnIdIsFnv1a) {
  // FNV-1a 64 of "t:a" and "g:<a>" by another implementation.
  EXPECT_EQ(ItemTokens("a", ""), (Tokens{6218302413050310830u, 13887939437899208255u}));
}

TEST(ItemTextTest, LettersOfAsciiAloneAreLowered) {
  EXPECT_EQ(ItemTokens("RED Bag", ""), ItemTokens("red bag", ""));
  EXPECT_NE(ItemTokens("\xC3\x89", ""), ItemTokens("\xC3\xA9", ""));  // E and e with an acute
  // The category is taken as it is.
  EXPECT_NE(ItemTokens("", "Bags"), ItemTokens("", "bags"));
}

TEST(ItemTextTest, WordsAreSeparatedByWhateverIsOfNone) {
  EXPECT_EQ(ItemTokens("red--bag,", ""), ItemTokens(" red bag", ""));
  EXPECT_NE(ItemTokens("red1", ""), ItemTokens("red 1", ""));
  EXPECT_EQ(ItemTokens(std::string("red\0bag", 7), ""), ItemTokens("red bag", ""));
}

TEST(ItemTextTest, CodePointsStayWhole) {
  // The word, "<ab", "abc" and "bc>".
  EXPECT_EQ(ItemTokens("abc", "").size(), 4u);
  EXPECT_EQ(ItemTokens("\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E", "").size(), 4u);
  // A byte that continues nothing belongs to what is before it.
  EXPECT_EQ(ItemTokens("\x97", "").size(), ItemTokens("\xE6\x97", "").size() - 1);
}

TEST(ItemTextTest, TheFirst256TokensAreKept) {
  std::string title;
  for (int word = 0; word < 1'000; ++word) title += "w" + std::to_string(word) + " ";
  const Tokens tokens = ItemTokens(title, "c");
  ASSERT_EQ(tokens.size(), kItemTokensMax);
  const Tokens fewer = ItemTokens("w0 w1", "c");
  EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), tokens.begin()));
  EXPECT_EQ(ItemTokens(std::string(100'000, 'x'), "").size(), kItemTokensMax);
}

TEST(ItemTextTest, ATokenHasTwoRowsOfAnyTable) {
  for (const size_t rows : {size_t{1}, size_t{2}, size_t{997}}) {
    for (const uint64_t token : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
      for (const size_t row : ItemTokenRows(token, rows)) EXPECT_LT(row, rows);
    }
  }
  // One token's second row is the next one's first.
  EXPECT_EQ(ItemTokenRows(41, 997)[1], ItemTokenRows(42, 997)[0]);
  EXPECT_EQ(ItemTokenRows(~uint64_t{0}, 997)[1], ItemTokenRows(0, 997)[0]);
}

TEST(ItemTextTest, AVectorIsTheSumOfRowsByTheNumberOfTokens) {
  const std::vector<float> table{1, -2};
  std::vector<float> out(2);
  // Both rows are the only one there is.
  EmbedItemTokens(Tokens{5, 6, 7}, table, out);
  EXPECT_EQ(out, (std::vector<float>{2, -4}));
}

TEST(ItemTextTest, FeaturesAreJoinedWithTheDegreeAndWhetherThereIsADenseRow) {
  const std::vector<float> text{0.5f};
  std::vector<float> out(5, 7);
  JoinItemFeatures(std::vector<float>{0, -3}, text, 3, out);
  EXPECT_EQ(out, (std::vector<float>{0, -3, 0.5f, std::log(4.0f), 1}));
  JoinItemFeatures(std::vector<float>{0, 0}, text, 0, out);
  EXPECT_EQ(out, (std::vector<float>{0, 0, 0.5f, 0, 0}));
  JoinItemFeatures({}, text, uint64_t{1} << 31, std::span(out).first(3));
  EXPECT_NEAR(out[1], 31 * std::log(2.0), 1e-5);
  EXPECT_EQ(out[2], 0);
}

}  // namespace
}  // namespace groundswell
