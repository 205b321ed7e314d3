#include "program/terminal_text.h"

#include <gtest/gtest.h>

namespace groundswell {
namespace {

TEST(TerminalTextTest, WhatATerminalWouldObeyIsShown) {
  EXPECT_EQ(TerminalText("a\x1b[31mred\x07"), "a\\x1b[31mred\\x07");
  EXPECT_EQ(TerminalText("one\ntwo\tthree\r"), "one\\ntwo\\tthree\\r");
  EXPECT_EQ(TerminalText("\x7f"), "\\x7f");
  EXPECT_EQ(TerminalText("\xc2\x9b"
                         "31m"),
            "\\xc2\\x9b31m")
      << "CSI in one character";
  EXPECT_EQ(TerminalText("\x9b"
                         "31m"),
            "\\x9b31m")
      << "CSI in one byte";
  EXPECT_EQ(TerminalText(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(TerminalText("cut \xe2\x82"), "cut \\xe2\\x82");
  EXPECT_EQ(TerminalText("\xe0\x80\x9b"), "\\xe0\\x80\\x9b") << "overlong";
}

TEST(TerminalTextTest, OtherTextsStay) {
  for (const char* const text : {"", "plain \\x1b", "Gr\u00f6\u00dfe", "\u00a0", "\u65e5\u672c",
                                 "\U0001f600", "\u200f\u05d0"}) {
    EXPECT_EQ(TerminalText(text), text);
    EXPECT_EQ(TerminalLines(text), text);
  }
}

TEST(TerminalTextTest, MessagesKeepTheirLines) {
  EXPECT_EQ(TerminalLines("one\n\ttwo\r\x1b"), "one\n\ttwo\\r\\x1b");
}

}  // namespace
}  // namespace groundswell
