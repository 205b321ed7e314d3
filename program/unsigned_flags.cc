#include "program/unsigned_flags.h"

#include <CLI/CLI.hpp>
#include <string>

namespace groundswell {

void RefuseNegativeNumbers(CLI::App& app) {
  const CLI::Validator not_negative(
      [](std::string& text) {
        return text.starts_with('-') ? "is " + text + "; it must not be negative" : std::string();
      },
      /*validator_desc=*/"");
  for (CLI::Option* const option : app.get_options()) {
    if (option->get_type_name().starts_with("UINT")) option->check(not_negative);
  }
  for (CLI::App* const sub : app.get_subcommands([](CLI::App*) { return true; })) {
    RefuseNegativeNumbers(*sub);
  }
}

}  // namespace groundswell
