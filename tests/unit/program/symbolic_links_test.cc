#include "program/symbolic_links.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temporary_directory.h"

namespace groundswell {
namespace {

namespace fs = std::filesystem;

TEST(SymbolicLinksTest, AreFollowedToWhatIsThereOrWillBe) {
  const TemporaryDirectory directory;
  const std::string target = directory.File("target");
  fs::create_symlink("target", directory.File("first"));
  fs::create_symlink(directory.File("first"), directory.File("second"));
  EXPECT_EQ(FollowLinks(directory.File("second")), target);
  fs::create_directory(target);
  EXPECT_EQ(FollowLinks(directory.File("second")), target);
  EXPECT_EQ(FollowLinks(target), target);
  EXPECT_EQ(FollowLinks(""), "");
}

TEST(SymbolicLinksTest, ACircleEnds) {
  const TemporaryDirectory directory;
  fs::create_symlink("b", directory.File("a"));
  fs::create_symlink("a", directory.File("b"));
  FollowLinks(directory.File("a"));
}

}  // namespace
}  // namespace groundswell
