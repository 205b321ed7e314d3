// What libraries write to standard error before main, in no format of ours: libgomp and OpenBLAS
// do, of variables of the environment that they cannot read.
#ifndef GROUNDSWELL_SERVER_PROCESS_EARLY_OUTPUT_H_
#define GROUNDSWELL_SERVER_PROCESS_EARLY_OUTPUT_H_

#include <string>
#include <vector>

namespace groundswell {

// The lines of it; standard error is from now on what the process was given. Call once, first of
// all. Held back where the environment has a variable of theirs alone (OMP_, GOMP_, OPENBLAS_,
// GOTO_): in any other process there are none.
std::vector<std::string> TakeEarlyOutput();

}  // namespace groundswell

#endif  // GROUNDSWELL_SERVER_PROCESS_EARLY_OUTPUT_H_
