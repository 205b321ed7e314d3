#include "program/empty_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>

namespace groundswell {

void CheckEmptyFlags(CLI::App& app, std::span<const std::string_view> may_be_empty) {
  const CLI::Validator not_empty(
      [](std::string& text) -> std::string {
        return text.empty() ? "it is empty; give it a value, or leave the flag out" : "";
      },
      /*validator_desc=*/"");
  for (CLI::Option* const option : app.get_options()) {
    const bool is_text = option->get_type_name().starts_with("TEXT");
    if (!is_text || option->get_lnames().empty()) continue;
    const std::string flag = "--" + option->get_lnames().front();
    const auto is_this = [&](std::string_view name) {
      return name == flag || name == app.get_name() + " " + flag;
    };
    if (!std::ranges::any_of(may_be_empty, is_this)) option->check(not_empty);
  }
  for (CLI::App* const sub : app.get_subcommands([](CLI::App*) { return true; })) {
    CheckEmptyFlags(*sub, may_be_empty);
  }
}

}  // namespace groundswell
