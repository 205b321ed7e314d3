// Texts on a command line that are no UTF-8: no message of the API holds them.
#ifndef GROUNDSWELL_PROGRAM_UTF8_FLAGS_H_
#define GROUNDSWELL_PROGRAM_UTF8_FLAGS_H_

#include <span>
#include <string_view>

namespace CLI {
class App;
}  // namespace CLI

namespace groundswell {

// Has every flag and argument of `app` and of its subcommands that holds a text refuse one that is
// no UTF-8. Not those in `paths`, by name ("file", "--data"), and no flag whose name ends in
// "-file": the system's paths are bytes. Call when all flags are added.
void CheckUtf8Flags(CLI::App& app, std::span<const std::string_view> paths);

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_UTF8_FLAGS_H_
