#include "program/unsigned_flags.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <string>

namespace groundswell {

void CheckUnsignedFlags(CLI::App& app) {
  const CLI::Validator in_range(
      [](std::string& text) -> std::string {
        errno = 0;
        std::strtoull(text.c_str(), nullptr, 0);
        if (errno != ERANGE && text.find('-') == std::string::npos) return "";
        return "is " + text + "; it must be 0 or more, and no more than the flag can hold";
      },
      /*validator_desc=*/"");
  for (CLI::Option* const option : app.get_options()) {
    if (option->get_type_name().starts_with("UINT")) option->check(in_range);
  }
  for (CLI::App* const sub : app.get_subcommands([](CLI::App*) { return true; })) {
    CheckUnsignedFlags(*sub);
  }
}

}  // namespace groundswell
