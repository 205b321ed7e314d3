// Flags whose numbers have no sign: CLI11 would take -1, and what is larger than they can hold, for
// the largest number there is.
#ifndef GROUNDSWELL_PROGRAM_UNSIGNED_FLAGS_H_
#define GROUNDSWELL_PROGRAM_UNSIGNED_FLAGS_H_

namespace CLI {
class App;
}  // namespace CLI

namespace groundswell {

// Has both refused for all such flags of `app` and of its subcommands, which must be there already.
void CheckUnsignedFlags(CLI::App& app);

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_UNSIGNED_FLAGS_H_
