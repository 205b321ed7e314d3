#include "program/suggestion.h"

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace groundswell {
namespace {

using testing::HasSubstr;
using testing::Not;

// What is said of a command line; empty when it is understood.
std::string SaidOf(std::vector<std::string> words) {
  CLI::App app("An application.", "app");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--server");
  CLI::App& ingest = *app.add_subcommand("ingest", "Sends");
  ingest.add_option("file")->required();
  ingest.add_flag("--skip-bad-records");
  app.add_subcommand("recommend", "Lists")->add_option("user");
  std::vector<const char*> argv = {"app"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  try {
    app.parse(static_cast<int>(argv.size()), argv.data());
  } catch (const CLI::ParseError& error) {
    return DescribeUsageError(app, error);
  }
  return "";
}

TEST(SuggestionTest, TheNearestFlagOrSubcommandIsNamed) {
  EXPECT_EQ(SaidOf({"recommend", "u"}), "");
  EXPECT_THAT(SaidOf({"reccomend", "u"}), HasSubstr("\"reccomend\"; did you mean recommend?"));
  EXPECT_THAT(SaidOf({"ingest", "f", "--skip-bad-record"}), HasSubstr("--skip-bad-records?"));
  EXPECT_THAT(SaidOf({"ingest", "f", "--skip_bad_records=1"}), HasSubstr("--skip-bad-records?"));
  EXPECT_THAT(SaidOf({"recommend", "u", "--sever=x"}), HasSubstr("--server?"));
  EXPECT_THAT(SaidOf({"--sever", "x", "recommend", "u"}), HasSubstr("--server?"));
}

TEST(SuggestionTest, WhatIsLikeNothingGetsNone) {
  EXPECT_THAT(SaidOf({"ingest", "f", "--xyzzy"}), Not(HasSubstr("did you mean")));
  EXPECT_THAT(SaidOf({"ingest", "f", "--xyzzy"}), HasSubstr("\"--xyzzy\""));
  EXPECT_THAT(SaidOf({"frobnicate"}), HasSubstr("--help"));
  EXPECT_THAT(SaidOf({"ingest"}), HasSubstr("required")) << "CLI11's own";
  EXPECT_THAT(SaidOf({}), HasSubstr("required"));
}

TEST(SuggestionTest, AWordIsNearWhenAThirdOfItDiffersAtMost) {
  const std::vector<std::string> known = {"rank", "recommend", "rules"};
  EXPECT_EQ(NearestWord("runk", known), "rank");
  EXPECT_EQ(NearestWord("rule", known), "rules");
  EXPECT_EQ(NearestWord("x", known), std::nullopt);
  EXPECT_EQ(NearestWord(std::string(1'000, 'r'), known), std::nullopt);
}

}  // namespace
}  // namespace groundswell
