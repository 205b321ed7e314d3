#include "program/run_main.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace groundswell {
namespace {

using testing::ExitedWithCode;

constexpr char kLost[] = "^program: standard output cannot be written: the answer is cut off";

int Answer(int /*argc*/, char** /*argv*/) {
  return std::puts("answer") < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

// As fmt::print does what it cannot write.
int AnswerAtLength(int /*argc*/, char** /*argv*/) {
  const std::string text(size_t{1} << 20, 'x');
  if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size()) {
    throw std::runtime_error("cannot write to file");
  }
  return EXIT_SUCCESS;
}

int SayNothing(int /*argc*/, char** /*argv*/) { return EXIT_SUCCESS; }

void RunWithoutOutput(int (*body)(int, char**)) {
  ::close(STDOUT_FILENO);
  ::_exit(RunMain("program", body, 0, nullptr));
}

void RunOntoFullDisk(int (*body)(int, char**)) {
  ::dup2(::open("/dev/full", O_WRONLY), STDOUT_FILENO);
  ::_exit(RunMain("program", body, 0, nullptr));
}

void RunWithPollStrategy(const char* words) {
  ::setenv("GRPC_POLL_STRATEGY", words, /*overwrite=*/1);
  ::_exit(RunMain("program", SayNothing, 0, nullptr));
}

TEST(RunMainTest, AWayOfWaitingThatGrpcLacksIsAnError) {
  for (const char* words : {"", "bogus", "none", "bogus,none,poll", "Poll", "poll "}) {
    EXPECT_EXIT(RunWithPollStrategy(words), ExitedWithCode(EXIT_FAILURE), "GRPC_POLL_STRATEGY")
        << words;
  }
  for (const char* words : {"poll", "bogus,epoll1", "all"}) {
    EXPECT_EXIT(RunWithPollStrategy(words), ExitedWithCode(EXIT_SUCCESS), "^$") << words;
  }
}

TEST(RunMainTest, AnAnswerThatGoesNowhereIsAnError) {
  for (const auto body : {Answer, AnswerAtLength}) {
    EXPECT_EXIT(RunWithoutOutput(body), ExitedWithCode(EXIT_FAILURE), kLost);
    EXPECT_EXIT(RunOntoFullDisk(body), ExitedWithCode(EXIT_FAILURE), kLost);
  }
}

TEST(RunMainTest, WhoHasNothingToSayNeedsNoOutput) {
  EXPECT_EXIT(RunWithoutOutput(SayNothing), ExitedWithCode(EXIT_SUCCESS), "^$");
}

TEST(RunMainTest, ErrorsCannotCommandATerminal) {
  EXPECT_EXIT((PrintError("program", "no \x1b[2J\nsecond line"), ::_exit(3)), ExitedWithCode(3),
              "^program: no \\\\x1b\\[2J\nsecond line\n$");
}

}  // namespace
}  // namespace groundswell
