// Flags whose numbers have no sign: CLI11 would take -1 for the largest number there is.
#ifndef GROUNDSWELL_PROGRAM_UNSIGNED_FLAGS_H_
#define GROUNDSWELL_PROGRAM_UNSIGNED_FLAGS_H_

namespace CLI {
class App;
}  // namespace CLI

namespace groundswell {

// Refuses negative numbers for all such flags of `app` and of its subcommands, which must be there
// already.
void RefuseNegativeNumbers(CLI::App& app);

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_UNSIGNED_FLAGS_H_
