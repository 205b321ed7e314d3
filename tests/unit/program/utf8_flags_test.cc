#include "program/utf8_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace groundswell {
namespace {

// What is wrong with the command line; empty: nothing.
std::string WhatIsNoText(std::vector<std::string> words) {
  CLI::App app("", "program");
  std::string namespace_name, key_file, user, file;
  std::vector<std::string> items;
  app.add_option("--namespace", namespace_name);
  app.add_option("--key-file", key_file);
  CLI::App& get = *app.add_subcommand("get", "");
  get.add_option("user", user);
  get.add_option("--item", items);
  app.add_subcommand("put", "")->add_option("file", file);
  constexpr std::array<std::string_view, 1> kFiles = {"file"};
  CheckUtf8Flags(app, kFiles);
  std::reverse(words.begin(), words.end());
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

TEST(Utf8FlagsTest, WhatIsNoUtf8IsRefusedByItsName) {
  EXPECT_EQ(WhatIsNoText({"get", "\xff"}), "user: it must be UTF-8; is it in another encoding?");
  EXPECT_EQ(WhatIsNoText({"--namespace", "a\xff"}).find("--namespace: it must be UTF-8"), 0u);
  EXPECT_EQ(WhatIsNoText({"get", "u", "--item", "a", "--item", "\xe4"}).find("--item: "), 0u);
}

TEST(Utf8FlagsTest, TextsAndPathsAreTaken) {
  EXPECT_EQ(WhatIsNoText({"get", "\xc3\xa4", "--item", "a"}), "");
  EXPECT_EQ(WhatIsNoText({"--key-file", "\xff", "put", "\xff"}), "");
}

}  // namespace
}  // namespace groundswell
