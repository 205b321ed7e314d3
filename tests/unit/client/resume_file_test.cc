#include "client/events/resume_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

class ResumeFileTest : public testing::Test {
 protected:
  static ResumePoint Point(uint64_t record) {
    return {record, std::string(32, static_cast<char>('a' + record))};
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.File("at");
};

TEST_F(ResumeFileTest, TheHashBelongsToTheRecordThatIsDealtWith) {
  ResumeFile file(path_);
  EXPECT_EQ(file.Read()->record, 0u);
  for (uint64_t record : {1, 2, 5}) file.Sending(Point(record));
  ASSERT_TRUE(file.Finish(2, 0, 0).ok());
  EXPECT_EQ(file.Read()->record, 2u);
  EXPECT_EQ(file.Read()->chain_hash, Point(2).chain_hash);
  ASSERT_TRUE(file.Finish(5, 0, 0).ok());
  EXPECT_EQ(ResumeFile(path_).Read()->chain_hash, Point(5).chain_hash);
}

TEST_F(ResumeFileTest, ItStaysBeforeARecordThatIsToBeReadAgain) {
  ResumeFile file(path_);
  for (uint64_t record : {1, 2, 5}) file.Sending(Point(record));
  file.StayBefore(5);
  file.Sending(Point(6));
  ASSERT_TRUE(file.Finish(6, 0, 0).ok());
  EXPECT_EQ(file.Read()->record, 2u);
}

TEST_F(ResumeFileTest, WhatTheServerMadeOfItIsRemembered) {
  ResumeFile file(path_);
  for (uint64_t record : {1, 2, 5}) file.Sending(Point(record));
  ASSERT_TRUE(file.Finish(5, 3, 70).ok());
  EXPECT_EQ(file.Read()->record, 5u);
  EXPECT_EQ(file.Read()->refused, 3u);
  EXPECT_EQ(file.Read()->log_offset, 70);
}

TEST_F(ResumeFileTest, WhatIsMissingBehindTheHashIsZero) {
  std::ofstream(path_) << "2 " << Point(2).chain_hash << "\n";
  EXPECT_EQ(ResumeFile(path_).Read()->record, 2u);
  EXPECT_EQ(ResumeFile(path_).Read()->refused, 0u);
  std::ofstream(path_) << "2 " << Point(2).chain_hash << " 1\n";
  EXPECT_EQ(ResumeFile(path_).Read()->refused, 1u);
  EXPECT_EQ(ResumeFile(path_).Read()->log_offset, 0);
}

TEST_F(ResumeFileTest, NothingDealtWithWritesNothing) {
  ResumeFile file(path_);
  file.Sending(Point(3));
  ASSERT_TRUE(file.Finish(0, 0, 0).ok());
  EXPECT_FALSE(std::ifstream(path_).good());
}

TEST_F(ResumeFileTest, ASymbolicLinkStaysOne) {
  const std::string link = directory_.File("link");
  std::filesystem::create_symlink("at", link);
  ResumeFile file(link);
  file.Sending(Point(1));
  ASSERT_TRUE(file.Finish(1, 0, 0).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(ResumeFile(path_).Read()->record, 1u);
}

TEST_F(ResumeFileTest, AnotherFileIsNoResumeFile) {
  const std::string whole = "12 " + Point(12).chain_hash;
  for (const std::string& text :
       std::vector<std::string>{"", "x", "12", "12 short", "-1", whole + " x", whole + " 13",
                                whole + " 1 x", whole + " 1 -2", whole + " 1 2 3"}) {
    std::ofstream(path_) << text;
    EXPECT_EQ(ResumeFile(path_).Read().status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace groundswell
