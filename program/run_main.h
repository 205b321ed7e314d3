// The frame of a program: what must hold before it begins, and how it ends whatever happens in it.
#ifndef GROUNDSWELL_PROGRAM_RUN_MAIN_H_
#define GROUNDSWELL_PROGRAM_RUN_MAIN_H_

namespace groundswell {

// Runs `body` and returns its exit status. Before it, standard streams that the caller closed are
// opened on /dev/null: else the next file or socket would get their number, and an error message
// would be written into it. Standard output is then one that cannot be written. SIGXFSZ is an error
// like others, and so is a GRPC_POLL_STRATEGY of which gRPC would end the process. An exception
// that leaves `body` (memory that cannot be had), and standard output that cannot be written, is
// named on standard error, as far as that can be written, and makes the status EXIT_FAILURE. With
// any status but EXIT_SUCCESS the process ends here, without the handlers of exit.
int RunMain(const char* program, int (*body)(int argc, char** argv), int argc, char** argv);

// `message` as "program: message" on standard error, as TerminalLines has it. Where that cannot be
// written, nothing is: an error with nowhere to go must not become another one.
void PrintError(const char* program, const char* message);

}  // namespace groundswell

#endif  // GROUNDSWELL_PROGRAM_RUN_MAIN_H_
