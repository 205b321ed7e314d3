// Parquet by way of python3, of which a script stands here.
#include "csv/parquet_input.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "csv/log_input.h"

namespace groundswell {
namespace {

using testing::HasSubstr;

class ParquetInputTest : public testing::Test {
 protected:
  ParquetInputTest() {
    path_before_ = std::getenv("PATH");
    std::ofstream(file_, std::ios::binary) << "PAR1 and what follows";
  }
  ~ParquetInputTest() override {
    ::setenv("PATH", path_before_.c_str(), 1);
    std::filesystem::remove_all(directory_);
  }

  static std::string NewDirectory() {
    std::string name = testing::TempDir() + "groundswell-test-XXXXXX";
    return ::mkdtemp(name.data()) == nullptr ? "" : name;
  }

  // In the place of python3; its third argument is the file.
  void SetPython(const std::string& script) {
    const std::string program = directory_ + "/python3";
    std::ofstream(program) << "#!/bin/sh\n" << script;
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    ::setenv("PATH", directory_.c_str(), 1);
  }

  const std::string directory_ = NewDirectory();
  const std::string file_ = directory_ + "/log.parquet";
  std::string path_before_;
};

TEST_F(ParquetInputTest, ItsRowsAreReadAsCsv) {
  SetPython("[ -f \"$3\" ] && echo user,item,ts && echo ann,mug,1322000000");
  LogInput input;
  ASSERT_TRUE(input.Open(file_).ok());
  const std::string text{std::istreambuf_iterator<char>(input.stream()), {}};
  EXPECT_EQ(text, "user,item,ts\nann,mug,1322000000\n");
  EXPECT_TRUE(input.damage().ok());
}

TEST_F(ParquetInputTest, WithoutPyarrowTheMendIsNamed) {
  SetPython("exit 3");
  LogInput input;
  const absl::Status refused = input.Open(file_);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("log.parquet\" is Parquet"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("pip install pyarrow"));
}

TEST_F(ParquetInputTest, WithoutPythonToo) {
  ::setenv("PATH", directory_.c_str(), 1);
  LogInput input;
  const absl::Status refused = input.Open(file_);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("there is no python3 here"));
}

TEST_F(ParquetInputTest, WhatEndsInItsMiddleIsDamaged) {
  SetPython("echo user,item,ts; exit 1");
  LogInput input;
  ASSERT_TRUE(input.Open(file_).ok());
  std::string line;
  while (std::getline(input.stream(), line)) {
  }
  EXPECT_TRUE(input.stream().bad());
  EXPECT_TRUE(absl::IsDataLoss(input.damage())) << input.damage();
}

TEST_F(ParquetInputTest, AReaderThatLetsGoEndsIt) {
  SetPython("while echo user,item,ts; do :; done");
  LogInput input;
  ASSERT_TRUE(input.Open(file_).ok());
  EXPECT_EQ(input.stream().get(), 'u');
}

}  // namespace
}  // namespace groundswell
