// What somebody may have meant who misspelt a flag or a subcommand.
#ifndef GROUNDSWELL_PROGRAM_SUGGESTION_H_
#define GROUNDSWELL_PROGRAM_SUGGESTION_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace groundswell {

// The fewest letters that must be put in, taken out or replaced to make one of the other
// (Levenshtein's distance).
size_t EditDistance(std::string_view a, std::string_view b);

// The nearest of `known` to `word`, if it is near enough to be a misspelling; the first on a tie.
std::optional<std::string> NearestWord(std::string_view word, std::span<const std::string> known);

// What to say of a command line that `app` could not parse: CLI11's message, and for the first word
// that nobody knows the flag or subcommand that is nearest to it.
std::string DescribeUsageError(const CLI::App& app, const CLI::ParseError& error);

// The status of a program whose command line was not understood.
inline constexpr int kExitUsage = 2;

// Prints it on standard error, as one JSON object where `json`. The exit status: 0 where help or
// the version was asked for, which are printed; else kExitUsage.
int ExitOnParseError(const CLI::App& app, const CLI::ParseError& error, bool json);

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_SUGGESTION_H_
