// Texts on a command line that are there and empty, such as those of a shell's variable that is not
// set.
#ifndef GROUNDSWELL_PROGRAM_EMPTY_FLAGS_H_
#define GROUNDSWELL_PROGRAM_EMPTY_FLAGS_H_

#include <span>
#include <string_view>

namespace CLI {
class App;
}  // namespace CLI

namespace groundswell {

// Has every flag of `app` and of its subcommands that holds a text refuse an empty one, which would
// be taken for a flag that was not given. Not those in `may_be_empty`: "SUBCOMMAND --flag", or
// "--flag" for one of any. What has no name of its own stays as it is. Call when all flags are
// added.
void CheckEmptyFlags(CLI::App& app, std::span<const std::string_view> may_be_empty);

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_EMPTY_FLAGS_H_
