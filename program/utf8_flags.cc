#include "program/utf8_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>

#include "csv/utf8.h"

namespace groundswell {

void CheckUtf8Flags(CLI::App& app, std::span<const std::string_view> paths) {
  const CLI::Validator is_utf8(
      [](std::string& text) -> std::string {
        return IsUtf8(text) ? "" : "it must be UTF-8; is it in another encoding?";
      },
      /*validator_desc=*/"");
  for (CLI::Option* const option : app.get_options()) {
    const std::string name = option->get_name();
    if (!option->get_type_name().starts_with("TEXT") || name.ends_with("-file")) continue;
    if (std::ranges::find(paths, name) == paths.end()) option->check(is_utf8);
  }
  for (CLI::App* const sub : app.get_subcommands([](CLI::App*) { return true; })) {
    CheckUtf8Flags(*sub, paths);
  }
}

}  // namespace groundswell
