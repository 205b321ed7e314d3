#include "program/unsigned_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>

namespace groundswell {

void CheckUnsignedFlags(CLI::App& app) {
  const CLI::Validator in_range(
      [](std::string& text) -> std::string {
        uint64_t number = 0;
        const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
        if (!text.starts_with('-') && read.ec != std::errc::result_out_of_range) return "";
        return "is " + text + "; it must be 0 or more, and at most 18446744073709551615";
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
