#include "client/terminal/table.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

TEST(TableTest, NeverCutsACharacterInHalf) {
  EXPECT_EQ(Characters("Café"), 4u);
  EXPECT_EQ(FirstCharacters("Café", 3), "Caf");
  EXPECT_EQ(FirstCharacters("éé", 1), "é");
  EXPECT_EQ(FirstCharacters("é", 5), "é");
  Table table({{.title = "t", .width_max = 3}});
  table.AddRow({"ééééé"});
  EXPECT_EQ(table.ToString(), "t\n---\néé…\n");
}

TEST(TableTest, WhatATerminalWouldObeyIsShown) {
  Table table({{.title = "a\x1b[2J"}, {.title = "b"}});
  table.AddRow({"x\ny", "\x1b]0;title\x07"});
  EXPECT_EQ(table.ToString(),
            "a\\x1b[2J  b\n--------  ----------------\nx\\ny      \\x1b]0;title\\x07\n");
}

TEST(TableTest, WithoutRowsOnlyTheTitlesAreShown) {
  EXPECT_EQ(Table({}).ToString(), "\n\n");
  EXPECT_EQ(Table({{.title = "item"}, {.title = "score", .right = true}}).ToString(),
            "item  score\n----  -----\n");
}

TEST(TableTest, ACellAsWideAsTheLimitIsNotCut) {
  Table table({{.title = "a long title", .width_max = 3}});
  table.AddRow({"abc"});
  table.AddRow({"abcd"});
  table.AddRow({""});
  EXPECT_EQ(table.ToString(), "a …\n---\nabc\nab…\n\n");
}

TEST(TableTest, ColumnsAreAsWideAsTheirContent) {
  Table table({{.title = "item"}, {.title = "score", .right = true}});
  table.AddRow({"a longer one", "0.5"});
  table.AddRow({"b", "10.25"});
  EXPECT_EQ(table.ToString(),
            "item          score\n"
            "------------  -----\n"
            "a longer one    0.5\n"
            "b             10.25\n");
}

}  // namespace
}  // namespace groundswell
