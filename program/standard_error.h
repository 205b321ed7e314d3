// Lines for people on standard error, beside what a program answers.
#ifndef GROUNDSWELL_PROGRAM_STANDARD_ERROR_H_
#define GROUNDSWELL_PROGRAM_STANDARD_ERROR_H_

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace groundswell {

// As fmt::print(stderr, ...), but where that cannot be written, nothing is: progress with nowhere
// to go ends no command.
template <typename... Args>
void PrintToStandardError(fmt::format_string<Args...> format, Args&&... args) {
  const std::string text = fmt::format(format, std::forward<Args>(args)...);
  static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
}

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_STANDARD_ERROR_H_
